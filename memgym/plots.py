"""Pictures of a run, as PNG. They need the ``plots`` extra (matplotlib)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memgym.evaluate import Summary


def plot_training_curve(rows: Sequence[Mapping[str, Any]], path: str | Path) -> None:
    """Training reward and held-out score against optimiser steps, between floor and ceiling.

    Args:
        rows: Of a ``metrics.jsonl``; those with ``reward`` make the training curve, those with ``eval_score`` the
            held-out one.
        path: PNG to write.
    """
    figure, axes = _figure()
    training = [(row["step"], row["reward"]) for row in rows if row.get("reward") is not None]
    held_out = [(row["step"], row["eval_score"]) for row in rows if "eval_score" in row]
    if training:
        axes.plot(*zip(*training, strict=True), color="0.65", linewidth=1, label="training reward")
    if held_out:
        axes.plot(*zip(*held_out, strict=True), color="C0", marker="o", label="held-out score")
    bounds = next((row for row in rows if "eval_floor" in row), None)
    if bounds is not None:
        axes.axhline(bounds["eval_floor"], color="C3", linestyle=":", label="floor (no memory)")
        axes.axhline(bounds["eval_ceiling"], color="C2", linestyle=":", label="ceiling (oracle)")
    axes.set_xlabel("optimiser step")
    axes.set_ylabel("QA score")
    _save(figure, axes, path)


def plot_scores(summaries: Mapping[str, Summary], path: str | Path) -> None:
    """Scores of several policies with their 95 % intervals.

    Args:
        summaries: By policy, in the order of the bars.
        path: PNG to write.
    """
    figure, axes = _figure()
    for position, (name, summary) in enumerate(summaries.items()):
        low, high = summary.ci95 or (summary.score, summary.score)
        error = [[max(summary.score - low, 0.0)], [max(high - summary.score, 0.0)]]
        axes.bar(position, summary.score, yerr=error, capsize=3, color="C0", label="_" + name)
    axes.set_xticks(range(len(summaries)), list(summaries), rotation=30, ha="right")
    axes.set_ylabel("QA score, 95 % interval over episodes")
    _save(figure, axes, path)


def _figure() -> tuple[Any, Any]:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("plots need matplotlib: pip install 'memgym[plots]'") from error
    figure = Figure(figsize=(6.4, 4.0), dpi=120, layout="constrained")  # no pyplot: no display, no global state
    return figure, figure.add_subplot()


def _save(figure: Any, axes: Any, path: str | Path) -> None:
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="best", fontsize="small")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
