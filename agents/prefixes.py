"""Prompts that begin alike: which of them, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PrefixCluster:
    """Prompts that share their first tokens."""

    rows: tuple[int, ...]  # indices of the prompts
    shared: int  # tokens; less than the shortest prompt has, as its last token must still predict the reply


def cluster_by_prefix(prompts: Sequence[Sequence[int]]) -> list[PrefixCluster]:
    """Divide prompts so that reading each cluster's prefix once saves many tokens.

    Greedy, in sorted order: a prompt joins the cluster before it if that saves more than it costs, since every prompt
    of a cluster shares no more than all of them do.

    Args:
        prompts: Token ids, none empty.
    """
    clusters: list[PrefixCluster] = []
    for row in sorted(range(len(prompts)), key=lambda row: list(prompts[row])):
        if clusters:
            last = clusters[-1]
            shared = min(last.shared, _common(prompts[last.rows[0]], prompts[row]))
            if shared * len(last.rows) > last.shared * (len(last.rows) - 1):
                clusters[-1] = PrefixCluster((*last.rows, row), shared)
                continue
        clusters.append(PrefixCluster((row,), len(prompts[row]) - 1))
    return clusters


def saved_tokens(clusters: Sequence[PrefixCluster]) -> int:
    """Tokens that need not be read again."""
    return sum(cluster.shared * (len(cluster.rows) - 1) for cluster in clusters)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    limit = min(len(a), len(b) - 1)
    return next((i for i in range(limit) if a[i] != b[i]), limit)
