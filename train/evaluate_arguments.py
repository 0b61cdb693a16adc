"""The command line of ``train.evaluate``, and the YAML that stands in for it: a preset, a config, or both."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from agents import BASELINES
from agents.prompts.manager import STYLES
from memgym.memory.codecs import CODECS
from train.evaluate_systems import System, product, read_systems, split_agent
from train.settings import merged

PRESETS = Path(__file__).parent / "presets"
BEST_UNTRAINED = "best_untrained"


def parse_arguments(argv: list[str], description: str) -> argparse.Namespace:
    """Command line over ``--config`` over ``--preset`` over the defaults; a mistake ends the program.

    Args:
        argv: Without the program's name.
        description: Shown by ``--help``.

    Returns:
        The options by name. Besides them ``argv``; ``systems``, those that were chosen, or None where agents and
        readers make the tables; and ``trained_by``: folder of an adapter -> the command that trains it.
    """
    parser = _parser(description)
    first = parser.parse_args(argv)
    words: list[str] = []
    systems: dict[str, System] = {}
    trained_by: dict[str, str] = {}
    for source, path in _files(parser, first):
        values = _read_file(parser, source, path)
        systems |= _systems_of(parser, source, values)
        trained_by |= values.pop("trained_by", None) or {}
        words += _config_options(parser, source, values)
    arguments = parser.parse_args([*words, *argv])
    arguments.argv, arguments.trained_by = argv, trained_by
    try:
        _choose_systems(arguments, systems)
        _check_names(arguments, list(systems))
    except ValueError as error:
        parser.error(str(error))
    return arguments


def _parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    presets = sorted(path.stem for path in PRESETS.glob("*.yaml"))
    add("--preset", choices=presets, help="a comparison that is described in train/presets")
    add("--config", type=Path, help="YAML with any of the long options as keys, and with systems")
    add("--systems", nargs="+", metavar="LABEL", help="of the preset's or config's systems; all when left out")
    add("--runs", type=Path, default=Path(), help="folder that adapters of systems and agents are relative to")
    add("--env", nargs="+", default=["memgym/Dialogue-v0"], help="registered ids")
    add("--split", help="train, validation, test, ...; the environment's default when left out")
    add("--env-kwargs", type=_mapping, action=_Merge, default={}, help="of the environments, as YAML; key by key")
    add("--budget", type=int, help="hard memory budget in tokens; none when left out")
    add("--agents", nargs="+", help="every one with every reader; all baselines when left out")
    add("--readers", nargs="+", help="extractive when left out")
    add("--episodes", type=int, help="number of episodes; all of a finite task, 64 of an endless one when left out")
    add("--first-episode", type=_number(int, 0), default=0)
    add("--num-envs", type=_number(int, 1), default=64, help="episodes run together")
    add("--backbone", default="smollm2", help="of managers, and of readers called answerer")
    add("--dtype", default="auto")
    add("--engram", action=argparse.BooleanOptionalAction, default=True, help="--no-engram: off in all that have one")
    add("--codec", choices=list(CODECS), help="of managers; when left out, what the adapter was trained with")
    add("--style", choices=list(STYLES), help="of managers; when left out, what the adapter was trained with")
    add("--search", action=argparse.BooleanOptionalAction, help="managers may search; when left out, as trained")
    add("--max-new-tokens", type=_number(int, 1), help="of managers; when left out, what the adapter was trained with")
    add("--temperature", type=_number(float, 0), default=0.0, help="of managers; 0 is greedy, 1 is how GRPO samples")
    add("--seed", type=_number(int, 0), default=0, help="of managers that sample")
    add("--compare", nargs=2, action="append", metavar=("A", "B"), default=[], help="paired difference A - B")
    add("--against", nargs="+", metavar="LABEL", default=[], help=f"test all against these; also {BEST_UNTRAINED}")
    add("--fresh", action=argparse.BooleanOptionalAction, default=False, help="reuse nothing of an earlier evaluation")
    add("--output", default="runs/evaluate")
    return parser


class _Merge(argparse.Action):
    """A mapping that changes single keys of the one before it."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        setattr(namespace, self.dest, merged(getattr(namespace, self.dest), values))


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


# --- YAML ---


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that comes twice, of which YAML itself keeps the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise yaml.YAMLError(f"{twice[0]} comes twice in one mapping{node.start_mark}")
        return super().construct_mapping(node, deep)


def _files(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> list[tuple[str, Path]]:
    """Where settings come from, those that win last: a name for messages, and the path."""
    preset = [(f"--preset {arguments.preset}", PRESETS / f"{arguments.preset}.yaml")] if arguments.preset else []
    return [*preset, *([(f"--config {arguments.config}", arguments.config)] if arguments.config else [])]


def _read_file(parser: argparse.ArgumentParser, source: str, path: Path) -> dict[str, Any]:
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)  # a SafeLoader
    except (OSError, yaml.YAMLError) as error:
        parser.error(f"{source}: {' '.join(str(error).split())}")
    if not isinstance(values, dict | None):
        parser.error(f"{source}: expected a mapping of settings")
    return values or {}


def _systems_of(parser: argparse.ArgumentParser, source: str, values: dict[str, Any]) -> dict[str, System]:
    try:
        return read_systems(values.pop("systems")) if "systems" in values else {}
    except ValueError as error:
        parser.error(f"{source}: {error}")


def _config_options(parser: argparse.ArgumentParser, source: str, values: Mapping[str, Any]) -> list[str]:
    """The words of a command line that says what the YAML says, so that both are read and checked alike."""
    actions = {action.dest: action for action in parser._actions if action.dest not in ("help", "preset", "config")}
    words: list[str] = []
    for key, value in values.items():
        if key not in actions:
            parser.error(f"{source}: unknown setting {key}; expected one of {', '.join(sorted(actions))}")
        if actions[key].nargs not in (None, 0) and not isinstance(value, list):
            parser.error(f"{source}: {key}: expected a list, got {value!r}")
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


# --- what goes together ---


def _choose_systems(arguments: argparse.Namespace, systems: Mapping[str, System]) -> None:
    """Find the systems that ``--systems`` names; without any, agents and readers make the tables."""
    chosen = arguments.systems
    if systems and (arguments.agents or arguments.readers):
        raise ValueError("--agents and --readers make tables of their own: leave them out, or the systems")
    if chosen and not systems:
        raise ValueError("--systems chooses among the systems of --preset or --config, and there are none")
    if unknown := [label for label in chosen or [] if label not in systems]:
        raise ValueError(f"--systems: {unknown[0]!r} is unknown; choose some of {', '.join(systems)}")
    arguments.systems = [system for label, system in systems.items() if chosen is None or label in chosen] or None
    arguments.agents = arguments.agents or list(BASELINES)
    arguments.readers = arguments.readers or ["extractive"]


def _check_names(arguments: argparse.Namespace, defined: Sequence[str]) -> None:
    """Find what would otherwise come to light when other systems have been run already."""
    if arguments.systems is None:
        product(arguments.agents, "extractive")
    labels = [system.label for system in arguments.systems or ()] or [split_agent(one)[0] for one in arguments.agents]
    for pair in arguments.compare:
        if not set(pair) <= set(labels):
            raise ValueError(f"--compare {' '.join(pair)}: both must be among the agents {', '.join(labels)}")
    for label in arguments.against:
        if label not in (BEST_UNTRAINED, *labels, *defined):
            raise ValueError(f"--against {label}: expected {BEST_UNTRAINED} or one of {', '.join(labels)}")
