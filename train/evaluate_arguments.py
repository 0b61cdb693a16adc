"""The command line of ``train.evaluate``, and the YAML that stands in for it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from agents import BASELINES
from agents.prompts.manager import STYLES
from memgym.memory.codecs import CODECS

NAMES = (*BASELINES, "manager")


def parse_arguments(argv: list[str], description: str) -> argparse.Namespace:
    """Command line over the YAML of ``--config`` over the defaults; a mistake ends the program.

    Args:
        argv: Without the program's name.
        description: Shown by ``--help``.
    """
    parser = _parser(description)
    config = parser.parse_args(argv).config
    arguments = parser.parse_args([*(_config_options(parser, config) if config else []), *argv])
    _check_names(parser, arguments)
    return arguments


def split_agent(spec: str) -> tuple[str, str, str | None]:
    """Label, name and adapter of a command-line word such as ``trained=manager@runs/grpo/adapter``."""
    head, _, adapter = spec.partition("@")
    label, _, name = head.rpartition("=")
    return label or name, name, adapter or None


def _parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--config", type=Path, help="YAML with any of the long options as keys")
    add("--env", nargs="+", default=["memgym/Dialogue-v0"], help="registered ids")
    add("--split", help="train, validation, test, ...; the environment's default when left out")
    add("--env-kwargs", type=_mapping, default={}, help="further keyword arguments of the environments, as YAML")
    add("--budget", type=int, help="hard memory budget in tokens; none when left out")
    add("--agents", nargs="+", default=list(BASELINES))
    add("--readers", nargs="+", default=["extractive"])
    add("--episodes", type=int, help="number of episodes; all of a finite task, 64 of an endless one when left out")
    add("--first-episode", type=_number(int, 0), default=0)
    add("--num-envs", type=_number(int, 1), default=64, help="episodes run together")
    add("--backbone", default="smollm2", help="of managers")
    add("--dtype", default="auto")
    add("--codec", choices=list(CODECS), help="of managers; when left out, what the adapter was trained with")
    add("--style", choices=list(STYLES), help="of managers; when left out, what the adapter was trained with")
    add("--search", action=argparse.BooleanOptionalAction, help="managers may search; when left out, as trained")
    add("--max-new-tokens", type=_number(int, 1), help="of managers; when left out, what the adapter was trained with")
    add("--temperature", type=_number(float, 0), default=0.0, help="of managers; 0 is greedy, 1 is how GRPO samples")
    add("--seed", type=_number(int, 0), default=0, help="of managers that sample")
    add("--compare", nargs=2, action="append", metavar=("A", "B"), default=[], help="paired difference A - B")
    add("--output", default="runs/evaluate")
    return parser


def _number(kind: type[int] | type[float], least: int) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = kind(text)
        if not value >= least:
            raise argparse.ArgumentTypeError(f"{text}: expected at least {least}")
        return value

    read.__name__ = kind.__name__  # which argparse calls the type
    return read


def _mapping(text: str) -> dict[str, Any]:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise argparse.ArgumentTypeError(f"not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"expected a mapping, got {value!r}")
    return value


def _config_options(parser: argparse.ArgumentParser, path: Path) -> list[str]:
    """The words of a command line that says what the YAML says, so that both are read and checked alike."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        parser.error(f"--config {path}: {' '.join(str(error).split())}")
    if not isinstance(values, dict | None):
        parser.error(f"--config {path}: expected a mapping of settings")
    actions = {action.dest: action for action in parser._actions}
    words: list[str] = []
    for key, value in (values or {}).items():
        if key not in actions:
            parser.error(f"--config {path}: unknown setting {key}; expected one of {', '.join(sorted(actions))}")
        if actions[key].nargs not in (None, 0) and not isinstance(value, list):
            parser.error(f"--config {path}: {key}: expected a list, got {value!r}")
        words += _option(key, value)
    return words


def _option(key: str, value: Any) -> list[str]:
    name = f"--{key.replace('_', '-')}"
    if value is None:
        return []
    if isinstance(value, bool):
        return [name if value else f"--no-{key}"]
    if isinstance(value, dict):
        return [name, yaml.safe_dump(value)]
    if not isinstance(value, list):
        return [f"{name}={value}"]
    if key == "compare":
        return [word for pair in value for word in (name, *map(str, pair if isinstance(pair, list) else [pair]))]
    return [name, *map(str, value)]


def _check_names(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Find what would otherwise come to light when other agents have been run already."""
    labels = []
    for spec in arguments.agents:
        label, name, adapter = split_agent(spec)
        if name not in NAMES:
            parser.error(f"agent {name!r} is unknown; choose one of {', '.join(NAMES)}")
        if adapter is not None and name != "manager":
            parser.error(f"--agents {spec}: only the manager takes an adapter")
        if label in labels:
            parser.error(f"agent {label} is named twice: give one of them another name, NAME={spec}")
        labels.append(label)
    for pair in arguments.compare:
        if not set(pair) <= set(labels):
            parser.error(f"--compare {' '.join(pair)}: both must be among the agents {', '.join(labels)}")
