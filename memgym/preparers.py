"""Preparers that take the memory from elsewhere: a policy, the record of one, exported banks.

By name, as a config writes them (``make_preparer``): "turns", "sentences", "facts", "annotations", or the path of
records or banks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from memgym.envs.memory import MemoryEnv
from memgym.envs.spaces import Observation
from memgym.envs.vector import MemoryVectorEnv
from memgym.memory.bank import MemoryBank
from memgym.memory.budget import UNLIMITED
from memgym.memory.operations import Operation
from memgym.records import MANIFEST, TRAJECTORIES, Manifest, read_trajectories
from memgym.rollout import Decision, Policy, Trajectory, rollout
from memgym.tasks.episode import Episode
from memgym.tasks.locomo_facts import read_annotated_facts
from memgym.tasks.prepared import Facts, Memories, Preparer, bank_memories, verbatim_sentences, verbatim_turns
from memgym.tasks.task import EpisodeList, Task

RULES = ("turns", "sentences", "facts", "annotations")


def make_preparer(bank: str | Preparer, source: Task, path: str | Path | None = None) -> Preparer:
    """A preparer by name; an object passes through.

    Args:
        bank: "turns" (every turn word for word), "sentences" (every sentence of them), "facts" (the gold memories of
            the dialogues), "annotations" (the facts in LoCoMo's file), the path of recorded trajectories (a run's
            folder or its ``trajectories.jsonl``), the folder of exported banks, or a preparer.
        source: The task that the dialogues are from.
        path: Of LoCoMo's file, as for ``LoCoMo``.

    Raises:
        FileNotFoundError: "annotations" without the file.
        ValueError: The text names none of these, or "facts" where the dialogues have none.
    """
    if not isinstance(bank, str):
        return bank
    if bank == "turns":
        return verbatim_turns
    if bank == "sentences":
        return verbatim_sentences
    if bank == "annotations":
        return Facts(read_annotated_facts(path))
    if bank == "facts":
        if not source.episode(0).gold_memories:
            raise ValueError(f"bank='facts': the dialogues of {source.name!r} come without gold memories; use 'turns'")
        return Facts()
    place = Path(bank)
    if place.is_file() or (place / TRAJECTORIES).is_file():
        return RecordedBanks(read_trajectories(place), calendar_dates=_had_calendar_dates(place))
    if place.is_dir():
        return ExportedBanks(place)
    raise ValueError(
        f"bank={bank!r}: expected {', '.join(RULES)}, the folder of a run, a trajectories.jsonl, a folder of exported "
        "banks, or a preparer"
    )


def _had_calendar_dates(place: Path) -> bool:
    """Whether the memory of a recorded run was written with calendar dates, by the manifest beside it."""
    folder = place if place.is_dir() else place.parent
    return (folder / MANIFEST).is_file() and bool(Manifest.read(folder).config.get("calendar_dates"))


class PolicyBanks:
    """The memory that a policy builds by itself as it reads the history: a trained manager, or any agent.

    What has been built once is kept, and histories that are handed over together are read in lockstep. So a policy that
    draws random numbers still gives one memory per history. One that looks its episodes up in the task, as the oracle
    does, cannot act here: run it on the task itself, and inject the record.
    """

    def __init__(self, policy: Policy, *, num_envs: int = 64, **config: Any) -> None:
        """Create the preparer.

        Args:
            policy: Acts on the histories.
            num_envs: Histories read together.
            config: Fields of ``memgym.envs.memory.EnvConfig``, such as ``budget``; the policy's own
                ``env_overrides`` go first.
        """
        self.policy = policy
        self.num_envs = num_envs
        self.config = {**config, **policy.env_overrides}
        self._built: dict[Episode, Memories] = {}

    def __call__(self, histories: Sequence[Episode]) -> list[Memories]:
        """The memory after each history."""
        new = [history for history in dict.fromkeys(histories) if history not in self._built]
        self._built |= zip(new, self._build(new), strict=True)
        return [self._built[history] for history in histories]

    def _build(self, histories: Sequence[Episode]) -> list[Memories]:
        memories: dict[int, Memories] = {number: () for number in range(len(histories))}
        # Histories of one dialogue share its id, the episodes of a task must not; and some have nothing to read.
        numbered = [(n, replace(history, id=str(n))) for n, history in enumerate(histories) if history.chunks]
        for start in range(0, len(numbered), self.num_envs):
            group = numbered[start : start + self.num_envs]
            task = EpisodeList("histories", [history for _, history in group])
            env = MemoryVectorEnv(MemoryEnv(task, **self.config), len(group))
            rollout(env, self.policy, range(len(group)))
            memories |= {n: bank_memories(single.paper().bank) for (n, _), single in zip(group, env.envs, strict=True)}
            env.close()
        return list(memories.values())


class RecordedBanks:
    """The memory that a recorded trajectory left behind, one per dialogue.

    The operations that succeeded are carried out again, so of the settings of the recorded environment only one need be
    known; the dialogues must be cut into the same chunks.
    """

    def __init__(self, trajectories: Iterable[Trajectory], *, calendar_dates: bool = False) -> None:
        """Create the preparer.

        Args:
            trajectories: Of whole dialogues, which they name by episode id.
            calendar_dates: The recorded environment's.

        Raises:
            ValueError: Two of the same dialogue.
        """
        self.calendar_dates = calendar_dates
        self.trajectories: dict[str, Trajectory] = {}
        for trajectory in trajectories:
            if trajectory.episode_id in self.trajectories:
                raise ValueError(f"two trajectories of {trajectory.episode_id!r}: expected one per dialogue")
            self.trajectories[trajectory.episode_id] = trajectory

    def __call__(self, histories: Sequence[Episode]) -> list[Memories]:
        """The memory after each history.

        Raises:
            ValueError: No trajectory is of that dialogue, or it is over other chunks.
        """
        return [self._redone(history) for history in histories]

    def _redone(self, history: Episode) -> Memories:
        policy = self._policy(history)
        (memories,) = PolicyBanks(policy, budget=UNLIMITED, calendar_dates=self.calendar_dates)([history])
        return memories

    def _policy(self, history: Episode) -> _Redo:
        if history.id not in self.trajectories:
            raise ValueError(f"no trajectory of {history.id!r} was recorded, only of {', '.join(self.trajectories)}")
        trajectory = self.trajectories[history.id]
        chunks = trajectory.steps[-1].chunk + 1
        if chunks != len(history.chunks):
            raise ValueError(
                f"the trajectory of {history.id!r} is over {chunks} chunks, here are {len(history.chunks)}: use the "
                "chunking that it was recorded with, and whole dialogues"
            )
        return _Redo(trajectory)


class _Redo:
    """Carries out again what succeeded, chunk by chunk."""

    name = "redo"
    # Searches changed nothing and are left out, so every chunk takes one step.
    env_overrides: ClassVar[Mapping[str, Any]] = {"max_operations": 1 << 20}

    def __init__(self, trajectory: Trajectory) -> None:
        self._operations: dict[int, list[Operation]] = {}
        for step in trajectory.steps:
            done = self._operations.setdefault(step.chunk, [])
            for operation, result in zip(step.decision.operations, step.operations, strict=True):
                if result["status"] == "ok" and operation.kind != "search":
                    done.append(operation)

    def act(self, observations: Sequence[Observation], episodes: Sequence[int]) -> list[Decision]:
        return [Decision(tuple(self._operations[int(observation["progress"][0])])) for observation in observations]


class ExportedBanks:
    """Banks written by ``MemoryBank.export_jsonl``: the file ``<dialogue id>.jsonl`` of a folder for each dialogue."""

    def __init__(self, folder: str | Path) -> None:
        """Create the preparer for the banks in ``folder``."""
        self.folder = Path(folder)

    def __call__(self, histories: Sequence[Episode]) -> list[Memories]:
        """What the bank of each history's dialogue holds.

        Raises:
            ValueError: There is none, or it is no export.
        """
        return [self._read(history.id) for history in histories]

    def _read(self, dialogue: str) -> Memories:
        file = self.folder / f"{dialogue}.jsonl"
        if not file.is_file():
            raise ValueError(f"no file {file}: expected the exported bank of dialogue {dialogue!r}")
        with MemoryBank.import_jsonl(file, budget=UNLIMITED) as bank:
            return bank_memories(bank)
