"""Which source turns a stored text came from, decided by rule."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from memgym.tasks.episode import Turn

_WORD = re.compile(r"\w+")
# Function words carry no evidence of where a text came from.
_FUNCTION_WORDS = """a about all also am an and any are as at be been but by can could did do does for from had has have
he her hers him his how i if in into is it its just me more my no not now of on or our out own really she so some than
that the their them then there these they this those to too up us very was we well were what when where which who why
will with would you your yours"""
_STOPWORDS = frozenset(_FUNCTION_WORDS.split())
_MIN_SHARE = 0.2  # a turn that explains less of the text than this is no source of it


@lru_cache(maxsize=8192)
def content_words(text: str) -> frozenset[str]:
    """Lower-cased words of ``text`` without function words."""
    return frozenset(_WORD.findall(text.lower())) - _STOPWORDS


def coverage(text: str, source: str) -> float:
    """Share of the content words of ``text`` that occur in ``source``; 0 when ``text`` has none."""
    words = content_words(text)
    return len(words & content_words(source)) / len(words) if words else 0.0


def attribute_sources(text: str, turns: Sequence[Turn]) -> tuple[str, ...]:
    """Ids of the turns that ``text`` was most likely written from.

    A turn counts when it explains at least half as much of the text as the best turn does, and at least a fifth of
    it. A verbatim copy is attributed to its own turn alone, one of several turns to each of them; a text unrelated to
    every turn has no source.
    """
    shares = [coverage(text, turn.line) for turn in turns]
    best = max(shares, default=0.0)
    if best == 1.0:  # fully explained: only the turns that explain all of it
        return tuple(turn.id for turn, share in zip(turns, shares, strict=True) if share == 1.0)
    floor = max(best / 2, _MIN_SHARE)
    return tuple(
        turn.id for turn, share in zip(turns, shares, strict=True) if share >= floor or (share and turn.line in text)
    )
