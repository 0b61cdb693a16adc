"""Fields of the JSON that a model wrote, read leniently."""

from __future__ import annotations

from typing import Any

from memgym.memory.operations import STORES, Operation
from memgym.memory.validation import quote


class UnreadableError(ValueError):
    """A field has a value that cannot be meant."""


def read_text(fields: dict[str, Any], *names: str) -> str:
    """The first field that is there, as text; "" without any.

    Raises:
        UnreadableError: If it is a list or an object.
    """
    for name in names:
        value = fields.get(name)
        if value is None:
            continue
        if isinstance(value, list | dict):
            raise UnreadableError(f"{name} must be a string")
        return str(value)
    return ""


def read_id(fields: dict[str, Any], *names: str) -> int | None:
    """The first field that is there, as an entry id; None without any.

    Raises:
        UnreadableError: If it is no whole number.
    """
    value = next((fields[name] for name in names if fields.get(name) is not None), None)
    number = value.strip().lstrip("#") if isinstance(value, str) else value
    if isinstance(number, str) and number.isascii() and number.isdigit() and len(number) <= 18:
        return int(number)
    if isinstance(number, float) and number.is_integer():
        return int(number)
    if number is None or (isinstance(number, int) and not isinstance(number, bool)):
        return number
    raise UnreadableError(f"{names[0]} must be the number of an entry, not {quote(value)}")


def read_store(fields: dict[str, Any], name: str) -> str:
    """The store a model named, with or without "_memory"; what is no store is left for the bank to refuse.

    Raises:
        UnreadableError: If the field is a list or an object.
    """
    written = read_text(fields, name)
    store = written.strip().lower().removesuffix("_memory")
    return store if store in STORES else written


def write_timestamp(operation: Operation) -> dict[str, str]:
    """The optional field of a written entry's time."""
    return {"timestamp": operation.timestamp} if operation.timestamp else {}
