"""Scores of policies on the same episodes: intervals, floor and ceiling, paired comparisons, one table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from memgym.rollout import Trajectory
from memgym.statistics import (
    Interval,
    bootstrap_ci,
    cluster_bootstrap_ci,
    mean_or_zero,
    normalised_score,
    paired_bootstrap_ci,
    paired_permutation,
)

FLOOR = "no_memory"
CEILING = "oracle"


@dataclass(frozen=True, slots=True)
class Summary:
    """One policy in one environment with one reader."""

    score: float  # mean over episodes of the exam score
    ci95: tuple[float, float] | None  # bootstrap over episodes; None for a single episode
    question_score: float  # mean over the questions of all episodes
    question_ci95: tuple[float, float] | None  # bootstrap over episodes too: questions of one share its memory
    normalised: float | None  # (score - floor) / (ceiling - floor); None where these are missing or meet
    reward: float  # mean return
    memory_tokens: float  # mean size of the final memory, in the unit of the budget
    stream_tokens: float  # mean size of what was read, same unit
    evidence_recall: float | None  # mean over the questions that name evidence
    failed_operations: float  # share
    episodes: int
    questions: int
    categories: dict[str, dict[str, float]]  # category -> mean score over its questions, and their number

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def summarise(trajectories: Sequence[Trajectory], *, floor: float | None, ceiling: float | None) -> Summary:
    """Aggregate the trajectories of one policy.

    Args:
        trajectories: One per episode; at least one.
        floor: Mean score of ``no_memory`` on the same episodes, if it was run.
        ceiling: Mean score of ``oracle`` on the same episodes, if it was run.
    """
    if not trajectories:
        raise ValueError("no trajectories to summarise: run at least one episode")
    scores = [trajectory.score for trajectory in trajectories]
    answers = [answer for trajectory in trajectories for answer in trajectory.exam["answers"]]
    operations = [op for trajectory in trajectories for step in trajectory.steps for op in step.operations]
    recalls = [answer["evidence_recall"] for answer in answers if answer["evidence_recall"] is not None]
    score = mean_or_zero(scores)
    return Summary(
        score=score,
        ci95=_bounds(bootstrap_ci(scores)) if len(scores) > 1 else None,
        question_score=mean_or_zero([answer["score"] for answer in answers]),
        question_ci95=_question_interval(trajectories),
        normalised=None if floor is None or ceiling is None else normalised_score(score, floor, ceiling),
        reward=mean_or_zero([trajectory.reward for trajectory in trajectories]),
        memory_tokens=mean_or_zero([trajectory.memory_tokens for trajectory in trajectories]),
        stream_tokens=mean_or_zero([trajectory.stream_tokens for trajectory in trajectories]),
        evidence_recall=mean_or_zero(recalls) if recalls else None,
        failed_operations=mean_or_zero([operation["status"] == "failed" for operation in operations]),
        episodes=len(trajectories),
        questions=len(answers),
        categories=_by_category(answers),
    )


def summarise_all(runs: Mapping[str, Sequence[Trajectory]]) -> dict[str, Summary]:
    """Summaries by policy, normalised between ``no_memory`` and ``oracle`` where both are among them."""
    means = {
        name: mean_or_zero([trajectory.score for trajectory in runs[name]]) for name in (FLOOR, CEILING) if name in runs
    }
    return {
        name: summarise(trajectories, floor=means.get(FLOOR), ceiling=means.get(CEILING))
        for name, trajectories in runs.items()
    }


def compare(first: Sequence[Trajectory], second: Sequence[Trajectory]) -> dict[str, Any]:
    """Paired difference first - second over the same episodes.

    Returns:
        ``mean``, ``ci95`` (bootstrap over episodes; None for a single one) and ``p`` (sign-flip permutation test,
        two-sided).

    Raises:
        ValueError: The two were not run on the same episodes.
    """
    if [t.episode_id for t in first] != [t.episode_id for t in second]:
        raise ValueError("a paired comparison needs the same episodes in the same order")
    a, b = [t.score for t in first], [t.score for t in second]
    return {
        "mean": mean_or_zero(a) - mean_or_zero(b),
        "ci95": list(_bounds(paired_bootstrap_ci(a, b))) if len(a) > 1 else None,
        "p": paired_permutation(a, b),
        "episodes": len(a),
    }


def format_table(summaries: Mapping[str, Summary]) -> str:
    """The summaries as an aligned text table, one row per policy.

    ``score`` is the mean over episodes, ``per question`` the mean over all questions; both intervals are bootstraps
    over episodes.
    """
    header = (
        *("agent", "score", "95 % interval", "per question", "95 % interval", "normalised"),
        *("memory tokens", "evidence recall", "failed ops"),
    )
    return _aligned([header, *(_row(name, summary) for name, summary in summaries.items())])


def format_categories(summaries: Mapping[str, Summary], names: Mapping[str, str]) -> str:
    """Mean score over the questions of each category as an aligned text table; "" where there is one category only.

    Args:
        summaries: By policy, all over the same questions.
        names: Category -> its name, printed beside it; those left out have none.
    """
    categories = next(iter(summaries.values())).categories
    if len(categories) < 2:
        return ""
    labels = [f"{category} {names.get(category, '')}".strip() for category in categories]
    counts = [f"({int(figures['n'])})" for figures in categories.values()]
    rows = [("questions by category", *(f"{label} {count}" for label, count in zip(labels, counts, strict=True)))]
    for name, summary in summaries.items():
        rows.append((name, *(f"{summary.categories[category]['score']:.3f}" for category in categories)))
    return _aligned(rows)


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns of equal width, a rule under the first row."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def _row(name: str, summary: Summary) -> tuple[str, ...]:
    score = (f"{summary.score:.3f}", _interval(summary.ci95))
    per_question = (f"{summary.question_score:.3f}", _interval(summary.question_ci95))
    normalised = "-" if summary.normalised is None else f"{summary.normalised:.3f}"
    recall = "-" if summary.evidence_recall is None else f"{summary.evidence_recall:.3f}"
    tokens = f"{summary.memory_tokens:.0f} of {summary.stream_tokens:.0f}"
    return name, *score, *per_question, normalised, tokens, recall, f"{summary.failed_operations:.3f}"


def _interval(bounds: tuple[float, float] | None) -> str:
    return "-" if bounds is None else f"[{bounds[0]:.3f}, {bounds[1]:.3f}]"


def _question_interval(trajectories: Sequence[Trajectory]) -> tuple[float, float] | None:
    pairs = [(answer["score"], number) for number, t in enumerate(trajectories) for answer in t.exam["answers"]]
    if len({number for _, number in pairs}) < 2:
        return None
    scores, episodes = zip(*pairs, strict=True)
    return _bounds(cluster_bootstrap_ci(scores, episodes))


def _by_category(answers: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    scores: dict[str, list[float]] = defaultdict(list)
    for answer in answers:
        scores[answer["category"]].append(answer["score"])
    return {
        category: {"score": mean_or_zero(scores[category]), "n": len(scores[category])} for category in sorted(scores)
    }


def _bounds(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high
