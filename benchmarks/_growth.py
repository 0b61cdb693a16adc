"""What a chunk costs after 10, 100 and 1,000 chunks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from benchmarks import _bank, _env
from memgym.tasks.procedural import DialogueGenerator

SIZES = (10, 100, 1000)  # chunks read so far
WINDOW = 10  # chunks timed before each size


def measure_growth(*, repeats: int, sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """Median microseconds at each size: of the bank per chunk, of an environment step, of one search.

    ``flat`` is the bank's cost at the last size over that at the first: 1 when it does not grow.
    """
    longest = max(sizes)
    episode = DialogueGenerator(chunks=longest).episode(0, 0, "test")
    bank = _at_sizes(lambda: _bank.grow(episode), sizes, repeats)
    env = _at_sizes(lambda: _env.grow(longest), sizes, repeats)
    rows = [
        {
            "chunks": size,
            "bank_us_per_chunk": bank[size],
            "env_us_per_step": env[size],
            "search_us": _bank.search_at(episode, size, repeats=repeats) * 1e6,
        }
        for size in sizes
    ]
    return {"rows": rows, "flat": bank[longest] / bank[min(sizes)], "env_flat": env[longest] / env[min(sizes)]}


def _at_sizes(run: Callable[[], list[float]], sizes: Sequence[int], repeats: int) -> dict[int, float]:
    """Median microseconds per chunk over the ``WINDOW`` chunks before each size, of several runs."""
    runs = [run() for _ in range(repeats)]
    return {size: median(s for seconds in runs for s in seconds[size - WINDOW : size]) * 1e6 for size in sizes}
