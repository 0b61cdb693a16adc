"""One system in one environment: made ready, then run, or taken from an earlier evaluation that ended."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from agents.answerer import AnswerAgent
from agents.base import Agent
from memgym.envs.vector import MemoryVectorEnv
from memgym.protocol import describe_env
from memgym.records import MANIFEST, TRAJECTORIES, Manifest, plain, read_trajectories, replacing_records
from memgym.replay import ReplayPolicy
from memgym.rollout import Policy, Trajectory, rollout
from memgym.tasks.task import Task
from train.evaluate_models import Models, agent_record, digest
from train.evaluate_systems import System
from train.settings import EnvSettings, merged
from train.setup import build_env, window_for

FREE = ("command", "hardware", "time")  # of a manifest: what changes no record


@dataclass(frozen=True)
class Run:
    """A system that is ready to go through the episodes."""

    system: System
    agent: Agent
    task: Task
    settings: EnvSettings  # with the reader, and what the agent is defined by
    manifest: Manifest  # as it will be, but for the time
    folder: Path  # of its trajectories and manifest


@dataclass(frozen=True)
class Ended:
    """A system that has gone through the episodes."""

    run: Run
    trajectories: Sequence[Trajectory]


class Preparation:
    """Makes systems ready: all that can be wrong comes to light before the first of them is run."""

    def __init__(self, arguments: argparse.Namespace, models: Models) -> None:
        """Prepare what the command line says, with these models."""
        self.arguments = arguments
        self.models = models
        self._tasks: dict[str, Task] = {}

    def make_ready(self, system: System, env_id: str, folder: Path) -> Run:
        """The system in an environment, its records in a sub-folder of its own.

        Raises:
            SystemExit: It cannot be made; one line says which system and why.
        """
        try:
            return self._make_ready(system, env_id, folder / system.label)
        except (ValueError, TypeError, OSError) as error:
            raise SystemExit(f"error: {system.label}: {' '.join(str(error).split())}") from error
        except SystemExit as error:
            raise SystemExit(f"{error} (system {system.label})") from error

    def _make_ready(self, system: System, env_id: str, folder: Path) -> Run:
        kwargs = self._env_kwargs(system)
        reader = self.models.reader(system, window_for(kwargs))
        task = self._task(EnvSettings(env_id, kwargs))
        agent = self.models.agent(system, task)
        settings = EnvSettings(env_id, {**kwargs, "reader": reader, **agent.env_overrides})
        manifest = self._manifest(system, agent, settings, build_env(settings, 1))
        return Run(system, agent, task, settings, manifest, folder)

    def _env_kwargs(self, system: System) -> dict[str, Any]:
        named = {name: getattr(self.arguments, name) for name in ("split", "budget")}
        kwargs = {**self.arguments.env_kwargs, **{key: value for key, value in named.items() if value is not None}}
        return merged(kwargs, system.env_kwargs)

    def _task(self, settings: EnvSettings) -> Task:
        """The environment's task, which systems with equal settings share."""
        key = json.dumps([settings.id, plain(settings.kwargs)], sort_keys=True)
        if key not in self._tasks:
            self._tasks[key] = build_env(settings, 1).task
        return self._tasks[key]

    def _manifest(self, system: System, agent: Agent, settings: EnvSettings, env: MemoryVectorEnv) -> Manifest:
        arguments, reader = self.arguments, env.exam.reader
        extra = {name: getattr(arguments, name) for name in ("backbone", "dtype", "episodes", "first_episode")}
        sampling = {"temperature": arguments.temperature, **system.agent_kwargs}
        if sampling["temperature"]:  # then the seed of a reply depends on how many episodes run together
            sampling["num_envs"] = arguments.num_envs
        parts = {name: getattr(system, name) for name in ("agent", "reader", "backbone", "engram", "reader_kwargs")}
        parts["adapters"] = {str(folder): digest(folder) for folder in system.adapter_folders(arguments.runs)}
        answering = {"answerer": reader.record} if isinstance(reader, AnswerAgent) else {}
        return Manifest(
            command="python -m train.evaluate " + " ".join(arguments.argv),
            env=settings.id,
            env_kwargs=plain(settings.kwargs),
            agent=system.label,
            seed=arguments.seed,
            **describe_env(env),
            extra=plain({**extra, **sampling, **agent_record(agent), **answering, "system": parts}),
        )


