"""Reciprocal rank fusion: several rankings of the same entries -> one score per entry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RANK_CONSTANT = 60  # of the paper; it keeps the first few ranks of one ranking from deciding alone


def fuse_ranks(rankings: Sequence[np.ndarray], count: int) -> np.ndarray:
    """The sum over the rankings of 1 / (60 + rank), ranks from 1.

    Ranks need no common scale, which BM25 scores and cosines do not have. Source: Cormack, Clarke and Buettcher,
    "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods", SIGIR 2009.

    Args:
        rankings: Positions of entries, best first, each of shape (M,), M <= N. An entry that a ranking leaves out
            gets nothing from it.
        count: Number of entries N.

    Returns:
        Scores, shape (N,).
    """
    scores = np.zeros(count)
    for ranked in rankings:
        scores[ranked] += 1.0 / (RANK_CONSTANT + np.arange(1, len(ranked) + 1))
    return scores
