"""Compare agents on the same episodes: a table with 95 % intervals, JSON, pictures of scores and reward curves.

    python -m train.evaluate --env memgym/LoCoMo-v0 --split test --budget 4000
    python -m train.evaluate --config train/configs/demo_evaluate.yaml
    python -m train.evaluate --env memgym/Dialogue-v0 --agents no_memory oracle trained=manager@runs/grpo/adapter

An agent is a baseline by name; ``LABEL=manager@ADAPTER`` is the Memory Manager with a trained adapter and
``manager`` alone the bare backbone. A reader is "extractive" or a backbone name, with ``@ADAPTER`` if it has one.
Every environment is run with every reader and every agent; the trajectories are kept beside the table. A manager reads
and writes as its adapter was trained to. Where the adapter lies in the folder of its training run, the run's reward
curve is drawn as well.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from agents import make_agent
from agents.answerer import AnswerAgent
from agents.backbone import Backbone, load_adapter, load_backbone
from agents.base import Agent
from agents.manager import MemoryManager
from memgym.envs.config import READERS
from memgym.envs.vector import MemoryVectorEnv
from memgym.evaluate import Summary, compare, format_categories, format_table, summarise_all
from memgym.exam.reader import Reader
from memgym.plots import plot_scores, plot_training_curve
from memgym.protocol import category_names, describe_env
from memgym.records import MANIFEST, TRAJECTORIES, Manifest, plain, replacing_records
from memgym.rollout import Trajectory, rollout
from train.callbacks import METRICS, read_metrics
from train.cpu import prepare_device
from train.evaluate_arguments import parse_arguments, split_agent
from train.settings import EnvSettings
from train.setup import build_env, one_line_errors


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Evaluate as the command line says; prints one table per environment and reader.

    Returns:
        What was written to ``summary.json``.
    """
    started = time.monotonic()
    arguments = parse_arguments(sys.argv[1:] if argv is None else argv, __doc__ or "")
    prepare_device()
    models = Models(arguments.backbone, arguments.dtype)
    with one_line_errors():
        readers = {spec: models.reader(spec) for spec in arguments.readers}
    output = Path(arguments.output)
    results = []
    for env_id in arguments.env:
        for reader in readers:
            folder = output if len(arguments.env) * len(readers) == 1 else output / _slug(env_id, reader)
            runs, names = run_agents(arguments, env_id, readers[reader], models, folder)
            summaries = summarise_all(runs)
            print(f"\n{env_id}, reader {reader}, {len(next(iter(runs.values())))} episodes")
            print(format_table(summaries))
            if by_category := format_categories(summaries, names):
                print(f"\n{by_category}")
            plot_scores(summaries, folder / "scores.png")
            results.append({"category_names": names, **report(arguments, env_id, reader, runs, summaries)})
    summary = {**(results[0] if len(results) == 1 else {"runs": results}), "wall_s": time.monotonic() - started}
    if curves := draw_curves(arguments.agents, output):
        summary["curves"] = curves
    output.mkdir(parents=True, exist_ok=True)
    (output / "summary.json").write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return summary


class Models:
    """One backbone in memory per name; adapters are added to it as agents and readers ask for them."""

    def __init__(self, backbone: str, dtype: str) -> None:
        """``backbone`` is what managers run on."""
        self.backbone = backbone
        self.dtype = dtype
        self._loaded: dict[str, Backbone] = {}

    def get(self, name: str, adapter: str | None) -> tuple[Backbone, str | None]:
        """The backbone, and the name of the adapter in it; loads what is missing.

        Raises:
            ValueError: There is no such adapter or dtype.
            OSError: There is no such backbone.
        """
        if name not in self._loaded:
            self._loaded[name] = load_backbone(name, dtype=self.dtype)
        backbone = self._loaded[name]
        if adapter is None:
            return backbone, None
        label = adapter.replace(".", "_").replace("/", "_")  # PEFT forbids dots
        if label not in backbone.adapters:
            load_adapter(backbone, adapter, label)
        return backbone, label

    def reader(self, spec: str) -> str | Reader:
        """A reader by name, or a language model as reader."""
        if spec in READERS:
            return spec
        name, _, adapter = spec.partition("@")
        backbone, label = self.get(name, adapter or None)
        return AnswerAgent(backbone, adapter=label)

    def agent(self, spec: str, env: MemoryVectorEnv, arguments: argparse.Namespace) -> tuple[str, Agent]:
        """Label and agent of a word of the command line."""
        label, name, adapter = split_agent(spec)
        if name != "manager":
            return label, make_agent(name, task=env.task)
        backbone, adapter_name = self.get(self.backbone, adapter)
        options = {
            "codec": arguments.codec,
            "style": arguments.style,
            "search": arguments.search,
            "max_new_tokens": arguments.max_new_tokens,
            "temperature": arguments.temperature,
            "seed": arguments.seed,
        }
        return label, make_agent(name, task=env.task, backbone=backbone, adapter=adapter_name, **options)


