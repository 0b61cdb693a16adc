"""What an adapter was trained as: kept beside its weights, so that nobody has to remember it.

A Memory Manager that learned one prompt style writes nonsense when it is asked in another one. So the trainers write
``memgym_agent.json`` into the folder of an adapter, with the role and the format it learned, and agents go by it.
Without the file an adapter is whatever it is used as; deleting it is how to force another use.

Under ``env`` stands what the environment showed in training. ``agents.assistant`` shows the same, unless it is told
otherwise; whoever evaluates says what is shown anyway.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = "memgym_agent.json"
LIMITS = ("max_new_tokens",)  # may be set otherwise: they are no part of the format

# Fields of ``EnvConfig``: what a manager of the memory sees, and what is looked up in it for a question. The budget is
# neither: how much may be kept is up to the one who keeps it.
READING = ("shown", "show", "max_operations", "max_steps_per_chunk")
EXAM = ("retrieve", "retrieval", "neighbours", "calendar_dates", "encoder", "context_tokens")

Record = dict[str, Any]  # "role", the options of the agent by name, and "env", where it is known


def write_record(folder: str | Path, record: Mapping[str, Any]) -> None:
    """Write the record of an adapter into its folder."""
    (Path(folder) / FILE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def read_record(folder: str | Path) -> Record | None:
    """The record in the folder of an adapter; None where there is none.

    Raises:
        ValueError: The file holds something else.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON ({error})") from error
    if not isinstance(record, dict) or "role" not in record:
        raise ValueError(f"{path}: expected a mapping with a role")
    return record


def with_env(record: Mapping[str, Any], shown: Mapping[str, Any]) -> Record:
    """The record of an agent that is trained in an environment.

    Args:
        record: Of the agent.
        shown: Settings of the environment by the names of ``EnvConfig``. Those that the role does not see are left out,
            and so is what stands for a default (None) or is no name but an object.
    """
    names = EXAM if record["role"] == "answerer" else (*READING, *EXAM)
    return {**record, "env": {name: shown[name] for name in names if isinstance(shown.get(name), str | int)}}


def options_of(
    record: Mapping[str, Any] | None, role: str, asked: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """The options of an agent: what is asked for, else what its adapter was trained with, else the default.

    Args:
        record: Of the adapter, if it has one.
        role: Of the agent.
        asked: By name; None leaves an option open.
        defaults: By name, of all options.

    Raises:
        ValueError: The adapter was trained in another role or with another format.
    """
    known = dict(record or {"role": role})
    if known["role"] != role:
        raise ValueError(f"the adapter was trained as {known['role']}, not as {role}: use another one")
    for name, value in asked.items():
        if value is not None and name not in LIMITS and known.get(name, value) != value:
            raise ValueError(
                f"the adapter was trained with {name}={known[name]!r}, not {value!r}: use that, or delete its {FILE} "
                "to go without"
            )
    chosen = {name: value for name, value in asked.items() if value is not None}
    return {name: chosen.get(name, known.get(name, default)) for name, default in defaults.items()}
