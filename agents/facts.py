"""The two reply formats of MemLoRA's manager: facts, and what a new fact does to the notes it resembles.

Facts stand one per line; "." says that there are none. A new fact changes the notes that were found for it by one or
more of

=================== ============================================
``ADD``             the fact is kept beside them
``UPDATE 2``        the fact takes the place of note 2
``UPDATE 2 words``  note 2 is rewritten
``DELETE 2``        note 2 no longer holds
``NONE``            they say it already
=================== ============================================

Notes are numbered from 1 as they are shown, whatever their ids in the bank: one token each, and the same small numbers
in every prompt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from memgym.memory.codecs.base import readable
from memgym.memory.operations import Operation
from memgym.memory.validation import quote

ChangeKind = Literal["ADD", "UPDATE", "DELETE", "NONE", "INVALID"]

NO_FACTS = "."
_NOTHING = re.compile(r"\.+|(?:none|nothing|no facts)\.?", re.IGNORECASE)
_BULLET = re.compile(r"^(?:[*•·–—-]|[0-9]{1,3}[.)])\s+")
_CHANGE = re.compile(
    r"(?P<kind>ADD|UPDATE|DELETE|NONE|NOOP)\b[:.]?\s*"
    r"(?:(?:note\s*)?[#\[(]?(?P<number>[0-9]{1,3})\b[\])]?[:.]?)?\s*(?P<text>.*)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Note:
    """An entry of the bank as an update prompt shows it."""

    id: int  # in the bank
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """One line of an update reply."""

    kind: ChangeKind
    number: int = 0  # of the note, from 1; 0 names none
    text: str = ""  # UPDATE: the new wording, "" for the fact's own; INVALID: the line that could not be read


def read_facts(reply: str, *, truncated: bool = False) -> list[str]:
    """The facts of a reply, without bullets and headings.

    Args:
        reply: What a model wrote.
        truncated: Whether the token limit cut it off: its last line is then half a fact, and left out.
    """
    lines = [_BULLET.sub("", line.strip(), count=1).strip() for line in (readable(reply) or "").split("\n")]
    lines = [line for line in lines if line]
    if truncated:
        lines = lines[:-1]
    return [line for line in lines if not (_NOTHING.fullmatch(line) or line.endswith(":"))]


def says_nothing(reply: str) -> bool:
    """Whether a reply says in so many words that there is no fact."""
    return _NOTHING.fullmatch((readable(reply) or "").strip()) is not None


def write_facts(facts: Sequence[str]) -> str:
    """The reply that holds these facts."""
    return "\n".join(facts) or NO_FACTS


def read_changes(reply: str) -> list[Change]:
    """The changes of an update reply; never empty, unreadable lines are INVALID."""
    lines = [_BULLET.sub("", line.strip(), count=1) for line in (readable(reply) or "").split("\n") if line.strip()]
    return [_read_change(line) for line in lines] or [Change("INVALID")]


def _read_change(line: str) -> Change:
    match = _CHANGE.fullmatch(line)
    if match is None:
        return Change("INVALID", text=line)
    kind, number = match["kind"].upper(), int(match["number"] or 0)
    if kind == "UPDATE":
        return Change("UPDATE", number, match["text"].strip())
    if kind == "DELETE":
        return Change("DELETE", number)
    return Change("ADD") if kind == "ADD" else Change("NONE")


def write_changes(changes: Sequence[Change]) -> str:
    """The reply that ``read_changes`` reads as these changes."""
    return "\n".join(_write_change(change) for change in changes)


def _write_change(change: Change) -> str:
    number = str(change.number) if change.number else ""
    return " ".join(part for part in (change.kind, number, change.text) if part)


def to_operations(changes: Sequence[Change], fact: str, notes: Sequence[Note], store: str) -> list[Operation]:
    """What the changes do to the bank. An unreadable line or an unknown note becomes an invalid operation.

    Args:
        changes: Of one fact.
        fact: The new fact.
        notes: As they were shown, note 1 first.
        store: Where facts are kept.
    """
    return [_to_operation(change, fact, notes, store) for change in changes if change.kind != "NONE"]


def _to_operation(change: Change, fact: str, notes: Sequence[Note], store: str) -> Operation:
    if change.kind == "INVALID":
        return Operation("invalid", text=f"cannot read the line {quote(change.text)}")
    if change.kind == "ADD":
        return Operation("insert", store, fact)
    if not 1 <= change.number <= len(notes):
        return Operation("invalid", text=f"there is no note {change.number}, only 1 to {len(notes)}")
    entry_id = notes[change.number - 1].id
    if change.kind == "UPDATE":
        return Operation("update", text=change.text or fact, entry_id=entry_id)
    return Operation("delete", entry_id=entry_id)