def run_agents(
    arguments: argparse.Namespace, env_id: str, reader: str | Reader, models: Models, folder: Path
) -> tuple[dict[str, list[Trajectory]], dict[str, str]]:
    """Trajectories of every agent in one environment with one reader, written to a folder per agent.

    Returns:
        The trajectories by agent, and the names of the task's question categories.
    """
    kwargs = {**arguments.env_kwargs, "reader": reader}
    if arguments.split is not None:
        kwargs["split"] = arguments.split
    if arguments.budget is not None:
        kwargs["budget"] = arguments.budget
    probe = build_env(EnvSettings(env_id, kwargs), 1)
    episodes = _episodes(arguments, probe)
    runs = {}
    with one_line_errors():
        agents = [models.agent(spec, probe, arguments) for spec in arguments.agents]
    for label, agent in agents:
        settings = EnvSettings(env_id, {**kwargs, **agent.env_overrides})
        env = build_env(settings, min(arguments.num_envs, len(episodes)))
        began = time.monotonic()
        runs[label] = _run(env, agent, episodes, label, folder / label / TRAJECTORIES)
        record = agent.record if isinstance(agent, MemoryManager) else {}
        manifest = _manifest(arguments, settings, env, label, record, time.monotonic() - began)
        manifest.write(folder / label / MANIFEST)
    return runs, category_names(probe.task)


def _run(env: MemoryVectorEnv, agent: Agent, episodes: range, label: str, path: Path) -> list[Trajectory]:
    total = 0.0
    with replacing_records(path) as writer, tqdm(total=len(episodes), desc=label, unit="episode") as bar:

        def finished(trajectory: Trajectory) -> None:
            nonlocal total
            total += trajectory.score
            writer.write(trajectory)
            bar.update()
            bar.set_postfix(score=f"{total / bar.n:.3f}")

        return rollout(env, agent, episodes, on_episode=finished)


def _episodes(arguments: argparse.Namespace, env: MemoryVectorEnv) -> range:
    first, size = arguments.first_episode, env.task.size
    count = arguments.episodes if arguments.episodes is not None else 64 if size is None else size - first
    if count < 1 or (size is not None and first + count > size):
        raise SystemExit(
            f"error: {count} episodes from number {first} were asked for, the task {env.task.name} has "
            f"{'no end' if size is None else size}: change --episodes or --first-episode"
        )
    return range(first, first + count)


def _manifest(
    arguments: argparse.Namespace,
    settings: EnvSettings,
    env: MemoryVectorEnv,
    label: str,
    record: Mapping[str, Any],
    wall: float,
) -> Manifest:
    options = ("backbone", "dtype", "temperature", "agents", "episodes", "first_episode")
    return Manifest(
        command="python -m train.evaluate " + " ".join(sys.argv[1:]),
        env=settings.id,
        env_kwargs=plain(settings.kwargs),
        agent=label,
        seed=arguments.seed,
        **describe_env(env),
        extra={**{option: getattr(arguments, option) for option in options}, **record},
        time={"wall_s": round(wall, 3)},
    )


def report(
    arguments: argparse.Namespace,
    env_id: str,
    reader: str,
    runs: dict[str, list[Trajectory]],
    summaries: dict[str, Summary],
) -> dict[str, Any]:
    """What ``summary.json`` says about one environment and reader."""
    result: dict[str, Any] = {
        "env": env_id,
        "reader": reader,
        "episodes": len(next(iter(runs.values()))),
        "agents": {name: summary.to_dict() for name, summary in summaries.items()},
    }
    for first, second in arguments.compare:
        result[f"{first}_minus_{second}"] = difference = compare(runs[first], runs[second])
        bounds = difference["ci95"]
        interval = f"[{bounds[0]:+.3f}, {bounds[1]:+.3f}]" if bounds else "(one episode: no interval)"
        print(f"{first} - {second}: {difference['mean']:+.3f} {interval}, p = {difference['p']:.4f}")
    return result


def draw_curves(specs: Sequence[str], folder: Path) -> dict[str, list[dict[str, float]]]:
    """Reward curves of the training runs in whose folders the agents' adapters lie: pictures, and held-out figures.

    Args:
        specs: Words of the command line.
        folder: Gets ``curve.png``, or with several runs ``curve_LABEL.png`` of each.

    Returns:
        By label, rows with ``step``, ``score``, ``floor`` and ``ceiling``; empty where no run logged any.
    """
    runs = {}
    for label, _, adapter in map(split_agent, specs):
        path = Path(adapter or "").parent / METRICS
        rows = read_metrics(path) if adapter and path.is_file() else []
        if any("eval_score" in row for row in rows):
            runs[label] = rows
    for label, rows in runs.items():
        plot_training_curve(rows, folder / ("curve.png" if len(runs) == 1 else f"curve_{label}.png"))
    names = {"step": "step", "eval_score": "score", "eval_floor": "floor", "eval_ceiling": "ceiling"}
    return {
        label: [{new: row[old] for old, new in names.items()} for row in rows if "eval_score" in row]
        for label, rows in runs.items()
    }


def _slug(env_id: str, reader: str) -> str:
    return f"{env_id}_{reader}".replace("/", "_").replace("@", "_")


if __name__ == "__main__":
    main()
