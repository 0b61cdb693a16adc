"""Compare agents on the same episodes: a table with 95 % intervals, JSON, a picture.

    python -m train.evaluate --env memgym/LoCoMo-v0 --split test --budget 4000
    python -m train.evaluate --config train/configs/demo_evaluate.yaml
    python -m train.evaluate --env memgym/Dialogue-v0 --agents no_memory oracle trained=manager@runs/grpo/adapter

An agent is a name of ``agents.AGENTS``; ``LABEL=manager@ADAPTER`` is the Memory Manager with a trained adapter and
``manager`` alone the bare backbone. A reader is "extractive" or a backbone name, with ``@ADAPTER`` if it has one.
Every environment is run with every reader and every agent; the trajectories are kept beside the table.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from agents import AGENTS, BASELINES, make_agent
from agents.backbone import Backbone, load_adapter, load_backbone
from agents.base import Agent
from memgym.envs.config import READERS
from memgym.envs.vector import MemoryVectorEnv
from memgym.evaluate import Summary, compare, format_table, summarise_all
from memgym.exam.reader import Reader
from memgym.plots import plot_scores
from memgym.protocol import describe_env
from memgym.records import MANIFEST, TRAJECTORIES, Manifest, plain, replacing_records
from memgym.rollout import Trajectory, rollout
from train.cpu import prepare_device
from train.settings import EnvSettings
from train.setup import build_env


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Evaluate as the command line says; prints one table per environment and reader.

    Returns:
        What was written to ``summary.json``.
    """
    started = time.monotonic()
    arguments = parse_arguments(sys.argv[1:] if argv is None else argv)
    prepare_device()
    models = Models(arguments.backbone, arguments.dtype)
    readers = {spec: models.reader(spec) for spec in arguments.readers}
    output = Path(arguments.output)
    results = []
    for env_id in arguments.env:
        for reader in readers:
            folder = output if len(arguments.env) * len(readers) == 1 else output / _slug(env_id, reader)
            runs = run_agents(arguments, env_id, readers[reader], models, folder)
            summaries = summarise_all(runs)
            print(f"\n{env_id}, reader {reader}, {len(next(iter(runs.values())))} episodes")
            print(format_table(summaries))
            plot_scores(summaries, folder / "scores.png")
            results.append(report(arguments, env_id, reader, runs, summaries))
    summary = {**(results[0] if len(results) == 1 else {"runs": results}), "wall_s": time.monotonic() - started}
    output.mkdir(parents=True, exist_ok=True)
    (output / "summary.json").write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return summary


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    """Command line over the YAML of ``--config`` over the defaults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--config", type=Path, help="YAML with any of the long options as keys")
    add("--env", nargs="+", default=["memgym/Dialogue-v0"], help="registered ids")
    add("--split", help="train, validation, test, ...; the environment's default when left out")
    add("--env-kwargs", type=yaml.safe_load, default={}, help="further keyword arguments of the environments, as YAML")
    add("--budget", type=int, help="hard memory budget in tokens; none when left out")
    add("--agents", nargs="+", default=list(BASELINES))
    add("--readers", nargs="+", default=["extractive"])
    add("--episodes", type=int, help="number of episodes; all of a finite task, 64 of an endless one when left out")
    add("--first-episode", type=int, default=0)
    add("--num-envs", type=int, default=64, help="episodes run together")
    add("--backbone", default="smollm2", help="of managers")
    add("--dtype", default="auto")
    add("--codec", default="lines")
    add("--style", default="terse")
    add("--max-new-tokens", type=int, default=96)
    add("--temperature", type=float, default=0.0, help="of managers; 0 is greedy, 1 the policy as GRPO trains it")
    add("--seed", type=int, default=0, help="of managers that sample")
    add("--compare", nargs=2, action="append", metavar=("A", "B"), default=[], help="paired difference A - B")
    add("--output", default="runs/evaluate")
    config = parser.parse_args(argv).config
    if config is not None:
        parser.set_defaults(**_read_config(parser, config))
    arguments = parser.parse_args(argv)
    _check_names(parser, arguments)
    return arguments


def _read_config(parser: argparse.ArgumentParser, path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        parser.error(f"--config {path}: {' '.join(str(error).split())}")
    if not isinstance(values, dict | None):
        parser.error(f"--config {path}: expected a mapping of settings")
    options = {action.dest: action for action in parser._actions}
    for key, value in (values or {}).items():
        if key not in options:
            parser.error(f"--config {path}: unknown setting {key}; expected one of {', '.join(sorted(options))}")
        if options[key].nargs is not None and not isinstance(value, list):
            parser.error(f"--config {path}: {key}: expected a list, got {value!r}")
    return values or {}


def _check_names(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Find what would otherwise come to light when other agents have been run already."""
    labels = []
    for spec in arguments.agents:
        label, name, adapter = split_agent(spec)
        if name not in AGENTS:
            parser.error(f"agent {name!r} is unknown; choose one of {', '.join(AGENTS)}")
        if adapter is not None and name != "manager":
            parser.error(f"--agents {spec}: only the manager takes an adapter")
        if label in labels:
            parser.error(f"agent {label} is named twice: give one of them another name, NAME={spec}")
        labels.append(label)
    for pair in arguments.compare:
        if not set(pair) <= set(labels):
            parser.error(f"--compare {' '.join(pair)}: both must be among the agents {', '.join(labels)}")


