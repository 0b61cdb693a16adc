"""Keeping lines of a chunk by their first words: a reply format for very small models.

A reply names each line it keeps by the words it opens with, with or without its speaker, one line per row, or is "." to
keep nothing. The entry is the line word for word. That costs a few tokens per entry and cannot misspell a name, so that
a small model spends what it learns on the question of what is worth keeping. Naming by words rather than by number
matters: a model with 135M parameters relates words to topics readily, and numbers to lines hardly at all.
"""

from __future__ import annotations

from collections.abc import Sequence

from memgym.memory.operations import Operation
from memgym.openings import fold, opening_of, place_of
from memgym.sentences import sentence_lines, split_speaker

NOTHING = "."


def read_quotes(reply: str, chunk: str, *, sentences: bool = False) -> list[Operation]:
    """The operations a reply asks for; a row that opens no line of the chunk becomes an invalid operation.

    Args:
        reply: What a model wrote.
        chunk: As the model was shown it.
        sentences: Keep a line as its sentences (``memgym.sentences``), an entry each, instead of as it stands.
    """
    rows = [row.strip() for row in reply.split("\n") if row.strip()]
    if not rows or rows == [NOTHING]:
        return [Operation("noop")]
    lines = chunk.split("\n")
    forms = ([fold(split_speaker(line)[1]) for line in lines], [fold(line) for line in lines])
    operations = [_read_row(row, forms) for row in rows]
    return [part for one in operations for part in _by_sentence(one, lines)] if sentences else operations


def _read_row(row: str, forms: Sequence[Sequence[str]]) -> Operation:
    for texts in forms:
        place = place_of(fold(row), texts)
        if place is not None:
            return Operation("insert", "episodic", quote=place + 1)
    return Operation("invalid", text=f"no line of the chunk opens with {row[:60]!r}")


def _by_sentence(operation: Operation, lines: Sequence[str]) -> list[Operation]:
    parts = sentence_lines(*split_speaker(lines[operation.quote - 1])) if operation.quote else []
    return [Operation("insert", "episodic", part) for part in parts] if len(parts) > 1 else [operation]


def write_quotes(operations: Sequence[Operation], chunk: str) -> str:
    """The reply that keeps the lines which ``operations`` copy or quote; the inverse of ``read_quotes``.

    Of lines that are the same, speaker included, the first one is kept.

    Raises:
        ValueError: An operation does something else than keeping a line of the chunk.
    """
    lines = chunk.split("\n")
    rows = [_opening(lines, _line_number(operation, lines)) for operation in operations if operation.kind != "noop"]
    return "\n".join(rows) or NOTHING


def _line_number(operation: Operation, lines: Sequence[str]) -> int:
    if operation.kind == "insert" and operation.quote:
        return operation.quote
    if operation.kind == "insert" and operation.text in lines:
        return lines.index(operation.text) + 1
    raise ValueError(f"prompt style 'quote' can only keep lines of the chunk, not {operation.kind} {operation.text!r}")


def _opening(lines: Sequence[str], number: int) -> str:
    """The fewest first words that name the line; the whole of it where its speaker is needed."""
    line = lines[number - 1]
    opening = opening_of(split_speaker(line)[1], number - 1, [fold(split_speaker(other)[1]) for other in lines])
    return " ".join(line.split()) if opening in (None, NOTHING) else opening
