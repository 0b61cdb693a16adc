"""A memory bank as JSON lines: a header, then every entry, then every journal row."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

from memgym.memory.journal import (
    JournalRow,
    encode_json,
    entry_fields,
    entry_from_fields,
    journal_fields,
    journal_row_from_fields,
)
from memgym.memory.operations import Entry
from memgym.memory.storage import Storage

FORMAT_VERSION = 1


def write_jsonl(storage: Storage, path: str | PathLike[str]) -> None:
    """Write all of a bank, without loss. Core is the entry with id 0."""
    lines: list[dict[str, Any]] = [{"memgym_bank": FORMAT_VERSION}]
    lines += ({"entry": entry_fields(entry)} for entry in storage.entries(None, core=True))
    lines += ({"journal": journal_fields(row)} for row in storage.journal(0))
    with Path(path).open("w", encoding="ascii", newline="\n") as file:
        file.writelines(encode_json(line) + "\n" for line in lines)


def read_jsonl(path: str | PathLike[str]) -> tuple[list[Entry], list[JournalRow]]:
    """Entries and journal rows of an export.

    Raises:
        ValueError: If the file is no export, of a newer format, or not whole; the message names the line if it can.
    """
    entries: dict[int, Entry] = {}
    told: dict[int, Entry] = {}  # the entries that the journal leaves behind
    journal: list[JournalRow] = []
    try:
        lines = Path(path).read_text(encoding="ascii").split("\n")
        header = json.loads(lines[0])
    except ValueError:
        header = None
    _check_header(header, path)
    for number, line in enumerate(lines[1:-1], start=2):
        try:
            ((kind, fields),) = json.loads(line).items()
            if kind == "entry":
                entry = entry_from_fields(fields)
                entries[entry.id] = entry
            else:
                journal.append(journal_row_from_fields({"journal": fields}[kind]))
                _follow(journal[-1], told)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path}, line {number}: expected an entry or a journal row, got {error!r}") from None
    if lines[-1] or entries != told:
        raise ValueError(f"{path}: entries and journal disagree, so the export was cut off or edited; export it again")
    return list(entries.values()), journal


def _follow(row: JournalRow, entries: dict[int, Entry]) -> None:
    """Do to the entries what a row of the journal says."""
    if row.before is not None:
        entries.pop(row.before.id, None)
    if row.after is not None:
        entries[row.after.id] = row.after


def _check_header(header: object, path: str | PathLike[str]) -> None:
    version = header.get("memgym_bank") if isinstance(header, dict) else None
    if not isinstance(version, int):
        raise ValueError(f'{path} is no bank export: expected a first line such as {{"memgym_bank": 1}}')
    if version > FORMAT_VERSION:
        raise ValueError(f"{path} has export format {version}, this memgym reads {FORMAT_VERSION}; upgrade memgym")