def check_questions(runs: Sequence[Run], episodes: Sequence[int]) -> None:
    """See that all systems of a table are asked the same.

    Raises:
        ValueError: Two are not: their ``env_kwargs`` select other episodes or questions.
    """
    first = runs[0]
    others = {id(run.task): run for run in runs if run.task is not first.task}
    asked = _questions(first.task, episodes) if others else []
    for run in others.values():
        if _questions(run.task, episodes) != asked:
            raise ValueError(
                f"{run.system.label} is asked other questions than {first.system.label}: compare their env_kwargs"
            )


def _questions(task: Task, episodes: Sequence[int]) -> list[tuple[str, ...]]:
    if task.size is not None and max(episodes) >= task.size:
        return []
    drawn = [task.episode(index) for index in episodes]
    return [(episode.id, *(question.id for question in episode.questions)) for episode in drawn]


def trajectories_of(
    run: Run, episodes: Sequence[int], *, ended: Sequence[Ended], num_envs: int, fresh: bool
) -> list[Trajectory]:
    """The system's trajectories: those in its folder if they came about in the same way, else new ones.

    Where a system before it has filled the same memory, and only another reader answered, the memory is filled again
    from that system's record: the agent's model is not asked a second time.

    Args:
        run: As made ready.
        episodes: Indices in the task.
        ended: Systems of this evaluation before it.
        num_envs: Episodes run together.
        fresh: Run it anew, whatever is in its folder.

    Raises:
        ValueError: The records in the folder are damaged.
    """
    finished = None if fresh else _finished(run)
    if finished is not None:
        print(f"{run.system.label}: taken from {run.folder}, where nothing has changed (--fresh runs it anew)")
        return finished
    (run.folder / MANIFEST).unlink(missing_ok=True)  # it is to stand only beside the records it describes
    env = build_env(run.settings, min(num_envs, len(episodes)))
    writer = next((one for one in ended if _writing(one.run) == _writing(run)), None)
    if writer:
        print(f"{run.system.label}: the memory is that of {writer.run.system.label}, filled again from its record")
    began = time.monotonic()
    trajectories = _roll_out(env, run, episodes, ReplayPolicy(*writer.trajectories) if writer else run.agent)
    spent: dict[str, Any] = {"wall_s": round(time.monotonic() - began, 3)}
    if writer:
        spent["memory_from"] = writer.run.system.label
    replace(run.manifest, time=spent).write(run.folder / MANIFEST)
    return trajectories


def _finished(run: Run) -> list[Trajectory] | None:
    """Records of a run with an equal manifest, which is written when all is done; None where there are none."""
    if not ((run.folder / MANIFEST).is_file() and (run.folder / TRAJECTORIES).is_file()):
        return None
    try:
        before = Manifest.read(run.folder)
    except ValueError:  # of another version, or of something else
        return None
    return list(read_trajectories(run.folder)) if _deciding(before) == _deciding(run.manifest) else None


def _deciding(manifest: Manifest) -> dict[str, Any]:
    """What records depend on."""
    return {key: value for key, value in plain(asdict(manifest)).items() if key not in FREE}


def _writing(run: Run) -> dict[str, Any]:
    """What the agent's operations depend on: all that records do, but what belongs to the reader.

    Within one evaluation an adapter's folder says which adapter it is.
    """
    found = _deciding(run.manifest)
    system = found["extra"]["system"]
    for part, names in (
        (found, ("agent", "reader")),  # the agent's label
        (found["env_kwargs"], ("reader",)),
        (found["config"], ("reader", "reader_window")),
        (found["extra"], ("answerer",)),
        (system, ("reader", "reader_kwargs", "adapters")),
    ):
        for name in names:
            part.pop(name, None)
    return found


def _roll_out(env: MemoryVectorEnv, run: Run, episodes: Sequence[int], policy: Policy) -> list[Trajectory]:
    scores: list[float] = []
    chunks = sum(len(env.task.episode(index).chunks) for index in episodes)
    with (
        replacing_records(run.folder / TRAJECTORIES) as writer,
        tqdm(total=chunks, desc=run.system.label, unit="chunk") as bar,
    ):

        def finished(trajectory: Trajectory) -> None:
            scores.append(trajectory.score)
            writer.write(trajectory)
            bar.set_postfix(episodes=f"{len(scores)}/{len(episodes)}", score=f"{sum(scores) / len(scores):.3f}")

        return rollout(env, policy, episodes, on_episode=finished, on_chunks=bar.update)
