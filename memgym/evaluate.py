"""Scores of policies on the same episodes: intervals, floor and ceiling, paired comparisons, one table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from operator import itemgetter
from typing import Any

from memgym.exam import metrics
from memgym.rollout import Trajectory
from memgym.statistics import (
    EXACT_UNITS,
    Interval,
    bootstrap_ci,
    cluster_bootstrap_ci,
    holm,
    mean_or_zero,
    normalised_score,
    paired_bootstrap_ci,
    paired_permutation,
    paired_test,
)

FLOOR = "no_memory"
CEILING = "oracle"
MEASURES: dict[str, Callable[[Mapping[str, Any]], float | None]] = {
    "score": itemgetter("score"),
    "bleu1": lambda answer: metrics.score("bleu1", answer["prediction"], answer["answers"]),
    "evidence_recall": itemgetter("evidence_recall"),
}
"""What is averaged over questions: a graded answer -> its figure, None where it has none."""


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
    measures: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name in ``MEASURES`` -> ``mean`` over questions, ``n`` of them, and its intervals: ``ci95_episodes`` resamples
    episodes, ``ci95_questions`` questions; None for a single one."""

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
    measures = _measures(trajectories)
    return Summary(
        score=score,
        ci95=_bounds(bootstrap_ci(scores)) if len(scores) > 1 else None,
        question_score=mean_or_zero([answer["score"] for answer in answers]),
        question_ci95=measures["score"]["ci95_episodes"] if answers else None,
        normalised=None if floor is None or ceiling is None else normalised_score(score, floor, ceiling),
        reward=mean_or_zero([trajectory.reward for trajectory in trajectories]),
        memory_tokens=mean_or_zero([trajectory.memory_tokens for trajectory in trajectories]),
        stream_tokens=mean_or_zero([trajectory.stream_tokens for trajectory in trajectories]),
        evidence_recall=mean_or_zero(recalls) if recalls else None,
        failed_operations=mean_or_zero([operation["status"] == "failed" for operation in operations]),
        episodes=len(trajectories),
        questions=len(answers),
        categories=_by_category(answers),
        measures=measures,
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


def best_policy(summaries: Mapping[str, Summary], candidates: Sequence[str]) -> str:
    """The candidate with the best mean over questions; the first of equals."""
    return max(candidates, key=lambda name: summaries[name].question_score)


def compare_all(runs: Mapping[str, Sequence[Trajectory]], baseline: str) -> dict[str, Any]:
    """Paired tests of every policy against one of them, over questions, with Holm's correction over all of them.

    A question that an episode asks twice, as conv-48 of LoCoMo does, counts once.

    Returns:
        ``baseline``, ``questions``, ``episodes``, and ``agents``: by policy ``mean`` of policy - baseline, ``ci95``
        (episodes are resampled; None for a single one), ``p_questions`` and ``p_episodes`` (permutation tests over
        questions, as if they were independent, and over episodes), and both as ``holm_questions``, ``holm_episodes``.

    Raises:
        ValueError: A policy was asked other questions than the baseline.
    """
    base = _distinct_scores(runs[baseline])
    episodes = [key[0] for key in base]
    rows: dict[str, dict[str, Any]] = {}
    for name in [name for name in runs if name != baseline]:
        scores = _distinct_scores(runs[name])
        if scores.keys() != base.keys():
            raise ValueError(f"{name} was asked other questions than {baseline}: a paired test needs the same")
        test = paired_test([scores[key] for key in base], list(base.values()), episodes)
        interval = list(_bounds(test.difference)) if len(set(episodes)) > 1 else None
        mean = test.difference.estimate
        rows[name] = {"mean": mean, "ci95": interval, "p_questions": test.p_questions, "p_episodes": test.p_clusters}
    for unit in ("questions", "episodes") if rows else ():
        for row, adjusted in zip(rows.values(), holm([row[f"p_{unit}"] for row in rows.values()]), strict=True):
            row[f"holm_{unit}"] = adjusted
    return {"baseline": baseline, "questions": len(base), "episodes": len(set(episodes)), "agents": rows}


def _distinct_scores(trajectories: Sequence[Trajectory]) -> dict[tuple[Any, ...], float]:
    """Score by episode and question; of repeats the first."""
    scores: dict[tuple[Any, ...], float] = {}
    for trajectory in trajectories:
        for answer in trajectory.exam["answers"]:
            key = (trajectory.episode_id, answer["question"], answer["category"], *answer["answers"])
            scores.setdefault(key, answer["score"])
    return scores


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


def format_measures(summaries: Mapping[str, Summary], score_name: str = "score") -> str:
    """Means over questions as an aligned text table: each with the interval over episodes and that over questions.

    Args:
        summaries: By policy, all over the same questions.
        score_name: What the questions' own metric is called.
    """
    names = {"score": score_name, "bleu1": "BLEU-1", "evidence_recall": "evidence recall"}
    header = ["agent"]
    for name in names.values():
        header += [name, "by episode", "by question"]
    rows = [(*header, "memory tokens")]
    for agent, summary in summaries.items():
        cells = [cell for name in names for cell in _measure_cells(summary.measures.get(name))]
        rows.append((agent, *cells, f"{summary.memory_tokens:.0f}"))
    return _aligned(rows)


def format_comparison(comparison: Mapping[str, Any]) -> str:
    """What ``compare_all`` found: a line that says how it was tested, then an aligned text table."""
    episodes, count = comparison["episodes"], len(comparison["agents"])
    about = f"{comparison['questions']} questions of {episodes} episodes, paired; Holm's correction for {count} tests"
    if episodes <= EXACT_UNITS:
        about += f"; so few episodes allow no p by episode below {2 / 2**episodes:.4f}"
    header = (f"minus {comparison['baseline']}", "difference", "95 % interval")
    tests = ("p by question", "Holm", "p by episode", "Holm")
    rows = [(*header, *tests)]
    for name, row in comparison["agents"].items():
        interval = "-" if row["ci95"] is None else "[{:+.3f}, {:+.3f}]".format(*row["ci95"])
        columns = ("p_questions", "holm_questions", "p_episodes", "holm_episodes")
        rows.append((name, f"{row['mean']:+.3f}", interval, *(f"{row[column]:.4f}" for column in columns)))
    return f"{about}\n{_aligned(rows)}"


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


def _measure_cells(figures: Mapping[str, Any] | None) -> tuple[str, str, str]:
    if figures is None:
        return "-", "-", "-"
    return f"{figures['mean']:.3f}", _interval(figures["ci95_episodes"]), _interval(figures["ci95_questions"])


def _measures(trajectories: Sequence[Trajectory]) -> dict[str, dict[str, Any]]:
    """Questions about one episode share its memory: the interval over episodes is the honest one, and the wider."""
    answers = [(number, answer) for number, t in enumerate(trajectories) for answer in t.exam["answers"]]
    found = {}
    for name, measure in MEASURES.items():
        pairs = [(value, number) for number, answer in answers if (value := measure(answer)) is not None]
        if pairs:
            values, episodes = zip(*pairs, strict=True)
            found[name] = {
                "mean": mean_or_zero(values),
                "ci95_episodes": _bounds(cluster_bootstrap_ci(values, episodes)) if len(set(episodes)) > 1 else None,
                "ci95_questions": _bounds(bootstrap_ci(values)) if len(values) > 1 else None,
                "n": len(values),
            }
    return found


def _by_category(answers: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    scores: dict[str, list[float]] = defaultdict(list)
    for answer in answers:
        scores[answer["category"]].append(answer["score"])
    return {
        category: {"score": mean_or_zero(scores[category]), "n": len(scores[category])} for category in sorted(scores)
    }


def _bounds(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high
