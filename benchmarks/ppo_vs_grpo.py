"""PPO beside GRPO: from the same start, with the same number of generated tokens.

    accelerate launch -m train.sft --config train/configs/dialogue_answerer_sft.yaml   # the start
    python -m benchmarks.ppo_vs_grpo
    python -m benchmarks.ppo_vs_grpo --config train/configs/demo_grpo.yaml --steps 8   # from the demo's start

The task, the start and what both have in common are those of a GRPO configuration, by default the Answer Agent's on
procedural dialogues. A step of either is the same number of trajectories: GRPO rolls G of one episode, PPO one each of
as many episodes, as its critic takes the place of the groups. Replies differ in length, so curves are drawn against
generated tokens, and the table is read where the shortest run ends. A seed is that of the samples.

Writes ``results.json`` and ``curves.png`` after every run, and each run into a folder of its own. What is finished
there with the same settings is not trained again, what was interrupted goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from transformers.trainer_utils import get_last_checkpoint

from train import grpo, ppo
from train.callbacks import METRICS, read_metrics
from train.demo import launch
from train.settings import load_settings
from train.setup import ADAPTER, check_resumed

TRAINERS = {"ppo": ppo, "grpo": grpo}
# What PPO has and GRPO has not. Four smaller steps on a batch instead of one; no KL term, as TRL's GRPO has none.
PPO = {"epochs": 2, "minibatches": 2, "learning_rate": 2e-4, "critic_learning_rate": 1e-3, "kl_coef": 0.0}
FIGURES = ("start", "score", "gain", "mean_reward")
COLOURS = {"ppo": "C1", "grpo": "C0"}

Curve = list[tuple[float, float]]  # generated tokens so far, figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Train with both algorithms and every seed; print the table, write figures and curves."""
    options = _parser().parse_args(arguments)
    rows: list[dict[str, Any]] = []
    for seed in options.seeds:
        for algorithm in TRAINERS:
            rows.append(run(options, algorithm, seed))
            write(options, rows)  # after every run: a long one may be interrupted
    print("\n" + table(summarise(rows)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Compare PPO with GRPO.")
    parser.add_argument("--config", default="train/configs/dialogue_answerer_grpo.yaml", help="of GRPO (%(default)s)")
    parser.add_argument("--start", default=None, metavar="ADAPTER", help="folder (default: the configuration's)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=None, help="of each run (default: the configuration's)")
    parser.add_argument("--ppo", type=json.loads, default={}, help="JSON: further settings of train.ppo")
    parser.add_argument("--output", type=Path, default=Path("runs/ppo_vs_grpo"), help="folder (%(default)s)")
    return parser


def run(options: argparse.Namespace, algorithm: str, seed: int) -> dict[str, Any]:
    """Train with one algorithm and seed, as far as it has not been done; its curves."""
    values = settings_of(options, algorithm, seed)
    folder = Path(values["output_dir"])
    if is_finished(folder, values["max_steps"]):
        kind = getattr(TRAINERS[algorithm], f"{algorithm.upper()}Settings")
        check_resumed(load_settings(kind, _command_line(values), ""))
    else:
        started = folder.is_dir() and get_last_checkpoint(str(folder)) is not None
        launch(f"train.{algorithm}", _command_line(values | {"resume": started}))
    return {"algorithm": algorithm, "seed": seed, **read_run(folder)}


def settings_of(options: argparse.Namespace, algorithm: str, seed: int) -> dict[str, Any]:
    """Settings of a run: the configuration's, as far as the trainer has them, and what distinguishes the run."""
    values = yaml.safe_load(Path(options.config).read_text(encoding="utf-8"))
    common = load_settings(grpo.GRPOSettings, ["--config", options.config], "")
    if algorithm == "ppo":
        known = {item.name for item in fields(ppo.PPOSettings)}
        batch = {"group_size": 1, "episodes_per_step": common.episodes_per_step * common.group_size}
        values = {name: value for name, value in values.items() if name in known} | batch | PPO | options.ppo
    if options.start is not None:
        values["backbone"] = {**values.get("backbone", {}), "adapter": options.start}
    own = {"seed": seed, "output_dir": str(options.output / f"{algorithm}_{seed}"), "save_every": common.eval_every}
    return values | own | {"max_steps": common.max_steps if options.steps is None else options.steps}


def _command_line(values: Mapping[str, Any]) -> list[str]:
    return [part for name, value in values.items() for part in (f"--{name}", json.dumps(value))]


def is_finished(folder: Path, steps: int) -> bool:
    """Whether a run has done its steps and left its adapter."""
    if not (folder / ADAPTER).is_dir() or not (folder / METRICS).is_file():
        return False
    return max((row["step"] for row in read_metrics(folder / METRICS) if "reward" in row), default=0) >= steps


def read_run(folder: Path) -> dict[str, Any]:
    """Curves of a run against generated tokens, from its metrics."""
    rows = read_metrics(folder / METRICS)
    steps = sorted((row for row in rows if "reward" in row), key=lambda row: row["step"])
    tokens = {0: 0.0}  # generated by the end of the step
    for row in steps:
        tokens[row["step"]] = tokens[row["step"] - 1] + row["generated_tokens"]
    graded = [row for row in rows if "eval_score" in row]
    return {
        "steps": len(steps),
        "generated_tokens": tokens[len(steps)],
        "step_s": round(sum(row["step_time"] for row in steps), 1),  # seconds, without the evaluations
        "floor": graded[0].get("eval_floor"),
        "ceiling": graded[0].get("eval_ceiling"),
        "training": [(tokens[row["step"]], row["reward"]) for row in steps],
        "held_out": [(tokens[row["step"]], row["eval_score"]) for row in graded],
    }


def summarise(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The common number of tokens, and mean and standard deviation over the seeds by algorithm and figure.

    ``start`` and ``score`` are of held-out episodes before the training and after that many tokens (between two
    evaluations on the line that joins them), ``gain`` is their difference, ``mean_reward`` the mean training reward of
    the steps up to there.
    """
    budget = min(row["generated_tokens"] for row in rows)
    summary: dict[str, Any] = {"generated_tokens": budget, "algorithms": {}}
    for algorithm in dict.fromkeys(row["algorithm"] for row in rows):
        own = [_figures(row, budget) for row in rows if row["algorithm"] == algorithm]
        summary["algorithms"][algorithm] = {"seeds": len(own)} | {
            name: {"mean": fmean(values), "std": stdev(values) if len(values) > 1 else None}
            for name in FIGURES
            for values in [[figures[name] for figures in own]]
        }
    return summary


def _figures(row: Mapping[str, Any], budget: float) -> dict[str, float]:
    start, score = row["held_out"][0][1], float(at(row["held_out"], budget))
    rewards = [reward for tokens, reward in row["training"] if tokens <= budget]
    # A single step of the longer run may reach beyond what the shorter one generated.
    return {
        "start": start,
        "score": score,
        "gain": score - start,
        "mean_reward": fmean(rewards or [row["training"][0][1]]),
    }


def at(curve: Curve, tokens: Any) -> Any:
    """The figure of a curve after a number of tokens, or at each of an array (N,) of them."""
    return np.interp(tokens, *zip(*curve, strict=True))


def write(options: argparse.Namespace, rows: Sequence[dict[str, Any]]) -> None:
    """Write the record and the picture."""
    options.output.mkdir(parents=True, exist_ok=True)
    plain = {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()}
    record = {"options": plain, "ppo": PPO | options.ppo, "table": summarise(rows), "runs": rows}
    (options.output / "results.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    plot(rows, options.output / "curves.png")


def plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Training reward and held-out score side by side: mean over the seeds, one standard deviation as a band."""
    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2)
    budget = min(row["generated_tokens"] for row in rows)
    for algorithm in dict.fromkeys(row["algorithm"] for row in rows):
        own = [row for row in rows if row["algorithm"] == algorithm]
        _draw(left, [row["training"] for row in own], budget, algorithm)
        _draw(right, [row["held_out"] for row in own], budget, algorithm)
    for bound, colour in (("floor", "C3"), ("ceiling", "C2")):
        if rows[0][bound] is not None:
            right.axhline(rows[0][bound], color=colour, linestyle=":", label=bound)
    for axes, label in ((left, "training reward"), (right, "held-out score")):
        axes.set_xlabel("generated tokens")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
        axes.legend(loc="best", fontsize="small")
    figure.savefig(path)


def _draw(axes: Axes, curves: Sequence[Curve], budget: float, algorithm: str) -> None:
    tokens = np.linspace(min(max(curve[0][0] for curve in curves), budget), budget, 200)
    values = np.stack([at(curve, tokens) for curve in curves])  # (seeds, 200)
    mean, colour = values.mean(axis=0), COLOURS[algorithm]
    axes.plot(tokens, mean, color=colour, label=f"{algorithm.upper()}, {len(curves)} seeds")
    if len(curves) > 1:
        spread = values.std(axis=0, ddof=1)
        axes.fill_between(tokens, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)


def table(summary: Mapping[str, Any]) -> str:
    """As text, one line per algorithm."""
    lines = [f"after {summary['generated_tokens']:,.0f} generated tokens"]
    lines.append(f"{'':8}{'seeds':>6}" + "".join(f"{name:>18}" for name in FIGURES))
    for algorithm, row in summary["algorithms"].items():
        lines.append(f"{algorithm:8}{row['seeds']:>6}" + "".join(f"{_cell(row[name]):>18}" for name in FIGURES))
    return "\n".join(lines)


def _cell(figure: Mapping[str, float | None]) -> str:
    return f"{figure['mean']:.3f}" + ("" if figure["std"] is None else f" ± {figure['std']:.3f}")


if __name__ == "__main__":
    main()
