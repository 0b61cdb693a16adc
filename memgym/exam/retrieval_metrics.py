"""How much of a question's evidence a memory gives back."""

from __future__ import annotations

from collections.abc import Iterable


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
