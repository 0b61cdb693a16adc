"""Retrieval metrics: how much of a question's evidence a memory gives back, and how high it ranks it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence


def evidence_recall(found: Iterable[str], evidence: Iterable[str]) -> float | None:
    """Share of the evidence ids that were found.

    Args:
        found: turn ids behind the retrieved entries (the union of their sources).
        evidence: turn ids that hold the answer; repeated ids count once.

    Returns:
        |found & evidence| / |evidence|, or None for a question without evidence, which belongs in no average. (The
        LoCoMo scorer records 1 for these, its aggregator 0.)
    """
    wanted = set(evidence)
    return len(wanted.intersection(found)) / len(wanted) if wanted else None


def ndcg(relevance: Sequence[int], k: int) -> float:
    """Normalised discounted cumulative gain at ``k``: rank i, from 1, is divided by log2(i + 1).

    Args:
        relevance: 0 or 1 for *every* document, best ranked first, shape (N,); the ideal is taken over all of them.
        k: documents looked at, at least 1.

    Returns:
        DCG over ideal DCG, in [0, 1]; 0 when nothing is relevant.
    """
    return _normalised_gain(relevance, k, lambda rank: math.log2(rank + 1))


def ndcg_lme(relevance: Sequence[int], k: int) -> float:
    """LongMemEval's nDCG at ``k`` (arXiv 2410.10813): rank i >= 2 is divided by log2(i), so rank 2 is not discounted.

    Arguments and result as in :func:`ndcg`.
    """
    return _normalised_gain(relevance, k, lambda rank: math.log2(max(rank, 2)))


def _normalised_gain(relevance: Sequence[int], k: int, discount: Callable[[int], float]) -> float:
    if k < 1:
        raise ValueError(f"k={k}: expected at least 1 document")

    def gain(ranked: Sequence[int]) -> float:
        return sum(hit / discount(rank) for rank, hit in enumerate(ranked[:k], start=1))

    ideal = gain(sorted(relevance, reverse=True))
    return gain(relevance) / ideal if ideal else 0.0
