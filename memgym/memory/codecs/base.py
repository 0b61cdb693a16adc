"""What every codec is and shares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from memgym.memory.operations import ENTRY_STORES, STORES, Operation, Store
from memgym.memory.validation import is_timestamp, quote

MAX_CHARACTERS = 100_000  # of one reply; a longer one is not read, so that no reply costs more than about a second
DEFAULT_RESULTS = Operation("search").k
NOOP = Operation("noop")
_THINK, _THOUGHT = "<think>", "</think>"


class Codec(Protocol):
    """A text format of operations: forgiving when it reads, exact when it writes."""

    name: str

    def parse(self, text: str) -> list[Operation]:
        """The operations in a model's reply. Never raises and is never empty.

        What cannot be read becomes an ``invalid`` operation with the reason as its text. A reply that says in the
        format's own way that there is nothing to do is one ``noop``; beside other operations a noop is left out.
        """
        ...

    def render(self, operations: Sequence[Operation]) -> str:
        """The text that ``parse`` reads as these operations.

        Raises:
            ValueError: If an operation is incomplete, or the format has no way to write it.
        """
        ...

    def instructions(self, stores: Sequence[str], *, search: bool) -> str:
        """A short text that teaches the format to a model.

        Args:
            stores: The stores the model may change.
            search: Whether it may search.

        Raises:
            ValueError: If a store is unknown or the format cannot write to it.
        """
        ...


def invalid(reason: str) -> Operation:
    """What a codec makes of text it cannot read."""
    return Operation("invalid", text=reason)


def readable(text: str) -> str | None:
    """The part of a reply that may hold operations: what follows a leading ``<think>`` block.

    None if the reply is too long, or thought alone: a block that was cut off holds drafts, which are not to be
    carried out.
    """
    if len(text) > MAX_CHARACTERS:
        return None
    text = text.strip()
    if not text.startswith(_THINK):
        return text
    _, closed, rest = text.partition(_THOUGHT)
    return rest.strip() if closed else None


def unreadable(text: str) -> list[Operation]:
    """The reading of a reply of which ``readable`` says None."""
    if len(text) > MAX_CHARACTERS:
        return [invalid(f"the reply has {len(text)} characters, more than the {MAX_CHARACTERS} that are read")]
    return [invalid(f"the reply ends within its {_THINK} block: close it with {_THOUGHT} before the operations")]


def without_idle(operations: Iterable[Operation]) -> list[Operation]:
    """The operations without noops; one noop when nothing is left."""
    return [operation for operation in operations if operation.kind != "noop"] or [NOOP]


def check_renderable(codec: str, operation: Operation) -> None:
    """Raise ValueError, with the reason, unless ``operation`` is complete enough to be written."""
    problem = _incompleteness(operation)
    if problem:
        raise ValueError(f"codec {codec} cannot write {quote(operation.kind)}: {problem}")


def check_stores(stores: Sequence[str], known: Sequence[str] = STORES) -> tuple[Store, ...]:
    """The stores in their usual order.

    Raises:
        ValueError: If one is unknown or none is given.
    """
    wrong = [store for store in stores if store not in known]
    if wrong or not stores:
        raise ValueError(f"stores {quote(tuple(stores))}: expected one or more of {', '.join(known)}")
    return tuple(store for store in STORES if store in stores)


def _incompleteness(operation: Operation) -> str:
    kind, store = operation.kind, operation.store
    if kind == "noop":
        return ""
    if kind not in ("insert", "update", "delete", "search"):
        return "only insert, update, delete, search and noop have a written form"
    if kind == "insert" and store not in ENTRY_STORES:
        return f"store {quote(store)} takes no insert"
    if store not in (*STORES, ""):
        return f"there is no store {quote(store)}"
    if kind in ("update", "delete") and store != "core" and (operation.entry_id is None or operation.entry_id < 0):
        return f"entry_id is {quote(operation.entry_id)}, expected 0 or more"
    if kind == "search" and (store == "core" or operation.k < 1):
        return f"store {quote(store)}, k {quote(operation.k)}: expected a store with entries and 1 or more results"
    if kind != "delete" and not operation.text.strip():
        return "its text is empty"
    if operation.timestamp and not is_timestamp(operation.timestamp):
        return f"timestamp {quote(operation.timestamp)} is not ISO 8601"
    return ""
