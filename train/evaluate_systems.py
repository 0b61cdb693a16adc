"""What an evaluation compares: systems, each a row of the table. A memory policy, a reader, and their settings.

In YAML, by label, where only ``agent`` and ``reader`` are required:

    systems:
      rag: {agent: rag, reader: answerer, untrained: true}
      full: {agent: manager@grpo/adapter, reader: answerer@answerer/adapter, env_kwargs: {retrieve: 60}}
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from agents import BASELINES, engram

LEARNED = {"manager": ("",), "memlora": ("extract", "update")}  # agents with adapters -> where these lie in the folder
NAMES = (*BASELINES, *LEARNED)
ANSWERER = "answerer"  # as a reader: the system's own backbone
_KINDS: dict[str, tuple[type, str]] = {"dict": (dict, "a mapping"), "bool": (bool, "on or off"), "str": (str, "text")}
_LABEL = re.compile(r"\w[\w.=+-]*")  # names a folder


@dataclass(frozen=True)
class System:
    """One row of a table."""

    label: str
    agent: str
    """Name, or ``NAME@FOLDER`` with the folder of its adapter, or of its adapters, within that of the runs."""
    reader: str
    """A rule-based reader by name; "answerer", the system's backbone; or another backbone; the last two may have
    ``@FOLDER``."""
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    """Changes to those of the evaluation."""
    agent_kwargs: dict[str, Any] = field(default_factory=dict)
    """Arguments of the agent, over those of the command line."""
    reader_kwargs: dict[str, Any] = field(default_factory=dict)
    """Arguments of ``agents.answerer.AnswerAgent``, such as ``distil``."""
    backbone: str | None = None
    """Of agent and answerer; None is the evaluation's."""
    engram: bool = True
    """False switches the Engram of its adapters off."""
    untrained: bool = False
    """May be the best untrained baseline."""

    @property
    def adapters(self) -> list[str]:
        """Folders of its adapters as they are named in the specs: of the agent, then of the reader."""
        specs = (split_agent(self.agent)[2], self.reader.partition("@")[2])
        return [folder for folder in specs if folder]

    def adapter_folders(self, runs: Path) -> dict[Path, str]:
        """Every folder that must hold an adapter, and the folder that its spec names."""
        _, name, adapter = split_agent(self.agent)
        folders = {runs / adapter / part: adapter for part in LEARNED[name]} if adapter else {}
        reading = self.reader.partition("@")[2]
        return {**folders, **({runs / reading: reading} if reading else {})}


def split_agent(spec: str) -> tuple[str, str, str | None]:
    """Label, name and adapter of a command-line word such as ``trained=manager@runs/grpo/adapter``."""
    head, _, adapter = spec.partition("@")
    label, _, name = head.rpartition("=")
    return label or name, name, adapter or None


def product(agents: Sequence[str], reader: str) -> list[System]:
    """Systems of the command line: every agent with one reader.

    Raises:
        ValueError: A name is unknown or comes twice, or what takes no adapter is given one.
    """
    systems: dict[str, System] = {}
    for spec in agents:
        label, name, adapter = split_agent(spec)
        check_agent(spec)
        if label in systems:
            raise ValueError(f"agent {label} is named twice: give one of them another name, NAME={spec}")
        untrained = adapter is None and name != "oracle" and "@" not in reader
        systems[label] = System(label, spec.removeprefix(f"{label}="), reader, untrained=untrained)
    return list(systems.values())


def read_systems(values: Any) -> dict[str, System]:
    """Systems by label, out of YAML.

    Raises:
        ValueError: Something else than the mapping that is described above; the message says where.
    """
    if not isinstance(values, dict):
        raise ValueError(f"systems: expected a mapping of labels to systems, got {values!r}")
    return {str(label): _read_system(str(label), value) for label, value in values.items()}


