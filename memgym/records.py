"""What a run leaves behind: trajectories as JSONL, and a manifest that says how they came about."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from memgym.memory.budget import Budget
from memgym.memory.operations import Operation
from memgym.rollout import Decision, Trajectory, TrajectoryStep

TRAJECTORIES = "trajectories.jsonl"
MANIFEST = "manifest.yaml"
_PACKAGES = ("memgym", "gymnasium", "numpy", "torch", "transformers", "trl", "peft", "accelerate", "datasets")


class TrajectoryWriter:
    """Appends trajectories to a JSONL file, one row per episode, flushed as they finish."""

    def __init__(self, path: str | Path) -> None:
        """Open ``path`` for appending; its folder is made if it is missing."""
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A model may write half a surrogate pair, which is no UTF-8; its backslash form is its escape in JSON.
        self._file: TextIO = self.path.open("a", encoding="utf-8", errors="backslashreplace")

    def write(self, trajectory: Trajectory) -> None:
        """Append one row."""
        self._file.write(json.dumps(trajectory_to_row(trajectory), ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> TrajectoryWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


@contextmanager
def replacing_records(path: str | Path) -> Iterator[TrajectoryWriter]:
    """A writer of a new file that takes the place of ``path`` when all is written.

    After a failure the old file is as it was, and what was written stands beside it in ``<path>.partial``.
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with TrajectoryWriter(partial) as writer:
        yield writer
    os.replace(partial, path)


def trajectory_to_row(trajectory: Trajectory) -> dict[str, Any]:
    """A trajectory in plain JSON types, with its score, reward and memory size beside it."""
    row = asdict(trajectory)
    return row | {"score": trajectory.score, "reward": trajectory.reward, "memory_tokens": trajectory.memory_tokens}


def trajectory_from_row(row: Mapping[str, Any]) -> Trajectory:
    """The inverse of ``trajectory_to_row``.

    Raises:
        KeyError: The row is not a trajectory.
    """
    steps = [
        TrajectoryStep(
            chunk=step["chunk"],
            decision=_decision(step["decision"]),
            operations=step["operations"],
            terms=step["terms"],
            own_reward=step["own_reward"],
            reward=step["reward"],
            tokens=step["tokens"],
        )
        for step in row["steps"]
    ]
    return Trajectory(
        episode=row["episode"],
        episode_id=row["episode_id"],
        policy=row["policy"],
        steps=steps,
        exam=row["exam"],
        terms=row["terms"],
        episode_reward=row["episode_reward"],
        stream_tokens=row["stream_tokens"],
    )


def _decision(record: Mapping[str, Any]) -> Decision:
    return Decision(
        operations=tuple(Operation(**operation) for operation in record["operations"]),
        text=record["text"],
        prompt_ids=tuple(record["prompt_ids"]),
        completion_ids=tuple(record["completion_ids"]),
        truncated=record["truncated"],
    )


def read_trajectories(path: str | Path) -> Iterator[Trajectory]:
    """Trajectories of a JSONL file, or of the one in a run folder.

    Raises:
        ValueError: There is no such file, or a row is not a trajectory; the message names the line.
    """
    path = Path(path)
    path = path / TRAJECTORIES if path.is_dir() else path
    if not path.is_file():
        runs = ", ".join(sorted(str(run.parent) for run in path.parent.glob(f"*/{TRAJECTORIES}")))
        hint = f", such as {runs}" if runs else ""
        raise ValueError(f"{path}: no such file; expected a trajectories.jsonl or the folder of a run{hint}")
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield trajectory_from_row(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{path}, line {number}: not a trajectory of this version ({error!r})") from error


@dataclass
class Manifest:
    """How a run came about. Two runs with equal manifests but for ``time`` give equal records."""

    command: str
    env: str  # registered id
    env_kwargs: dict[str, Any]  # as they were given
    agent: str
    seed: int
    # What `memgym.protocol.describe_env` says:
    reader: str
    reward: str
    budget: dict[str, int | None]  # tokens
    config: dict[str, Any]  # every setting of the environment as it took effect
    data: dict[str, Any]  # name, arguments and sha256 of the task
    extra: dict[str, Any] = field(default_factory=dict)  # decoding, training settings, ...
    versions: dict[str, str] = field(default_factory=lambda: package_versions())
    hardware: dict[str, Any] = field(default_factory=lambda: hardware())
    time: dict[str, Any] = field(default_factory=dict)

    def write(self, path: str | Path) -> None:
        """Write as YAML, atomically."""
        import yaml

        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(path.suffix + ".partial")
        partial.write_text(yaml.safe_dump(plain(asdict(self)), sort_keys=False, allow_unicode=True), encoding="utf-8")
        os.replace(partial, path)

    @classmethod
    def read(cls, path: str | Path) -> Manifest:
        """Read a manifest, or the one in a run folder.

        Raises:
            ValueError: There is none, or it is not a manifest.
        """
        import yaml

        path = Path(path)
        path = path / MANIFEST if path.is_dir() else path
        if not path.is_file():
            raise ValueError(f"{path}: no such file; expected the manifest.yaml of a run")
        try:
            return cls(**yaml.safe_load(path.read_text(encoding="utf-8")))
        except (yaml.YAMLError, TypeError) as error:
            raise ValueError(f"{path}: not a manifest of this version ({error})") from error


def plain(value: Any) -> Any:
    """``value`` in types that JSON and YAML know.

    An object becomes its ``name``, else its ``repr`` where that says more than an address in memory, else its class;
    a function becomes ``module:name``.
    """
    if isinstance(value, Budget):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Path):
        return str(value)
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}:{value.__qualname__}"
    name = getattr(value, "name", None)
    if isinstance(name, str) and name:
        return name
    kind = type(value)
    return f"{kind.__module__}:{kind.__qualname__}" if kind.__repr__ is object.__repr__ else repr(value)


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a run's outcome; absent ones are left out."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def hardware() -> dict[str, Any]:
    """The machine, as far as the standard library can tell."""
    return {"machine": platform.machine(), "system": platform.system(), "cpus": os.cpu_count()}


def usable_processors() -> int:
    """Logical processors that this process may use: not all of the machine's in a container, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
