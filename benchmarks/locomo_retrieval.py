"""What the memory bank's own search finds among raw LoCoMo turns: by words, by vectors, by both; and what it costs.

One bank per conversation, one entry per turn; the query is the question. Needs the LoCoMo file, which is not part of
this repository (CC BY-NC 4.0)::

    MEMGYM_DATA=<folder> python -m benchmarks.locomo_retrieval --json recall.json
    MEMGYM_DATA=<folder> python -m benchmarks.locomo_retrieval --encoder none  # BM25 alone, without torch
    MEMGYM_DATA=<folder> python -m benchmarks.locomo_retrieval --encoder none --split validation --neighbours 1
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import fmean, median
from typing import Any

from benchmarks._timing import timed
from memgym.exam.retrieval_metrics import evidence_recall
from memgym.memory import UNLIMITED, Encoder, Entry, MemoryBank, Retrieval
from memgym.tasks.episode import Episode, Question, Turn
from memgym.tasks.locomo import LOCOMO_CATEGORIES, LoCoMo

# Recall by results looked at, of BM25 over turns: \w+ lower-cased, Porter stems, k1 1.5, b .75,
# idf ln(1 + (N - n + .5) / (n + .5)).
REFERENCE = {1: 0.2740, 5: 0.4904, 10: 0.5690, 25: 0.6765, 50: 0.7444}
REFERENCE_AT_10 = {"1": 0.266, "2": 0.661, "3": 0.237, "4": 0.632, "5": 0.645}

# Ways to search: the bank's retrieval, and whether BM25 counts a word in the entries around it as well.
METHODS: dict[str, tuple[Retrieval, bool]] = {
    "bm25": ("bm25", False),
    "bm25, neighbours": ("bm25", True),
    "dense": ("dense", False),
    "hybrid": ("hybrid", False),
    "hybrid, neighbours": ("hybrid", True),
}

COSTS = {
    "index_s": "storing and indexing all turns, s",
    "question_ms": "a search, question encoded in it, ms (median)",
    "search_ms": "a search, question encoded before, ms (median)",
    "bank_mb": "all banks, MB (10^6 bytes)",
}


@dataclass
class Measured:
    """One way to search, over all conversations."""

    # Results looked at -> category -> recall of each question that has evidence.
    recalls: dict[int, dict[str, list[float]]] = field(
        default_factory=lambda: {cut: defaultdict(list) for cut in REFERENCE}
    )
    question_s: list[float] = field(default_factory=list)  # seconds of the first search for each question
    search_s: list[float] = field(default_factory=list)  # of a second one
    index_s: float = 0.0
    bank_bytes: int = 0

    def summary(self) -> dict[str, Any]:
        """Mean recall over questions by cut, and by category at 10, and the costs."""
        return {
            "recall": {str(cut): fmean(chain.from_iterable(rows.values())) for cut, rows in self.recalls.items()},
            "recall_at_10_by_category": {id_: fmean(rows) for id_, rows in sorted(self.recalls[10].items())},
            "index_s": self.index_s,
            "question_ms": median(self.question_s) * 1e3,
            "search_ms": median(self.search_s) * 1e3,
            "bank_mb": self.bank_bytes / 1e6,
        }


def store_turns(bank: MemoryBank, episode: Episode) -> None:
    """One episodic entry per turn: ``speaker said, "text"`` (the text holds the picture's caption)."""
    # A bank refuses exact duplicates, so turns with the same words share an entry.
    turns: dict[str, list[Turn]] = defaultdict(list)
    for turn in episode.turns:
        turns[f'{turn.speaker} said, "{turn.text}"'].append(turn)
    for document, same in turns.items():
        ids = [turn.id for turn in same]
        result = bank.insert("episodic", document, sources=ids, timestamp=same[0].timestamp)
        if not result.ok:
            raise RuntimeError(f"{episode.id} {ids}: the bank refused a turn: {result.reason}")
    bank.prepare([])  # the vectors, where there are any


def measure(task: LoCoMo, encoder: Encoder | None = None, neighbours: int = 2) -> dict[str, Measured]:
    """Evidence recall and costs of every way to search that there is with this encoder and number of neighbours."""
    measured = {name: Measured() for name, (kind, _) in METHODS.items() if encoder is not None or kind == "bm25"}
    for episode in task:
        stored = b""
        for name, figures in measured.items():
            retrieval, around = METHODS[name]
            reach = neighbours if around else 0
            with MemoryBank(budget=UNLIMITED, encoder=encoder, retrieval=retrieval, neighbours=reach) as bank:
                if retrieval == "hybrid":
                    bank.restore(stored)  # with the vectors that the dense bank has, which cost the same
                    figures.index_s = measured["dense"].index_s
                else:
                    figures.index_s += timed(partial(store_turns, bank, episode))[0]
                stored = bank.snapshot()
                figures.bank_bytes += len(stored)
                for question in episode.questions:
                    _ask(bank, question, figures)
    return measured


def _ask(bank: MemoryBank, question: Question, figures: Measured) -> None:
    search = partial(bank.search, question.text, k=max(REFERENCE))
    first, found = timed(search)
    figures.question_s.append(first)
    figures.search_s.append(timed(search)[0])
    for cut, by_category in figures.recalls.items():
        recall = _recall(found[:cut], question)
        if recall is not None:
            by_category[question.category].append(recall)


def _recall(found: Sequence[Entry], question: Question) -> float | None:
    return evidence_recall((id_ for entry in found for id_ in entry.sources), question.evidence)


def tables(measured: dict[str, Measured], summaries: dict[str, dict[str, Any]]) -> str:
    """The figures as three Markdown tables, recall next to the reference."""
    columns = list(summaries.values())
    lines = _head("recall", *summaries, "reference BM25")
    for cut, reference in REFERENCE.items():
        lines.append(_row(f"@{cut}", [summary["recall"][str(cut)] for summary in columns], f"{reference:.4f}"))
    lines += ["", *_head("@10, category", *summaries, "reference BM25", "questions")]
    for id_, rows in sorted(next(iter(measured.values())).recalls[10].items()):
        figures = [summary["recall_at_10_by_category"][id_] for summary in columns]
        name = f"{id_} {LOCOMO_CATEGORIES[id_]}"
        lines.append(_row(name, figures, f"{REFERENCE_AT_10[id_]:.3f}", str(len(rows))))
    lines += ["", *_head("cost", *summaries)]
    lines += [_row(name, [summary[key] for summary in columns]) for key, name in COSTS.items()]
    return "\n".join(lines)


def _head(*names: str) -> list[str]:
    return [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]


def _row(name: str, figures: Sequence[float], *more: str) -> str:
    return f"| {' | '.join([name, *(f'{figure:.4f}' for figure in figures), *more])} |"


def load_encoder(name: str) -> Encoder | None:
    """The encoder by name; None for "none", so that nothing heavy is imported for BM25 alone."""
    if name == "none":
        return None
    from agents.encoder import TextEncoder

    return TextEncoder(name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables; ``--json FILE`` also writes the figures."""
    parser = argparse.ArgumentParser(description="What the memory bank's search finds among raw LoCoMo turns.")
    parser.add_argument("--data", default=None, help="LoCoMo file or its folder (default: $MEMGYM_DATA/locomo)")
    parser.add_argument("--split", default="all", help="train is conv-26, validation conv-30 (%(default)s)")
    parser.add_argument("--neighbours", type=int, default=2, help="entries on either side (%(default)s)")
    parser.add_argument("--encoder", default="minilm", help='"minilm", a hub id, a folder, or "none" for BM25 alone')
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="also write the figures here")
    options = parser.parse_args(arguments)
    try:
        task = LoCoMo(options.data, split=options.split, categories=tuple(LOCOMO_CATEGORIES))
        encoder = load_encoder(options.encoder)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    measured = measure(task, encoder, options.neighbours)
    summaries = {name: figures.summary() for name, figures in measured.items()}
    count = sum(map(len, measured["bm25"].recalls[10].values()))
    whole = task.verified and options.split == "all"
    note = "" if whole else " (not the published ten: the reference does not apply)"
    print(f"LoCoMo-10, evidence recall over raw turns, {count} questions with evidence{note}\n")
    print(tables(measured, summaries))
    if options.json:
        about = {"questions": count, "sha256": task.sha256, "verified": task.verified}
        record = {**about, "encoder": encoder.name if encoder else None, "retrieval": summaries}
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
