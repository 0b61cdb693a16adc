"""Compare systems on the same episodes: a table with 95 % intervals, JSON, pictures of scores and reward curves.

    python -m train.evaluate --env memgym/LoCoMo-v0 --split test --budget 4000
    python -m train.evaluate --config train/configs/demo_evaluate.yaml
    python -m train.evaluate --env memgym/Dialogue-v0 --agents no_memory oracle trained=manager@runs/grpo/adapter
    python -m train.evaluate --preset locomo --systems rag memory_r1_grpo --against best_untrained

An agent is a baseline by name; ``LABEL=manager@ADAPTER`` is the Memory Manager with a trained adapter, ``manager``
alone the bare backbone, and ``memlora@FOLDER`` MemLoRA with the adapters in it. A reader is "extractive", "answerer"
(the managers' backbone) or another backbone by name, the last two with ``@ADAPTER`` if they have one. Every environment
is run with every reader and every agent. Or a preset or config lists systems, each with an agent, a reader and settings
of its own (train/evaluate_systems.py), which make one table.

The trajectories are kept beside the table, and an evaluation that is started again goes on from them: a system is run
again only if something it depends on has changed, adapters included (``--fresh`` runs all). Of changes in the program
itself it knows nothing. Systems that differ in the reader alone share one pass of the agent over the episodes. A
manager reads and writes as its adapter was trained to. Where the adapter lies in the folder of its training run, the
run's reward curve is drawn as well.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from memgym.evaluate import (
    Summary,
    best_policy,
    compare,
    compare_all,
    format_categories,
    format_comparison,
    format_measures,
    format_table,
    summarise_all,
)
from memgym.plots import plot_scores, plot_training_curve
from memgym.protocol import category_names
from memgym.rollout import Trajectory
from memgym.tasks.task import Task
from train.callbacks import METRICS, read_metrics
from train.cpu import prepare_device
from train.evaluate_arguments import BEST_UNTRAINED, parse_arguments
from train.evaluate_models import Models
from train.evaluate_runs import Ended, Preparation, Run, check_questions, trajectories_of
from train.evaluate_systems import System, check_adapters, check_engram, product, split_agent, without_engram
from train.setup import one_line_errors


@dataclass(frozen=True)
class Table:
    """Systems that are compared in one environment."""

    env: str
    reader: str | None  # None where every system has its own
    systems: list[System]
    folder: Path


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Evaluate as the command line says; prints one table per environment, and per reader where all share it.

    Returns:
        What was written to ``summary.json``.
    """
    started = time.monotonic()
    arguments = parse_arguments(sys.argv[1:] if argv is None else argv, __doc__ or "")
    prepare_device()
    with one_line_errors():
        tables = plan(arguments)
        preparation = Preparation(arguments, Models(arguments))
        prepared = [prepare(arguments, table, preparation) for table in tables]
    ended: list[Ended] = []
    results = [evaluate(arguments, table, runs, ended) for table, runs in zip(tables, prepared, strict=True)]
    summary = {**(results[0] if len(results) == 1 else {"runs": results}), "wall_s": time.monotonic() - started}
    output = Path(arguments.output)
    if curves := draw_curves(trained_managers(tables, arguments.runs), output):
        summary["curves"] = curves
    output.mkdir(parents=True, exist_ok=True)
    (output / "summary.json").write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return summary


def plan(arguments: argparse.Namespace) -> list[Table]:
    """The tables, with everything checked that needs no model.

    Raises:
        ValueError: An adapter or an Engram is missing.
    """
    chosen: list[System] | None = arguments.systems
    groups: dict[str | None, list[System]] = {None: chosen} if chosen else {}
    if not chosen:
        groups = {reader: product(arguments.agents, reader) for reader in arguments.readers}
    every = [system for systems in groups.values() for system in systems]
    check_adapters(every, arguments.runs, arguments.trained_by, choosable=chosen is not None)
    check_engram(every, arguments.runs, on=arguments.engram)
    if not arguments.engram:
        groups = {reader: without_engram(systems, arguments.runs) for reader, systems in groups.items()}
    output, single = Path(arguments.output), len(arguments.env) * len(groups) == 1
    return [
        Table(env, reader, systems, output if single else output / _slug(env, reader))
        for env in arguments.env
        for reader, systems in groups.items()
    ]


def prepare(arguments: argparse.Namespace, table: Table, preparation: Preparation) -> list[Run]:
    """Make the systems of a table ready, and see that they are asked the same.

    Raises:
        SystemExit: One cannot be made, or there are no such episodes.
        ValueError: They are asked different questions.
    """
    runs = [preparation.make_ready(system, table.env, table.folder) for system in table.systems]
    check_questions(runs, episodes_of(arguments, runs[0].task))
    return runs


def episodes_of(arguments: argparse.Namespace, task: Task) -> range:
    """Indices of the episodes that are run.

    Raises:
        SystemExit: The task has no such episodes.
    """
    first, size = arguments.first_episode, task.size
    count = arguments.episodes if arguments.episodes is not None else 64 if size is None else size - first
    if count < 1 or (size is not None and first + count > size):
        raise SystemExit(
            f"error: {count} episodes from number {first} were asked for, the task {task.name} has "
            f"{'no end' if size is None else size}: change --episodes or --first-episode"
        )
    return range(first, first + count)


