"""The Answer Agent's reply: the memories it finds useful, one per row, then the answer (arXiv 2508.19828, section 3).

    I went to a group
    Melanie is planning to
    **Answer:** 7 May 2023

A row names a memory by the words it opens with. That is short, cannot go far wrong, and is what a very small model can
write: it relates words to topics readily, and numbers to rows hardly at all. A row that holds the whole memory, as
larger models write it, is understood as well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

ANSWER_MARK = "**Answer:**"
MIN_WORDS = 3  # of a reference; fewer say too little of what a memory is about
MAX_ROWS = 256  # that are read, so that no reply costs more than milliseconds

_BULLET = re.compile(r"^(?:[-*•]|\d+[.)])\s+")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a reply says."""

    selected: tuple[int, ...]  # places of the memories named, from 0, in the order named, each once
    answer: str  # "" without the mark, or with nothing after it
    unknown: int = 0  # rows that name no memory


def read_reply(text: str, memories: Sequence[str]) -> Reply:
    """What a reply says; never raises. Where several memories open alike, the first of them is meant.

    Args:
        text: the reply. Its answer is the first line with anything on it after the first mark.
        memories: texts of the memories in the order shown, each as ``quotable``.
    """
    listed, mark, marked = text.partition(ANSWER_MARK)
    if not mark:
        return Reply((), "")
    bodies = [_fold(memory) for memory in memories]
    rows = [row for row in map(_fold, listed.split("\n")) if row]
    places = [_place(row, bodies) for row in rows[:MAX_ROWS]]
    selected = dict.fromkeys(place for place in places if place is not None)
    return Reply(tuple(selected), next(iter(marked.strip().splitlines()), "").strip(), places.count(None))


def quotable(text: str, speaker: str) -> str:
    """What a row names a memory by: its text without the speaker, with whom every turn opens."""
    return text.removeprefix(f"{speaker}: ")


def _place(row: str, bodies: Sequence[str]) -> int | None:
    """The memory that a row opens, else the one it ends with: a bullet, a date or a speaker may stand before it."""
    for opening in (row, _BULLET.sub("", row)):
        for place, body in enumerate(bodies):
            if body.startswith(opening):
                return place
    held = (place for place, body in enumerate(bodies) if body.count(" ") >= MIN_WORDS - 1 and row.endswith(body))
    return next(held, None)


def write_reply(answer: str, selected: Sequence[int], memories: Sequence[str]) -> str:
    """The reply that ``read_reply`` reads as these memories and this answer.

    Args:
        answer: becomes one line.
        selected: places of the memories, from 0.
        memories: as for ``read_reply``. One that another before it opens with cannot be named: that one is.
    """
    bodies = [_fold(memory) for memory in memories]
    rows = [_opening(bodies, place, memories[place]) for place in selected]
    return "\n".join([*rows, f"{ANSWER_MARK} {' '.join(answer.split())}"])


def _opening(bodies: Sequence[str], place: int, text: str) -> str:
    """The fewest first words, but at least MIN_WORDS, that no memory before opens with."""
    words = text.split()
    for count in range(min(MIN_WORDS, len(words)), len(words)):
        opening = " ".join(words[:count])
        if not any(body.startswith(opening.lower()) for body in bodies[:place]):
            return opening
    return " ".join(words)


def _fold(text: str) -> str:
    return " ".join(text.lower().split())
