"""Finding entries for a question: the bank's index against rank_bm25 built anew for every search.

The reference is what Mem-alpha does (arXiv 2509.25911): the lower-cased words of all entries go into a fresh
``BM25Okapi`` for each question, and the best 20 come back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

from rank_bm25 import BM25Okapi

from benchmarks._timing import timed
from memgym.memory.bank import MemoryBank
from memgym.memory.budget import UNLIMITED
from memgym.memory.operations import ENTRY_STORES
from memgym.tasks.locomo import LOCOMO_CATEGORIES, LoCoMo
from memgym.tasks.procedural import DialogueGenerator

CONVERSATION = "conv-26"
ENTRIES = 419  # turns of conv-26
QUESTIONS = 199  # of all its categories
RESULTS = 20  # entries retrieved per question, in both
TURN = 20  # questions that one side is asked before it is the other's turn

_WORD = re.compile(r"\b\w+\b")


def load_conversation() -> tuple[str, list[str], list[str]]:
    """Name of the source, entry texts and questions: LoCoMo conv-26, or generated ones of the same size without it."""
    try:
        task = LoCoMo(split="all", categories=tuple(LOCOMO_CATEGORIES))
    except FileNotFoundError:
        generator = DialogueGenerator(chunks=-(-ENTRIES // 6), turns_per_chunk=6, questions=QUESTIONS)
        episode, source = generator.episode(0, 0, "test"), "generated dialogue, as LoCoMo is not installed"
    else:
        episode = next(episode for episode in task if episode.id == CONVERSATION)
        source = f"LoCoMo {CONVERSATION}"
    texts = list(dict.fromkeys(turn.line for turn in episode.turns))[:ENTRIES]
    return source, texts, [question.text for question in episode.questions]


def measure_retrieval(*, max_questions: int) -> dict[str, Any]:
    """Microseconds per question of both, by turns over the same entries and questions.

    ``speedup`` is the ratio of medians; ``speedup_of_totals`` that of the time for all questions, which includes what
    a bank does once for many of them.
    """
    source, texts, questions = load_conversation()
    questions = questions[:max_questions]
    with fill(texts) as bank, fill(texts) as examined:
        subjects: dict[str, Callable[[str], Sequence[object]]] = {
            "bank": lambda question: bank.search(question, k=RESULTS),
            "exam": lambda question: _search_each_store(examined, question),
            "reference": lambda question: rebuild_and_search(texts, question),
        }
        spent = _spent(subjects, questions)
    middle = {name: median(seconds) * 1e6 for name, seconds in spent.items()}
    return {
        "source": source,
        "entries": len(texts),
        "questions": len(questions),
        "results": RESULTS,
        **{f"{name}_us": value for name, value in middle.items()},
        "speedup": middle["reference"] / middle["bank"],
        "speedup_of_totals": sum(spent["reference"]) / sum(spent["bank"]),
    }


def fill(texts: Sequence[str]) -> MemoryBank:
    """A bank with one episodic entry per text; the texts differ."""
    bank = MemoryBank(budget=UNLIMITED)
    for text in texts:
        result = bank.insert("episodic", text)
        if not result.ok:
            raise RuntimeError(f"the bank refused an entry: {result.reason}")
    return bank


def _spent(
    subjects: Mapping[str, Callable[[str], Sequence[object]]], questions: Sequence[str]
) -> dict[str, list[float]]:
    """Seconds of each subject on each question.

    The subjects take turns after a few questions each, not after every single one: an exam does not throw the caches
    of the processor away between two questions, as building an index would.
    """
    spent: dict[str, list[float]] = {name: [] for name in subjects}
    for start in range(0, len(questions), TURN):
        for name, search in subjects.items():
            for question in questions[start : start + TURN]:
                seconds, found = timed(partial(search, question))
                spent[name].append(seconds)
                if len(found) > RESULTS:
                    raise RuntimeError(f"{name} returned {len(found)} entries: expected at most {RESULTS}")
    return spent


def rebuild_and_search(texts: Sequence[str], question: str) -> list[str]:
    """The reference: tokenise everything, build the index, score every entry, keep the best."""
    index = BM25Okapi([_WORD.findall(text.lower()) for text in texts])
    return index.get_top_n(_WORD.findall(question.lower()), list(texts), n=RESULTS)


def _search_each_store(bank: MemoryBank, question: str) -> list[str]:
    """The same as an exam does it: the best of each store (here the semantic one is empty)."""
    return [entry.text for store in ENTRY_STORES for entry, _ in bank.search_scored(question, store=store, k=RESULTS)]
