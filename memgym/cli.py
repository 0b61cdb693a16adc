"""The ``memgym`` command: envs, validate, rollout, replay, show."""

from __future__ import annotations

import argparse
import inspect
import os
import shlex
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import gymnasium
from tqdm import tqdm

from memgym.envs import NAMESPACE
from memgym.envs.config import READERS
from memgym.envs.vector import MemoryVectorEnv
from memgym.protocol import describe_env, describe_task
from memgym.records import MANIFEST, TRAJECTORIES, Manifest, plain, read_trajectories, replacing_records
from memgym.replay import RecordedAnswers, differences, recorded_episode, replay
from memgym.rollout import Policy, Trajectory, rollout
from memgym.tasks.custom import load_custom, validate_custom
from memgym.tasks.task import Task
from memgym.viewer import show_trajectory


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0, or 1 when a check failed or an argument was wrong.
    """
    arguments = _parser().parse_args(argv)
    arguments.command = shlex.join(["memgym", *(sys.argv[1:] if argv is None else argv)])
    if "" not in sys.path:  # a policy or an encoder may live in the folder the command is run from
        sys.path.insert(0, "")
    try:
        status = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # `memgym show ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to flush at exit goes nowhere
        return 0
    except (ValueError, OSError, gymnasium.error.Error) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="memgym", description="A gym for memory-managing language-model agents.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    envs = commands.add_parser("envs", help="list the environments")
    envs.set_defaults(run=_envs)

    validate = commands.add_parser("validate", help="check a file of your own dialogues")
    validate.add_argument("file", type=Path)
    validate.set_defaults(run=_validate)

    roll = commands.add_parser("rollout", help="run a policy and record its trajectories")
    roll.add_argument("--env", default="memgym/Dialogue-v0")
    roll.add_argument("--env-kwargs", type=_mapping, default={}, help="keyword arguments of the environment, as YAML")
    roll.add_argument("--policy", default="memgym.policies:RandomActions", help="MODULE:CLASS of a policy")
    roll.add_argument("--policy-kwargs", type=_mapping, default={}, help="arguments of its constructor, as YAML")
    roll.add_argument("--episodes", type=int, help="all of a finite task, 8 of an endless one when left out")
    roll.add_argument("--first-episode", type=int, default=0)
    roll.add_argument("--num-envs", type=int, default=8, help="episodes run together")
    roll.add_argument("--output", type=Path, default=Path("runs/rollout"))
    roll.set_defaults(run=_rollout)

    check = commands.add_parser("replay", help="re-execute recorded operations and verify the scores")
    check.add_argument("file", type=Path, help="trajectories.jsonl or the folder of a run")
    check.set_defaults(run=_replay)

    show = commands.add_parser("show", help="print a recorded episode for a reader")
    show.add_argument("file", type=Path, help="trajectories.jsonl or the folder of a run")
    show.add_argument("--row", type=int, default=0, help="which one, from 0")
    show.set_defaults(run=_show)
    return parser


def _envs(arguments: argparse.Namespace) -> int:
    ours = {spec.id: str(spec.entry_point) for spec in gymnasium.registry.values() if spec.namespace == NAMESPACE}
    width = max(map(len, ours))
    for env_id, entry_point in sorted(ours.items()):
        print(f"{env_id:{width}}  {_summary(entry_point)}")
    return 0


def _summary(entry_point: str) -> str:
    """First line of the environment's docstring."""
    module, _, name = entry_point.partition(":")
    return (getattr(import_module(module), name).__doc__ or "").strip().splitlines()[0]


def _validate(arguments: argparse.Namespace) -> int:
    problems = validate_custom(arguments.file)
    for problem in problems:
        print(problem)
    if problems:
        print(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}", file=sys.stderr)
        return 1
    episodes = load_custom(arguments.file)
    questions = sum(len(episode.questions) for episode in episodes)
    print(f"{arguments.file}: {len(episodes)} episodes, {questions} questions, no problems")
    return 0


def _rollout(arguments: argparse.Namespace) -> int:
    policy = _make_policy(arguments)
    kwargs = {**arguments.env_kwargs, **policy.env_overrides}
    env = _make_env(arguments.env, kwargs, arguments.num_envs)
    episodes = _episodes(arguments, env.task)
    records = arguments.output / TRAJECTORIES
    started = time.monotonic()
    with replacing_records(records) as writer, tqdm(total=len(episodes), unit="episode") as bar:

        def finished(trajectory: Trajectory) -> None:
            writer.write(trajectory)
            bar.update()

        trajectories = rollout(env, policy, episodes, on_episode=finished)
    manifest = Manifest(
        command=arguments.command,
        env=arguments.env,
        env_kwargs=plain(kwargs),
        agent=policy.name,
        seed=arguments.policy_kwargs.get("seed", 0),
        **describe_env(env),
        extra={"policy": arguments.policy, "policy_kwargs": arguments.policy_kwargs},
        time={"wall_s": round(time.monotonic() - started, 3)},
    )
    manifest.write(arguments.output / MANIFEST)
    print(f"{policy.name}: score {sum(t.score for t in trajectories) / len(trajectories):.3f} -> {records}")
    return 0


