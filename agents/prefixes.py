"""Prompts that begin alike: which of them, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class PrefixCluster:
    """Prompts that share their first tokens."""

    rows: tuple[int, ...]  # indices of the prompts
    shared: int  # tokens; less than the shortest prompt has, as its last token must still predict the reply


class _Division(NamedTuple):
    """A division into runs; the greatest is the best."""

    saved: int  # tokens
    evenness: int  # rows of the longest run, negative: among equals, none is to be far longer than the others
    start: int  # of the last run
    shared: int  # by its prompts


def cluster_by_prefix(prompts: Sequence[Sequence[int]], most: int | None = None) -> list[PrefixCluster]:
    """Divide prompts so that reading each cluster's prefix once saves many tokens.

    In sorted order, prompts stand beside those that they share the most with. Of all divisions of that order into runs
    this is the one that saves most, found by dynamic programming in a time that grows with the square of their number.

    Args:
        prompts: Token ids, none empty.
        most: Prompts in a cluster, at least 1; None for any number.
    """
    order = sorted(range(len(prompts)), key=lambda row: list(prompts[row]))
    ordered = [prompts[row] for row in order]
    common = [_common(*pair) for pair in pairwise(ordered)]
    best = [_Division(0, 0, 0, 0)]  # of the first 0, 1, ... prompts
    for end in range(1, len(ordered) + 1):
        shared, divisions = len(ordered[end - 1]) - 1, []
        for start in range(end - 1, max(0, end - most if most is not None else 0) - 1, -1):
            if start < end - 1:
                shared = min(shared, common[start], len(ordered[start]) - 1)
                if not shared:
                    break
            before, rows = best[start], end - start
            divisions.append(_Division(before.saved + shared * (rows - 1), min(before.evenness, -rows), start, shared))
        best.append(max(divisions))
    clusters, end = [], len(ordered)
    while end:
        _, _, start, shared = best[end]
        clusters.append(PrefixCluster(tuple(order[start:end]), shared))
        end = start
    return clusters[::-1]


def saved_tokens(clusters: Sequence[PrefixCluster]) -> int:
    """Tokens that need not be read again."""
    return sum(cluster.shared * (len(cluster.rows) - 1) for cluster in clusters)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    limit = min(len(a), len(b))
    return next((i for i in range(limit) if a[i] != b[i]), limit)
