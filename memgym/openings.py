"""Naming a text among others by the words it opens with, as replies of small models do.

Every text and every row that names one is compared as ``fold`` gives it.
"""

from __future__ import annotations

from collections.abc import Sequence

MIN_WORDS = 3  # fewer say too little of what a text is about; a shorter text is named by all its words


def fold(text: str) -> str:
    """Lower-cased, with single spaces."""
    return " ".join(text.lower().split())


def place_of(row: str, texts: Sequence[str]) -> int | None:
    """Place, from 0, of the first text that is ``row``, else of the first one that opens with it; None without one."""
    if row in texts:
        return texts.index(row)
    return next((place for place, text in enumerate(texts) if _opens(row, text)), None)


def _opens(row: str, text: str) -> bool:
    """Whether ``text`` begins with ``row``, which has enough whole words; its last one may have been cut off."""
    if not text.startswith(row):
        return False
    whole = len(row.split()) - text[len(row) : len(row) + 1].isalnum()
    return whole >= min(MIN_WORDS, len(text.split()))


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
