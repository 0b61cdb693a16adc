"""Evidence recall of the memory bank's own search over raw LoCoMo turns, next to the reference BM25.

One bank per conversation, one entry per turn; the query is the question. Needs the LoCoMo file, which is not part of
this repository (CC BY-NC 4.0)::

    MEMGYM_DATA=<folder> python -m benchmarks.locomo_retrieval --json recall.json
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from statistics import fmean

from memgym.exam.retrieval_metrics import evidence_recall
from memgym.memory.bank import MemoryBank
from memgym.memory.budget import UNLIMITED
from memgym.tasks.episode import Episode
from memgym.tasks.locomo import LOCOMO_CATEGORIES, LoCoMo

# Recall by results looked at, of BM25 over turns: \w+ lower-cased, Porter stems, k1 1.5, b .75,
# idf ln(1 + (N - n + .5) / (n + .5)).
REFERENCE = {1: 0.2740, 5: 0.4904, 10: 0.5690, 25: 0.6765, 50: 0.7444}
REFERENCE_AT_10 = {"1": 0.266, "2": 0.661, "3": 0.237, "4": 0.632, "5": 0.645}

Recalls = dict[int, dict[str, list[float]]]  # results looked at -> category -> recall of each question


def fill(episode: Episode) -> MemoryBank:
    """A bank with one episodic entry per turn: ``speaker said, "text"`` (the text holds the picture's caption)."""
    # A bank refuses exact duplicates, so turns with the same words share an entry.
    sources: dict[str, list[str]] = defaultdict(list)
    for turn in episode.turns:
        sources[f'{turn.speaker} said, "{turn.text}"'].append(turn.id)
    bank = MemoryBank(budget=UNLIMITED)
    for document, turn_ids in sources.items():
        result = bank.insert("episodic", document, sources=turn_ids)
        if not result.ok:
            raise RuntimeError(f"{episode.id} {turn_ids}: the bank refused a turn: {result.reason}")
    return bank


def measure(task: LoCoMo) -> Recalls:
    """Evidence recall of every question that has evidence."""
    recalls: Recalls = {cut: defaultdict(list) for cut in REFERENCE}
    for episode in task:
        with fill(episode) as bank:
            for question in episode.questions:
                found = bank.search(question.text, k=max(REFERENCE))
                for cut, by_category in recalls.items():
                    recall = evidence_recall((id_ for entry in found[:cut] for id_ in entry.sources), question.evidence)
                    if recall is not None:
                        by_category[question.category].append(recall)
    return recalls


def summarise(recalls: Recalls) -> dict[str, dict[str, float]]:
    """Means over questions: by cut, and by category at 10."""
    overall = {str(cut): fmean(chain.from_iterable(recalls[cut].values())) for cut in recalls}
    return {
        "recall": overall,
        "recall_at_10_by_category": {id_: fmean(recalls[10][id_]) for id_ in sorted(recalls[10])},
    }


def table(recalls: Recalls, summary: dict[str, dict[str, float]]) -> str:
    """The figures next to the reference, as two Markdown tables."""
    lines = ["| recall | memory bank | reference BM25 |", "|---|---|---|"]
    lines += [f"| @{cut} | {summary['recall'][str(cut)]:.4f} | {value:.4f} |" for cut, value in REFERENCE.items()]
    lines += ["", "| @10, category | questions | memory bank | reference BM25 |", "|---|---|---|---|"]
    for id_, recall in summary["recall_at_10_by_category"].items():
        name = f"{id_} {LOCOMO_CATEGORIES[id_]}"
        lines.append(f"| {name} | {len(recalls[10][id_])} | {recall:.3f} | {REFERENCE_AT_10[id_]:.3f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables; ``--json FILE`` also writes the figures."""
    parser = argparse.ArgumentParser(description="Evidence recall of the memory bank's search over raw LoCoMo turns.")
    parser.add_argument("--data", default=None, help="LoCoMo file or its folder (default: $MEMGYM_DATA/locomo)")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE", help="also write the figures here")
    options = parser.parse_args(arguments)
    try:
        task = LoCoMo(options.data, split="all", categories=tuple(LOCOMO_CATEGORIES))
    except (FileNotFoundError, ValueError) as error:
        parser.error(str(error))
    recalls = measure(task)
    summary = summarise(recalls)
    count = sum(map(len, recalls[10].values()))
    note = "" if task.verified else " (not the published file: the reference does not apply)"
    print(f"LoCoMo-10, evidence recall over raw turns, {count} questions with evidence{note}\n")
    print(table(recalls, summary))
    if options.json:
        record = {"questions": count, "sha256": task.sha256, "verified": task.verified, **summary}
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
