"""What a chunk costs in a short and in a long episode."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks import _bank, _env
from memgym.tasks.procedural import DialogueGenerator

WINDOW = 10  # chunks timed before each size


def measure_growth(*, sizes: Sequence[int], repeats: int) -> dict[str, Any]:
    """Median microseconds at each size: of the bank per chunk, of an environment step, of one search.

    ``flat`` and ``env_flat`` are the cost at the last size over that at the first: 1 when it does not grow.
    """
    longest = max(sizes)
    episode = DialogueGenerator(chunks=longest).episode(0, 0, "test")
    fillings = [_bank.grow(episode, sizes) for _ in range(repeats)]
    bank = _at_sizes([seconds for seconds, _ in fillings], sizes)
    env = _at_sizes([_env.grow(longest) for _ in range(repeats)], sizes)
    rows = [
        {
            "chunks": size,
            "bank_us_per_chunk": bank[size],
            "env_us_per_step": env[size],
            "search_us": median(searches[size] for _, searches in fillings) * 1e6,
        }
        for size in sizes
    ]
    return {"rows": rows, "flat": bank[longest] / bank[min(sizes)], "env_flat": env[longest] / env[min(sizes)]}


def _at_sizes(runs: Sequence[list[float]], sizes: Sequence[int]) -> dict[int, float]:
    """Median microseconds per chunk over the ``WINDOW`` chunks before each size, of several runs."""
    return {size: median(s for seconds in runs for s in seconds[size - WINDOW : size]) * 1e6 for size in sizes}
