"""Operations per second of the memory bank, and what a chunk costs it as it grows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import median
from typing import Any

from benchmarks._timing import timed
from memgym.memory.bank import MemoryBank
from memgym.memory.budget import UNLIMITED
from memgym.memory.operations import ENTRY_STORES
from memgym.tasks.episode import Chunk, Episode

SHOWN = 5  # newest entries per store that an observation reads, as in the environments
RESULTS = 5  # of a search


def measure_operations(episode: Episode, *, repeats: int) -> dict[str, Any]:
    """Operations per second in a bank that holds one entry per turn of the episode; medians over repeats."""
    lines = list(dict.fromkeys(turn.line for turn in episode.turns))
    rates: dict[str, list[float]] = {}
    for _ in range(repeats):
        for name, rate in _rates(lines).items():
            rates.setdefault(name, []).append(rate)
    return {"entries": len(lines)} | {f"{name}_per_s": median(values) for name, values in rates.items()}


def _rates(lines: list[str]) -> dict[str, float]:
    with MemoryBank(budget=UNLIMITED) as bank:
        calls = {
            "insert": lambda: [bank.insert("episodic", line) for line in lines],
            "search": lambda: [bank.search(line, k=RESULTS) for line in lines],
            "update": lambda: [bank.update("", f"{line} .", entry_id=id_) for id_, line in enumerate(lines, start=1)],
            "delete": lambda: [bank.delete("", entry_id=id_) for id_ in range(1, len(lines) + 1)],
        }
        return {name: len(lines) / timed(call)[0] for name, call in calls.items()}


def grow(episode: Episode, sizes: Sequence[int]) -> tuple[list[float], dict[int, float]]:
    """Fill a bank with all turns of an episode.

    Returns:
        Seconds per chunk of what an environment asks of the bank, and, by number of chunks stored so far, the median
        seconds of one search.
    """
    seconds, searches = [], {}
    with MemoryBank(budget=UNLIMITED) as bank:
        for number, chunk in enumerate(episode.chunks, start=1):
            seconds.append(timed(partial(_store_chunk, bank, chunk))[0])
            if number in sizes:
                calls = [partial(bank.search, question.text, k=RESULTS) for question in episode.questions]
                searches[number] = median(timed(call)[0] for call in calls)
    return seconds, searches


def _store_chunk(bank: MemoryBank, chunk: Chunk) -> None:
    """What an environment does in a step in which every turn is stored."""
    bank.step = chunk.index
    for turn in chunk.turns:
        bank.insert("episodic", turn.line, timestamp=chunk.timestamp, sources=(turn.id,))
    for store in ENTRY_STORES:
        bank.entries(store, newest=SHOWN)
    bank.budget_left()
