"""The Answer Agent's reply: the memories it finds useful, one per row, then the answer (arXiv 2508.19828, section 3).

    I went to a group
    Melanie is planning to
    **Answer:** 7 May 2023

A row names a memory by the words it opens with. That is short, cannot go far wrong, and is what a very small model can
write: it relates words to topics readily, and numbers to rows hardly at all. What larger models write is understood as
well: a row that holds the whole memory, or that has a bullet, a number, a date or a speaker before the words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from memgym.openings import MIN_WORDS, fold, opening_of, place_of

ANSWER_MARK = "**Answer:**"
MAX_ROWS = 256  # that are read, so that no reply costs more than milliseconds

_LABELS = 2  # that a row may have before a memory's words, each with a colon: a date, a speaker
_BEFORE = re.compile(r"^(?:(?:[-*•>]|#?\d+[.):]|#\d+|[\[(]#?\d+[\])]) )+")  # bullets and numbers


@dataclass(frozen=True, slots=True)
class Reply:
    """What a reply says."""

    selected: tuple[int, ...]  # places of the memories named, from 0, in the order named, each once
    answer: str  # "" without the mark, or with nothing after it
    unknown: int = 0  # rows that name no memory


def read_reply(text: str, memories: Sequence[str]) -> Reply:
    """What a reply says; never raises. Where several memories open alike, the first of them is meant.

    Fewer than three words name a memory only if no other opens with them (``memgym.openings``).

    Args:
        text: the reply. Its answer is the first line with anything on it after the first mark.
        memories: texts of the memories in the order shown, each as ``quotable``.
    """
    listed, mark, marked = text.partition(ANSWER_MARK)
    if not mark:
        return Reply((), "")
    bodies = [fold(memory) for memory in memories]
    rows = [row for row in map(fold, listed.split("\n")) if row]
    places = [_place(row, bodies) for row in rows[:MAX_ROWS]]
    selected = dict.fromkeys(place for place in places if place is not None)
    return Reply(tuple(selected), next(iter(marked.strip().splitlines()), "").strip(), places.count(None))


def quotable(text: str, speaker: str) -> str:
    """What a row names a memory by: its text without the speaker, with whom every turn opens."""
    return text.removeprefix(f"{speaker}: ")


def _place(row: str, bodies: Sequence[str]) -> int | None:
    """The memory that a row names, else the one it ends with: anything may stand before a whole one."""
    for opening in _openings(row):
        place = place_of(opening, bodies) if opening else None
        if place is not None:
            return place
    held = (place for place, body in enumerate(bodies) if body.count(" ") >= MIN_WORDS - 1 and row.endswith(body))
    return next(held, None)


def _openings(row: str) -> list[str]:
    """A row as it is, then without what marks it up, then without each label before it."""
    bare = _BEFORE.sub("", fold(row.replace("**", "")))
    labelled = bare.split(": ", _LABELS)
    return [row, *(": ".join(labelled[count:]) for count in range(len(labelled)))]


def write_reply(answer: str, selected: Sequence[int], memories: Sequence[str]) -> str:
    """The reply that ``read_reply`` reads as these memories and this answer.

    Args:
        answer: becomes one line.
        selected: places of the memories, from 0.
        memories: as for ``read_reply``. One that repeats another cannot be named: the first of them is.
    """
    bodies = [fold(memory) for memory in memories]
    rows = [opening_of(memories[place], place, bodies) or " ".join(memories[place].split()) for place in selected]
    return "\n".join([*rows, f"{ANSWER_MARK} {' '.join(answer.split())}"])
