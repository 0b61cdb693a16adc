"""Settings of a trainer: a dataclass, filled from a YAML file and `--key value` overrides."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from transformers.integrations import get_available_reporting_integrations

from agents.prompts.manager import check_format

Settings = TypeVar("Settings")


@dataclass
class BackboneSettings:
    """Which model is trained."""

    name: str = "smollm2"
    """Embedded default, "tiny-llama"/"tiny-qwen2"/"tiny-qwen3", a hub id or a path."""
    dtype: str = "auto"
    """auto, float32, bfloat16 or float16."""
    adapter: str | None = None
    """Folder of a LoRA adapter to start from; an Engram beside it is loaded with it."""
    engram: dict[str, Any] | bool = False
    """off, on (the preset "retrofit"), or a mapping: a preset and fields of ``agents.engram.EngramConfig``."""
    train_engram: str | None = None
    """"shared" trains the Engram that all adapters share, "adapter" a copy that belongs to this adapter, "frozen" none.
    None trains a fresh one, and leaves one that came with ``adapter`` frozen."""


@dataclass
class LoraShape:
    """Shape of a fresh adapter, used when there is none to start from."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    top_layers: int | None = None
    """Adapt only the last n decoder layers; None adapts all."""
    dtype: str = "float32"
    """float32, or bfloat16 to save time on a CPU."""


@dataclass
class EnvSettings:
    """Where episodes come from."""

    id: str = "memgym/Dialogue-v0"
    kwargs: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the environment: split, budget, reward, reader, dialogue, ..."""


@dataclass
class AgentSettings:
    """How the Memory Manager reads and writes."""

    codec: str = "lines"
    style: str = "terse"
    """Prompt style: "full", "terse", or "quote", which keeps lines of the chunk by their first words."""
    search: bool = False
    """Offer to search the memory; a search stays on its chunk (``env.kwargs.max_steps_per_chunk``)."""
    max_new_tokens: int = 96
    temperature: float = 1.0
    """Of the rollouts; evaluations are greedy."""

    def __post_init__(self) -> None:
        check_format(self.codec, self.style, search=self.search)
        check_least(self, max_new_tokens=1, temperature=0)


def check_least(settings: Any, **least: float) -> None:
    """Refuse numbers that are too low.

    Args:
        settings: A dataclass.
        least: Lowest value by the name of a field.

    Raises:
        ValueError: A field holds less.
    """
    for name, lowest in least.items():
        value = getattr(settings, name)
        if not value >= lowest:
            raise ValueError(f"{name}={value}: expected at least {lowest}")


def check_run(settings: Any, **least: float) -> None:
    """Refuse what no run can be started with.

    Args:
        settings: Of a trainer; with seed, learning_rate, first_episode, save_every and report_to.
        least: Lowest values of its other numbers, by the name of a field.

    Raises:
        ValueError: One of these has no such value, or the tracker is not installed.
    """
    check_least(settings, learning_rate=0, first_episode=0, save_every=1, **least)
    if not 0 <= settings.seed < 1 << 32:
        raise ValueError(f"seed={settings.seed}: expected 0 to {(1 << 32) - 1}")
    trackers = ("none", *get_available_reporting_integrations())
    if settings.report_to not in trackers:
        raise ValueError(
            f"report_to={settings.report_to!r}: expected one of {', '.join(trackers)}; others must be installed first"
        )


def check_fields(name: str, values: Mapping[str, Any], config: type) -> None:
    """Refuse further fields of a configuration that it does not have.

    Args:
        name: Of the setting that holds them.
        values: By name of the field.
        config: The dataclass they are handed to.

    Raises:
        ValueError: It has no such field.
    """
    known = {item.name for item in dataclasses.fields(config)}
    for key in values:
        if key not in known:
            raise ValueError(f"{name}.{key}: {config.__name__} has no such field")


def load_settings(kind: type[Settings], argv: Sequence[str], description: str, ignored: Sequence[str] = ()) -> Settings:
    """Read `--config FILE.yaml` and `--key value` / `--group.key value` overrides, in order.

    Args:
        kind: A dataclass; nested dataclasses are groups.
        argv: Command-line arguments without the program name.
        description: Shown by `--help`, before the list of keys.
        ignored: Settings of another trainer that a file may hold, in a group as ``group.key``: they are left out, and
            one line says so. On the command line they are errors.

    Raises:
        SystemExit: `--help`, or an argument that is not understood; one line says which and why.
    """
    if "--help" in argv or "-h" in argv:
        raise SystemExit(f"{description}\n\n--config FILE.yaml, then any of\n" + "\n".join(_keys(kind)))
    try:
        return _build(kind, _given(argv, ignored), "")
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from error


def _given(argv: Sequence[str], ignored: Sequence[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    arguments = list(argv)
    while arguments:
        option = arguments.pop(0)
        if not option.startswith("--"):
            raise ValueError(f"{option!r}: expected --key value")
        key, separator, inline = option[2:].partition("=")
        if not separator and not arguments:
            raise ValueError(f"--{key} has no value")
        text = inline if separator else arguments.pop(0)
        if key == "config":
            loaded = _read_yaml(Path(text).read_text(encoding="utf-8"), text) or {}
            if not isinstance(loaded, dict):
                raise ValueError(f"{text}: expected a mapping of settings")
            left_out = [name for name in ignored if _take_out(loaded, name)]
            if left_out:
                print(f"{text}: left out {', '.join(left_out)}, which this trainer does not have")
            values = merged(values, loaded)
        else:
            values = merged(values, _nested(key.split("."), _read_yaml(text, option)))
    return values


def _take_out(values: dict[str, Any], name: str) -> bool:
    """Remove a setting, of a group as ``group.key``; whether it was there."""
    group, _, key = name.rpartition(".")
    inner = values.get(group) if group else values
    if not isinstance(inner, dict) or key not in inner:
        return False
    del inner[key]
    return True


def _read_yaml(text: str, source: str) -> Any:
    """YAML, whose own errors fill several lines and do not say where the text came from."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{source}: not valid YAML: {' '.join(str(error).split())}") from error