def _read_system(label: str, values: Any) -> System:
    if not _LABEL.fullmatch(label):
        raise ValueError(f"system {label!r}: expected a label of letters, digits and . _ = + -: it names a folder")
    known = {one.name: one for one in fields(System) if one.name != "label"}
    if not isinstance(values, dict):
        raise ValueError(f"system {label}: expected a mapping with agent and reader, got {values!r}")
    for key, value in values.items():
        if key not in known:
            raise ValueError(f"system {label}: unknown setting {key}; expected one of {', '.join(known)}")
        _check_kind(f"system {label}: {key}", value, str(known[key].type))
    required = [name for name, one in known.items() if one.default is MISSING and one.default_factory is MISSING]
    if missing := [name for name in required if name not in values]:
        raise ValueError(f"system {label}: {missing[0]} is missing")
    try:
        check_agent(values["agent"])
    except ValueError as error:
        raise ValueError(f"system {label}: {error}") from error
    return System(label, **values)


def _check_kind(name: str, value: Any, annotation: str) -> None:
    kind, words = next(_KINDS[start] for start in _KINDS if annotation.startswith(start))
    if not isinstance(value, kind) and not (value is None and annotation.endswith("None")):
        raise ValueError(f"{name}: expected {words}, got {value!r}")


def check_agent(spec: str) -> None:
    """Refuse agents that there are not, and adapters for those that have none.

    Raises:
        ValueError: One line says which.
    """
    _, name, adapter = split_agent(spec)
    if name not in NAMES:
        raise ValueError(f"agent {name!r} is unknown; choose one of {', '.join(NAMES)}")
    if adapter is not None and name not in LEARNED:
        raise ValueError(f"agent {spec}: only {' and '.join(LEARNED)} take an adapter")


def check_adapters(systems: Sequence[System], runs: Path, commands: Mapping[str, str], *, choosable: bool) -> None:
    """Find adapters that are missing before anything is run.

    Args:
        systems: Of all tables.
        runs: Folder that those of the adapters are relative to.
        commands: Folder of an adapter -> the command that trains it, where it is known.
        choosable: Whether systems can be left out by ``--systems``.

    Raises:
        ValueError: One is missing; says which system wants it, how to train it and how to do without.
    """
    lacking = {system.label: lost for system in systems if (lost := _missing(system, runs))}
    if not lacking:
        return
    label, (folder, spec) = next(iter(lacking.items()))
    message = f"system {label}: no adapter in {folder}: expected a folder with adapter_config.json"
    if spec in commands:
        message += f"; this trains it: {commands[spec]}"
    if len(lacking) > 1:
        message += f"; {', '.join(list(lacking)[1:])} lack adapters too"
    if choosable:
        ready = [system.label for system in systems if system.label not in lacking]
        message += f"; to leave out what is missing: --systems {' '.join(ready or ['LABEL'])}"
    raise ValueError(message)


def _missing(system: System, runs: Path) -> tuple[Path, str] | None:
    folders = system.adapter_folders(runs).items()
    return next(((path, spec) for path, spec in folders if not (path / "adapter_config.json").is_file()), None)


def check_engram(systems: Sequence[System], runs: Path, *, on: bool) -> None:
    """Refuse to switch off what is not there.

    Args:
        systems: Of all tables.
        runs: Folder that those of the adapters are relative to.
        on: False where it is to be switched off in all systems that have one.

    Raises:
        ValueError: A system says ``engram: off`` and has none, or none of them has.
    """
    having = [system for system in systems if has_engram(system, runs)]
    if not on and not having:
        raise ValueError("--no-engram: none of the adapters was trained with an Engram: leave it out")
    for system in systems:
        if not system.engram and system not in having:
            raise ValueError(
                f"system {system.label}: engram is off, but none of its adapters was trained with one: leave it out"
            )


def without_engram(systems: Sequence[System], runs: Path) -> list[System]:
    """The systems, with the Engram off in those that have one."""
    return [replace(system, engram=False) if has_engram(system, runs) else system for system in systems]


def has_engram(system: System, runs: Path) -> bool:
    """Whether an adapter of the system was trained with an Engram."""
    return any(engram.has_engram(folder) for folder in system.adapter_folders(runs))