def split_agent(spec: str) -> tuple[str, str, str | None]:
    """Label, name and adapter of a command-line word such as ``trained=manager@runs/grpo/adapter``."""
    head, _, adapter = spec.partition("@")
    label, _, name = head.rpartition("=")
    return label or name, name, adapter or None


class Models:
    """One backbone in memory per name; adapters are added to it as agents and readers ask for them."""

    def __init__(self, backbone: str, dtype: str) -> None:
        """``backbone`` is what managers run on."""
        self.backbone = backbone
        self.dtype = dtype
        self._loaded: dict[str, Backbone] = {}

    def get(self, name: str, adapter: str | None) -> tuple[Backbone, str | None]:
        """The backbone, and the name of the adapter in it; loads what is missing, or ends the program with one line."""
        try:
            return self._get(name, adapter)
        except (OSError, ValueError) as error:
            raise SystemExit(f"error: {error}") from error

    def _get(self, name: str, adapter: str | None) -> tuple[Backbone, str | None]:
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
        from agents.answerer import AnswerAgent

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
            "max_new_tokens": arguments.max_new_tokens,
            "temperature": arguments.temperature,
            "seed": arguments.seed,
        }
        return label, make_agent(name, task=env.task, backbone=backbone, adapter=adapter_name, **options)


def run_agents(
    arguments: argparse.Namespace, env_id: str, reader: str | Reader, models: Models, folder: Path
) -> dict[str, list[Trajectory]]:
    """Trajectories of every agent in one environment with one reader, written to a folder per agent."""
    kwargs = {**arguments.env_kwargs, "reader": reader}
    if arguments.split is not None:
        kwargs["split"] = arguments.split
    if arguments.budget is not None:
        kwargs["budget"] = arguments.budget
    probe = build_env(EnvSettings(env_id, kwargs), 1)
    episodes = _episodes(arguments, probe)
    runs = {}
    for label, agent in [models.agent(spec, probe, arguments) for spec in arguments.agents]:
        settings = EnvSettings(env_id, {**kwargs, **agent.env_overrides})
        env = build_env(settings, min(arguments.num_envs, len(episodes)))
        began = time.monotonic()
        runs[label] = _run(env, agent, episodes, label, folder / label / TRAJECTORIES)
        _manifest(arguments, settings, env, label, time.monotonic() - began).write(folder / label / MANIFEST)
    return runs


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
    arguments: argparse.Namespace, settings: EnvSettings, env: MemoryVectorEnv, label: str, wall: float
) -> Manifest:
    options = (
        "backbone",
        "dtype",
        "codec",
        "style",
        "max_new_tokens",
        "temperature",
        "agents",
        "episodes",
        "first_episode",
    )
    return Manifest(
        command="python -m train.evaluate " + " ".join(sys.argv[1:]),
        env=settings.id,
        env_kwargs=plain(settings.kwargs),
        agent=label,
        seed=arguments.seed,
        **describe_env(env),
        extra={option: getattr(arguments, option) for option in options},
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
        low, high = difference["ci95"]
        print(f"{first} - {second}: {difference['mean']:+.3f} [{low:+.3f}, {high:+.3f}], p = {difference['p']:.4f}")
    return result


def _slug(env_id: str, reader: str) -> str:
    return f"{env_id}_{reader}".replace("/", "_").replace("@", "_")


if __name__ == "__main__":
    main()
