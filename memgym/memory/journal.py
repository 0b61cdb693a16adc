"""One row of a bank's journal, and entries and rows as SQLite values and JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from memgym.memory.operations import Entry, Operation, OperationResult, Status

_INT64 = 2**63 - 1

# ASCII on purpose: a model's lone surrogates survive as escapes, where UTF-8 could not hold them.
encode_json = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class JournalRow:
    """What one operation did to the bank."""

    step: int  # of the bank, when the operation was applied
    operation: Operation
    status: Status
    code: str = ""  # one of FAILURE_CODES; "" when ok
    reason: str = ""  # "" when ok
    before: Entry | None = None  # the entry before an update or delete; core is entry 0
    after: Entry | None = None  # the entry after an insert or update
    found: tuple[int, ...] = ()  # search: entry ids, best first

    @classmethod
    def of(cls, step: int, result: OperationResult) -> JournalRow:
        """The row of an operation's result."""
        found = tuple(entry.id for entry in result.found)
        return cls(
            step, result.operation, result.status, result.code, result.reason, result.before, result.after, found
        )


def journal_values(row: JournalRow) -> tuple[Any, ...]:
    """A journal row as SQLite values, in the order of the table's columns after ``seq``."""
    before, after = row.before, row.after
    written = after or before
    return (
        row.step,
        encode_json(_operation_fields(row.operation)),
        row.status,
        row.code,
        row.reason,
        written.id if written else None,
        encode_json(entry_fields(before)) if before else None,
        encode_json(entry_fields(after)) if after else None,
        encode_json(row.found) if row.found else None,
    )


def journal_row_from_values(values: Sequence[Any]) -> JournalRow:
    """The row that ``journal_values`` took apart."""
    step, operation, status, code, reason, _, before, after, found = values
    return JournalRow(
        step=step,
        operation=Operation(**json.loads(operation)),
        status=status,
        code=code,
        reason=reason,
        before=entry_from_fields(json.loads(before)) if before else None,
        after=entry_from_fields(json.loads(after)) if after else None,
        found=tuple(json.loads(found)) if found else (),
    )


def journal_fields(row: JournalRow) -> dict[str, Any]:
    """A journal row as a JSON object."""
    return {
        "step": row.step,
        "operation": _operation_fields(row.operation),
        "status": row.status,
        "code": row.code,
        "reason": row.reason,
        "before": entry_fields(row.before) if row.before else None,
        "after": entry_fields(row.after) if row.after else None,
        "found": row.found,
    }


def journal_row_from_fields(fields: dict[str, Any]) -> JournalRow:
    """The row that ``journal_fields`` took apart."""
    before, after = fields["before"], fields["after"]
    rebuilt = {
        "operation": Operation(**fields["operation"]),
        "before": entry_from_fields(before) if before else None,
        "after": entry_from_fields(after) if after else None,
        "found": tuple(fields["found"]),
    }
    return JournalRow(**(fields | rebuilt))


def entry_fields(entry: Entry) -> dict[str, Any]:
    """An entry as a JSON object."""
    return {
        "id": entry.id,
        "store": entry.store,
        "text": entry.text,
        "timestamp": entry.timestamp,
        "sources": entry.sources,
        "created_step": entry.created_step,
        "updated_step": entry.updated_step,
    }


def entry_from_fields(fields: dict[str, Any]) -> Entry:
    """The entry that ``entry_fields`` took apart."""
    return Entry(**(fields | {"sources": tuple(fields["sources"])}))


def hash_entries(entries: Iterable[Entry]) -> str:
    """SHA-256 (hex) over all fields of the entries, in order."""
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(encode_json(entry_fields(entry)).encode())
    return digest.hexdigest()


def entry_values(entry: Entry) -> tuple[Any, ...]:
    """An entry as SQLite values, in the order of the table's columns."""
    sources = encode_json(entry.sources) if entry.sources else "[]"
    return (entry.id, entry.store, entry.text, entry.timestamp, sources, entry.created_step, entry.updated_step)


def entry_from_values(values: Sequence[Any]) -> Entry:
    """The entry that ``entry_values`` took apart."""
    entry_id, store, text, timestamp, sources, created_step, updated_step = values
    turn_ids = () if sources == "[]" else tuple(json.loads(sources))
    return Entry(entry_id, store, text, timestamp, turn_ids, created_step, updated_step)


def _operation_fields(operation: Operation) -> dict[str, Any]:
    """An operation as a JSON object; numbers beyond 64 bits are clamped, Python may refuse to print them."""
    return {
        "kind": operation.kind,
        "store": operation.store,
        "text": operation.text,
        "entry_id": None if operation.entry_id is None else _clamp(operation.entry_id),
        "timestamp": operation.timestamp,
        "k": _clamp(operation.k),
        "quote": _clamp(operation.quote),
    }


def _clamp(number: int) -> int:
    return max(-_INT64, min(number, _INT64))
