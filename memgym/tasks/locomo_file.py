"""The file of LoCoMo-10: where it is, whose it is, whether it is the published one."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

LOCOMO_SHA256 = "79fa87e90f04081343b8c8debecb80a9a6842b76a7aa537dc9fdf651ea698ff4"
LOCOMO_COMMIT = "3eb6f2c585f5e1699204e3c3bdf7adc5c28cb376"
LOCOMO_LICENCE = "CC BY-NC 4.0"
ATTRIBUTION = (
    "LoCoMo-10 by Adyasha Maharana, Dong-Ho Lee, Sergey Tulyakov, Mohit Bansal, Francesco Barbieri and Yuwei Fang, "
    '"Evaluating Very Long-Term Conversational Memory of LLM Agents", ACL 2024, arXiv:2402.17753; '
    f"github.com/snap-research/locomo at commit {LOCOMO_COMMIT}; licensed under CC BY-NC 4.0 "
    "(https://creativecommons.org/licenses/by-nc/4.0/), non-commercial use only."
)

_FILE_NAME = "locomo10.json"
_HUB_PREFIX = "hf:"

Kind = TypeVar("Kind")


def read_records(path: str | Path | None) -> tuple[list[Any], str, str]:
    """The conversations of a LoCoMo file, as they stand in it.

    The first load says once, on standard error, whose data it is and under which licence; a file other than the
    published one is pointed out.

    Args:
        path: as for :class:`memgym.tasks.locomo.LoCoMo`.

    Returns:
        Records, the name of their place for messages, and the sha256 of the file ("" for a hub data set).

    Raises:
        FileNotFoundError: no file there.
        ModuleNotFoundError: a hub data set without the ``datasets`` package.
        ValueError: the file is no JSON list.
    """
    if isinstance(path, str) and path.startswith(_HUB_PREFIX):
        records, where, digest = _read_hub(path.removeprefix(_HUB_PREFIX)), path, ""
    else:
        records, where, digest = _read_file(_locate(path))
    _say_once(f"memgym: {ATTRIBUTION}")
    if digest != LOCOMO_SHA256:
        _say_once(f"memgym: {where} is not the published LoCoMo file: its scores compare with no others")
    return records, where, digest


def _read_file(file: Path) -> tuple[list[Any], str, str]:
    data = file.read_bytes()
    try:
        records = json.loads(data)
    except ValueError as error:
        raise ValueError(f"{file}: not a JSON file: {error}") from None
    if not isinstance(records, list):
        raise ValueError(f"{file}: holds a {type(records).__name__}, expected the list of conversations of LoCoMo")
    return records, str(file), hashlib.sha256(data).hexdigest()


def _locate(path: str | Path | None) -> Path:
    root = os.environ.get("MEMGYM_DATA", "")
    if path is None and not root:
        raise FileNotFoundError(f"LoCoMo: no path given and MEMGYM_DATA is not set: {_how_to_get_it()}")
    file = Path(root, "locomo", _FILE_NAME) if path is None else Path(path)
    if file.is_dir():
        file = file / _FILE_NAME
    if not file.is_file():
        raise FileNotFoundError(f"LoCoMo: no file {file}: {_how_to_get_it()}")
    return file


def _how_to_get_it() -> str:
    return (
        f"get data/{_FILE_NAME} of github.com/snap-research/locomo at commit {LOCOMO_COMMIT} ({LOCOMO_LICENCE}, "
        f"non-commercial) and pass path=<file>, or set MEMGYM_DATA to a folder that holds locomo/{_FILE_NAME}"
    )


def _read_hub(name: str) -> list[Any]:
    try:
        import datasets
    except ImportError:
        raise ModuleNotFoundError(
            f"LoCoMo path 'hf:{name}' needs the datasets package: pip install datasets, or pass a local file"
        ) from None
    # All splits of the hub data set together: the split of the episodes goes by conversation.
    splits = datasets.load_dataset(name)
    return [dict(row) for split in splits for row in splits[split]]


@functools.cache
def _say_once(message: str) -> None:
    """Tell the user, beside whatever a program prints as its result."""
    print(message, file=sys.stderr)


def field(record: Any, key: str, kind: type[Kind], where: str) -> Kind:
    """The value of a key, if it is of the right kind.

    Raises:
        ValueError: it is not; the message names the place.
    """
    value = record.get(key) if isinstance(record, Mapping) else None
    if not isinstance(value, kind):
        found = type(value).__name__
        raise ValueError(f"{where}: {key!r} is {found}, expected {kind.__name__}: this is not the LoCoMo schema")
    return value