def evaluate(arguments: argparse.Namespace, table: Table, runs: Sequence[Run], ended: list[Ended]) -> dict[str, Any]:
    """Run the systems of a table and print it.

    Args:
        arguments: Of the command line.
        table: What is compared.
        runs: Its systems, ready.
        ended: Systems that were run before, for all tables; these are added.

    Returns:
        What ``summary.json`` says about it.
    """
    task = runs[0].task
    episodes = episodes_of(arguments, task)
    options = {"num_envs": arguments.num_envs, "fresh": arguments.fresh}
    trajectories = {}
    for run in runs:
        trajectories[run.system.label] = records = trajectories_of(run, episodes, ended=ended, **options)
        ended.append(Ended(run, records))
    summaries = summarise_all(trajectories)
    what = f"{len(runs)} systems" if table.reader is None else f"reader {table.reader}"
    print(f"\n{table.env}, {what}, {len(episodes)} episodes")
    print_table(table, summaries, task)
    plot_scores(summaries, table.folder / "scores.png")
    result: dict[str, Any] = {
        "env": table.env,
        "reader": table.reader,
        "episodes": len(episodes),
        "agents": {name: summary.to_dict() for name, summary in summaries.items()},
        "category_names": category_names(task),
    }
    if table.reader is None:
        result["systems"] = {system.label: asdict(system) for system in table.systems}
    return {
        **result,
        **differences(arguments, trajectories),
        **baseline_tests(arguments, table, trajectories, summaries),
    }


def print_table(table: Table, summaries: Mapping[str, Summary], task: Task) -> None:
    """Scores, then scores by category. Systems get the figures that papers report, agents also floor and ceiling."""
    if table.reader is None:
        print(format_measures(summaries, "LoCoMo F1" if task.name == "locomo" else "score"))
    else:
        print(format_table(summaries))
    if by_category := format_categories(summaries, category_names(task)):
        print(f"\n{by_category}")


def differences(arguments: argparse.Namespace, runs: Mapping[str, Sequence[Trajectory]]) -> dict[str, Any]:
    """The paired differences of ``--compare``, which are printed."""
    found = {}
    for first, second in arguments.compare:
        found[f"{first}_minus_{second}"] = difference = compare(runs[first], runs[second])
        bounds = difference["ci95"]
        interval = f"[{bounds[0]:+.3f}, {bounds[1]:+.3f}]" if bounds else "(one episode: no interval)"
        print(f"{first} - {second}: {difference['mean']:+.3f} {interval}, p = {difference['p']:.4f}")
    return found


def baseline_tests(
    arguments: argparse.Namespace,
    table: Table,
    runs: Mapping[str, Sequence[Trajectory]],
    summaries: Mapping[str, Summary],
) -> dict[str, Any]:
    """Every system against each of ``--against``, which is printed; Holm's correction is within one baseline."""
    families = []
    for name in arguments.against:
        untrained = [system.label for system in table.systems if system.untrained]
        candidates = untrained if name == BEST_UNTRAINED else [name] if name in runs else []
        if not candidates:
            print(f"\nagainst {name}: no such system in this evaluation")
            continue
        comparison = compare_all(runs, best_policy(summaries, candidates))
        print(f"\nAgainst {name}, {format_comparison(comparison)}")
        families.append({"against": name, **comparison})
    return {"against": families} if families else {}


def trained_managers(tables: Sequence[Table], runs: Path) -> dict[str, Path]:
    """Folders of the managers' adapters, by the first system that has each."""
    folders: dict[Path, str] = {}
    for system in (system for table in tables for system in table.systems):
        adapter = split_agent(system.agent)[2]
        if adapter:
            folders.setdefault(runs / adapter, system.label)
    return {label: folder for folder, label in folders.items()}


def draw_curves(adapters: Mapping[str, Path], folder: Path) -> dict[str, list[dict[str, float]]]:
    """Reward curves of the training runs in whose folders the agents' adapters lie: pictures, and held-out figures.

    Args:
        adapters: Folders by label.
        folder: Gets ``curve.png``, or with several runs ``curve_LABEL.png`` of each.

    Returns:
        By label, rows with ``step``, ``score``, ``floor`` and ``ceiling``; empty where no run logged any.
    """
    runs = {}
    for label, adapter in adapters.items():
        path = adapter.parent / METRICS
        rows = read_metrics(path) if path.is_file() else []
        if any("eval_score" in row for row in rows):
            runs[label] = rows
    for label, rows in runs.items():
        plot_training_curve(rows, folder / ("curve.png" if len(runs) == 1 else f"curve_{label}.png"))
    names = {"step": "step", "eval_score": "score", "eval_floor": "floor", "eval_ceiling": "ceiling"}
    return {
        label: [{new: row[old] for old, new in names.items()} for row in rows if "eval_score" in row]
        for label, rows in runs.items()
    }


def _slug(env_id: str, reader: str | None) -> str:
    name = env_id if reader is None else f"{env_id}_{reader}"
    return name.replace("/", "_").replace("@", "_")


if __name__ == "__main__":
    main()
