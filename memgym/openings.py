"""Naming a text among others by the words it opens with, as replies of small models do.

Every text and every row that names one is compared as ``fold`` gives it.
"""

from __future__ import annotations

from collections.abc import Sequence

MIN_WORDS = 3  # that are written; fewer say too little of what a text is about


def fold(text: str) -> str:
    """Lower-cased, with single spaces."""
    return " ".join(text.lower().split())


def place_of(row: str, texts: Sequence[str]) -> int | None:
    """Place, from 0, of the text that a row names; None where it names none.

    That is the first text which is the row, else the first one which opens with it. Fewer than ``MIN_WORDS`` words name
    a text only if no other opens with them. The last word of a row may have been cut off, and does not count then.
    """
    if row in texts:
        return texts.index(row)
    opened = [place for place, text in enumerate(texts) if text.startswith(row)]
    words = max((_whole_words(row, texts[place]) for place in opened), default=0)
    return opened[0] if words >= MIN_WORDS or (words and len(opened) == 1) else None


def _whole_words(row: str, text: str) -> int:
    """Words of a row that are whole in the text which it opens."""
    return len(row.split()) - text[len(row) : len(row) + 1].isalnum()


def opening_of(text: str, place: int, texts: Sequence[str]) -> str | None:
    """The fewest first words that name a text, but at least ``MIN_WORDS``; None where an earlier one is the same.

    Args:
        text: as it is written.
        place: its place, from 0.
        texts: all of them, folded.
    """
    words = text.split()
    openings = (" ".join(words[:count]) for count in range(min(MIN_WORDS, len(words)), len(words) + 1))
    return next((opening for opening in openings if place_of(fold(opening), texts) == place), None)
