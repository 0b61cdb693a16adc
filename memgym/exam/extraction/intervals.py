"""Questions about the time between two events: find both, subtract."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from memgym.exam.extraction.questions import read_question
from memgym.exam.extraction.statements import Statement, search

_BETWEEN = re.compile(r"\bbetween (?P<one>.+?) and (?P<other>.+?)\??$", re.IGNORECASE)
_AFTER = re.compile(r"\b(?:after|before) (?P<one>.+?) (?:did|was|were|had) (?P<other>.+?)\??$", re.IGNORECASE)


def days_between(question: str, statements: Sequence[Statement], min_coverage: float) -> str:
    """``14 days``, from the days of the two events a question names; "" when one of them is not found."""
    match = _BETWEEN.search(question) or _AFTER.search(question)
    if not match:
        return ""
    one, other = (_day_of(match[part], statements, min_coverage) for part in ("one", "other"))
    if one is None or other is None:
        return ""
    gap = abs((one - other).days)
    return f"{gap} day{'' if gap == 1 else 's'}"


def _day_of(event: str, statements: Sequence[Statement], min_coverage: float) -> date | None:
    reading = replace(read_question(f"When was {event}?"), kind="date")
    found = search(reading, statements)
    if not found or found[0].coverage < min_coverage:
        return None
    return found[0].statement.happened
