"""Memory-R1's list of memory events (arXiv 2508.19828): one JSON object with the key ``memory``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from memgym.memory.codecs.base import NOOP, check_renderable, check_stores, invalid, readable, unreadable, without_idle
from memgym.memory.codecs.fields import UnreadableError, read_id, read_text, write_timestamp
from memgym.memory.codecs.lenient_json import JsonPiece, find_json
from memgym.memory.operations import ENTRY_STORES, Operation
from memgym.memory.validation import quote

_MISSING = 'no JSON object with a list "memory" found'
_LOOKS_LIKE_EVENT = re.compile(r"\{\s*[\"']?(?:id|event|text|old_memory)\b")
_CUT_OFF = object()  # stands for an event that cannot be read


class MemoryR1Codec:
    """One event per memory: ADD, UPDATE, DELETE or NONE (NOOP is read as well). It knows one store and no search.

    A list of events, or events alone, are read without the object around them too; of a reply that was cut off, the
    events that are whole. Stricter readings of the paper count a reply with prose around its JSON, or without the key
    ``memory``, as a failed operation; here it is read, so that a small model's events count before it has learnt the
    wrapping.

    Args:
        store: The store that the events are about, "episodic" or "semantic".

    Raises:
        ValueError: If ``store`` holds no entries.
    """

    name = "memory_r1"

    def __init__(self, store: str = "semantic") -> None:
        (self.store,) = check_stores([store], ENTRY_STORES)

    def parse(self, text: str) -> list[Operation]:
        """The operations in a reply; see ``Codec.parse``. An empty reply is invalid, an empty list is a noop."""
        body = readable(text)
        if body is None:
            return unreadable(text)
        pieces = list(find_json(body))
        events = next((found for piece in pieces if (found := _listed(piece.value)) is not None), None)
        if events is None:
            events = list(_scattered(body, pieces))
            if not events and not any(piece.value == [] for piece in pieces):
                return [invalid(_MISSING)]
        return without_idle(self._read_event(event) for event in events)

    def render(self, operations: Sequence[Operation]) -> str:
        """One JSON object on one line; see ``Codec.render``."""
        events = [self._write_event(operation) for operation in operations if operation.kind != "noop"]
        return json.dumps({"memory": events}, ensure_ascii=False)

    def instructions(self, stores: Sequence[str], *, search: bool) -> str:
        """How to write the events; see ``Codec.instructions``."""
        check_stores(stores, [self.store])
        if search:
            raise ValueError("codec memory_r1 has no search; choose mem_alpha or lines, or switch search off")
        example = [
            Operation("insert", self.store, "Mina is allergic to nuts."),
            Operation("update", self.store, "Mina works nights at the hospital.", 4),
            Operation("delete", self.store, entry_id=2),
        ]
        return "\n".join(
            [
                'Reply with one JSON object: {"memory": [...]}, a list of events, each with "event" and:',
                '- "ADD": "text", a new fact to keep',
                '- "UPDATE": "id" of a stored entry and "text", its whole new wording',
                '- "DELETE": "id" of a stored entry that is wrong or outdated',
                '- "NONE": "id" of a stored entry that stays as it is; such events may be left out',
                'If there is nothing to change, reply {"memory": []}.',
                "Example:",
                self.render(example),
            ]
        )

    def _read_event(self, event: Any) -> Operation:
        if event is _CUT_OFF:
            return invalid("malformed JSON in an event")
        if not isinstance(event, dict):
            return invalid('an item of "memory" is no JSON object')
        try:
            return self._operation(event)
        except UnreadableError as error:
            return invalid(str(error))

    def _operation(self, event: dict[str, Any]) -> Operation:
        kind = read_text(event, "event").strip().upper()
        text, timestamp = read_text(event, "text"), read_text(event, "timestamp")
        match kind:
            case "ADD":
                return Operation("insert", self.store, text, timestamp=timestamp)
            case "UPDATE":
                return Operation("update", self.store, text, read_id(event, "id"), timestamp)
            case "DELETE":
                return Operation("delete", self.store, entry_id=read_id(event, "id"))
            case "NONE" | "NOOP":
                return NOOP
            case _:
                raise UnreadableError(f"unknown event {quote(kind)}: use ADD, UPDATE, DELETE or NONE")

    def _write_event(self, operation: Operation) -> dict[str, Any]:
        check_renderable(self.name, operation)
        if operation.kind == "search" or operation.store != self.store:
            raise ValueError(
                f"codec memory_r1 writes insert, update and delete of {self.store}, "
                f"not {operation.kind} of {quote(operation.store)}"
            )
        if operation.kind == "insert":
            return {"event": "ADD", "text": operation.text} | write_timestamp(operation)
        if operation.kind == "delete":
            return {"id": operation.entry_id, "event": "DELETE"}
        return {"id": operation.entry_id, "event": "UPDATE", "text": operation.text} | write_timestamp(operation)


def _listed(value: Any) -> list[Any] | None:
    """The events under the key ``memory``, None where there is none."""
    events = value.get("memory") if isinstance(value, dict) else None
    if isinstance(events, dict):
        return [events]
    return events if isinstance(events, list) else None


def _scattered(body: str, pieces: Sequence[JsonPiece]) -> Iterator[Any]:
    """Events in bare lists and objects, in order."""
    for piece in pieces:
        if not piece.readable:
            if _LOOKS_LIKE_EVENT.match(body, piece.start):
                yield _CUT_OFF
        elif isinstance(piece.value, dict):
            if "event" in piece.value:
                yield piece.value
        elif any(isinstance(item, dict) and "event" in item for item in piece.value):
            yield from piece.value
