"""Prompts that begin alike: which of them, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class PrefixCluster:
    """Prompts that share their first tokens."""

    rows: tuple[int, ...]  # indices of the prompts
    shared: int  # tokens; less than the shortest prompt has, as its last token must still predict the reply


def cluster_by_prefix(prompts: Sequence[Sequence[int]], most: int | None = None) -> list[PrefixCluster]:
    """Divide prompts so that reading each cluster's prefix once saves many tokens.

    In sorted order, prompts stand beside those that they share the most with. Of all divisions of that order into runs
    this is the one that saves most, found by dynamic programming in a time that grows with the square of their number.

    Args:
        prompts: Token ids, none empty.
        most: Prompts in a cluster; None for any number.
    """
    order = sorted(range(len(prompts)), key=lambda row: list(prompts[row]))
    ordered = [prompts[row] for row in order]
    common = [_common(*pair) for pair in pairwise(ordered)]
    best = [(0, 0, 0)]  # of the first 0, 1, ... prompts: tokens saved; where the last run starts; what it shares
    for end in range(1, len(ordered) + 1):
        shared = len(ordered[end - 1]) - 1
        best.append((best[end - 1][0], end - 1, shared))
        for start in range(end - 2, max(0, end - (most or end)) - 1, -1):
            shared = min(shared, common[start], len(ordered[start]) - 1)
            if not shared:
                break
            best[end] = max(best[end], (best[start][0] + shared * (end - start - 1), start, shared), key=_saving)
    clusters, end = [], len(ordered)
    while end:
        _, start, shared = best[end]
        clusters.append(PrefixCluster(tuple(order[start:end]), shared))
        end = start
    return clusters[::-1]


def saved_tokens(clusters: Sequence[PrefixCluster]) -> int:
    """Tokens that need not be read again."""
    return sum(cluster.shared * (len(cluster.rows) - 1) for cluster in clusters)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    limit = min(len(a), len(b))
    return next((i for i in range(limit) if a[i] != b[i]), limit)


def _saving(division: tuple[int, int, int]) -> int:
    return division[0]