def _nested(path: Sequence[str], value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key.replace("-", "_"): value}
    return value


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` with ``changes``, mappings key by key, so that the change of one key keeps its neighbours."""
    result = dict(values)
    for key, new in changes.items():
        old = values.get(key)
        result[key] = merged(old, new) if isinstance(old, Mapping) and isinstance(new, Mapping) else new
    return result


def _build(kind: type[Settings], values: dict[str, Any], prefix: str) -> Settings:
    hints = typing.get_type_hints(kind)
    names = [item.name for item in dataclasses.fields(kind)]  # type: ignore[arg-type]
    unknown = [key for key in values if key not in names]
    if unknown:
        raise ValueError(f"unknown setting {prefix}{unknown[0]}; expected one of {', '.join(names)}")
    converted = {key: _convert(hints[key], value, f"{prefix}{key}") for key, value in values.items()}
    try:
        return kind(**converted)
    except ValueError as error:
        raise ValueError(f"{prefix}{error}") from error


def _convert(hint: Any, value: Any, name: str) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise ValueError(f"{name}: expected a group of settings, got {value!r}")
        return _build(typing.cast(type, hint), value, f"{name}.")
    allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in allowed:
        return None
    if float in allowed and isinstance(value, int | str) and not isinstance(value, bool):
        value = _as_float(value, name)  # YAML reads 3e-4 as a string
    bases = tuple(typing.get_origin(item) or item for item in allowed)
    if not isinstance(value, bases) or (isinstance(value, bool) and bool not in bases):
        wanted = " or ".join(getattr(item, "__name__", str(item)) for item in allowed)
        raise ValueError(f"{name}: expected {wanted}, got {value!r}")
    return value


def _as_float(value: int | str, name: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise ValueError(f"{name}: expected a number, got {value!r}") from error


def _keys(kind: type, prefix: str = "") -> list[str]:
    lines = []
    hints = typing.get_type_hints(kind)
    for item in dataclasses.fields(kind):
        hint = hints[item.name]
        if dataclasses.is_dataclass(hint):
            lines += _keys(typing.cast(type, hint), f"{prefix}{item.name}.")
        else:
            default = item.default if item.default is not dataclasses.MISSING else "{}"
            lines.append(f"  --{prefix}{item.name}  (default: {default})")
    return lines