def _replay(arguments: argparse.Namespace) -> int:
    trajectories = _read(arguments.file)
    env = _recorded_env(arguments.file, trajectories)
    if isinstance(env.exam.reader, RecordedAnswers):
        print(f"reader {env.exam.reader.name} is not at hand: its recorded answers are graded, not given anew")
    wrong = 0
    for recorded, replayed in zip(trajectories, replay(env, trajectories), strict=True):
        for difference in differences(recorded, replayed):
            wrong += 1
            print(f"{recorded.episode_id}: {difference}")
    print(f"{len(trajectories)} episodes replayed, {wrong} differences")
    return 1 if wrong else 0


def _show(arguments: argparse.Namespace) -> int:
    trajectories = _read(arguments.file)
    if not 0 <= arguments.row < len(trajectories):
        raise ValueError(f"--row {arguments.row}: {arguments.file} holds {len(trajectories)} trajectories, from row 0")
    trajectory = trajectories[arguments.row]
    print(show_trajectory(trajectory, recorded_episode(_recorded_env(arguments.file, trajectories).task, trajectory)))
    return 0


def _read(file: Path) -> list[Trajectory]:
    trajectories = list(read_trajectories(file))
    if not trajectories:
        raise ValueError(f"{file}: holds no trajectories, expected at least one")
    return trajectories


def _recorded_env(file: Path, trajectories: Sequence[Trajectory]) -> MemoryVectorEnv:
    """The environment that the manifest beside the trajectories names; no reader but those by rule is at hand."""
    manifest = Manifest.read(file if file.is_dir() else file.parent)
    kwargs, reader = dict(manifest.env_kwargs), manifest.env_kwargs.get("reader")
    if reader is not None and reader not in READERS:
        kwargs["reader"] = RecordedAnswers(manifest.reader, manifest.config["reader_window"], trajectories)
    env = _make_env(manifest.env, kwargs, 1)
    recorded, now = manifest.data["sha256"], describe_task(env.task)["sha256"]
    if recorded != now:
        raise ValueError(f"the data has changed since the run was recorded: sha256 {recorded} then, {now} now")
    return env


def _episodes(arguments: argparse.Namespace, task: Task) -> range:
    """The episodes that were asked for."""
    first, size = arguments.first_episode, task.size
    count = arguments.episodes
    if count is None:
        count = 8 if size is None else size - first
    if first < 0 or count < 1 or (size is not None and first + count > size):
        raise ValueError(
            f"{count} episodes from {first} on were asked for, task {task.name!r} has "
            f"{'no end' if size is None else size}: change --episodes or --first-episode"
        )
    return range(first, first + count)


def _make_policy(arguments: argparse.Namespace) -> Policy:
    """The policy; one whose constructor asks for the ``task``, as the oracle's does, is given it."""
    path, kwargs = arguments.policy, dict(arguments.policy_kwargs)
    module, _, name = path.partition(":")
    if not module or not name:
        raise ValueError(f"--policy {path!r}: expected MODULE:CLASS of a policy")
    try:
        make = getattr(import_module(module), name)
        asked = inspect.signature(make).parameters
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"--policy {path}: expected MODULE:CLASS of a policy ({error})") from error
    if "task" in asked and "task" not in kwargs:
        kwargs["task"] = _make_env(arguments.env, arguments.env_kwargs, 1).task
    missing = [one.name for one in asked.values() if _must_be_given(one) and one.name not in kwargs]
    if missing:
        raise ValueError(
            f"--policy {path} needs {', '.join(missing)}: give it with --policy-kwargs, or, where it is an object such "
            "as a model, run the policy from Python with memgym.rollout.rollout"
        )
    try:
        policy = make(**kwargs)
    except TypeError as error:
        raise ValueError(f"--policy {path}: expected MODULE:CLASS of a policy ({error})") from error
    if lacking := [part for part in ("name", "env_overrides", "act") if not hasattr(policy, part)]:
        raise ValueError(f"--policy {path}: expected MODULE:CLASS of a policy (it has no {', '.join(lacking)})")
    return policy


def _must_be_given(parameter: inspect.Parameter) -> bool:
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return parameter.default is inspect.Parameter.empty and parameter.kind not in variadic


def _make_env(env_id: str, kwargs: dict[str, Any], num_envs: int) -> MemoryVectorEnv:
    try:
        env = gymnasium.make_vec(env_id, num_envs=num_envs, **kwargs)
    except (TypeError, ImportError) as error:
        raise ValueError(f"{env_id}: {error}") from error
    if not isinstance(env, MemoryVectorEnv):
        raise ValueError(f"{env_id} is not a memory environment")
    return env


def _mapping(text: str) -> dict[str, Any]:
    import yaml

    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise argparse.ArgumentTypeError(f"not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("expected a mapping, such as '{split: test, budget: 100}'")
    return value
