"""Operations per second of the memory bank, and what a chunk costs it as it grows."""

from __future__ import annotations

from statistics import median
from typing import Any

from benchmarks._timing import timed
from memgym.memory.bank import MemoryBank
from memgym.memory.budget import UNLIMITED
from memgym.memory.operations import ENTRY_STORES
from memgym.tasks.episode import Episode

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


def grow(episode: Episode) -> list[float]:
    """Seconds per chunk of what an environment asks of the bank when every turn is stored, in a growing bank."""
    with MemoryBank(budget=UNLIMITED) as bank:
        return [timed(lambda chunk=chunk: _store_chunk(bank, chunk))[0] for chunk in episode.chunks]


def _store_chunk(bank: MemoryBank, chunk: Any) -> None:
    bank.step = chunk.index
    for turn in chunk.turns:
        bank.insert("episodic", turn.line, timestamp=chunk.timestamp, sources=(turn.id,))
    for store in ENTRY_STORES:
        bank.entries(store, newest=SHOWN)
    bank.budget_left()


def search_at(episode: Episode, chunks: int, *, repeats: int) -> float:
    """Median seconds of one question in a bank that holds all turns of the first ``chunks`` chunks."""
    with MemoryBank(budget=UNLIMITED) as bank:
        for chunk in episode.chunks[:chunks]:
            _store_chunk(bank, chunk)
        questions = [question.text for question in episode.questions]
        return median(timed(lambda text=text: bank.search(text, k=RESULTS))[0] for text in questions * repeats)
