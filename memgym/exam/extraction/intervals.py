"""Questions about the time between two events: find both, subtract."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from memgym.exam.extraction.questions import read_question
from memgym.exam.extraction.statements import Statement, search

_BETWEEN = re.compile(r"\bbetween (?P<one>.+?) and (?P<other>.+?)\??$", re.IGNORECASE)
_AFTER = re.compile(
    r"\b(?:after|before|since|until) (?P<one>.+?) (?:did|was|were|had) (?P<other>.+?)\??$", re.IGNORECASE
)
_MIN_COVERAGE = 0.35


def days_between(question: str, statements: Sequence[Statement]) -> str:
    """``14 days``, from the days of the two events a question names; "" when one of them is not found."""
    match = _BETWEEN.search(question) or _AFTER.search(question)
    if not match:
        return ""
    days = [_day_of(match[part], statements) for part in ("one", "other")]
    if days[0] is None or days[1] is None:
        return ""
    gap = abs((days[0] - days[1]).days)
    return f"{gap} day{'' if gap == 1 else 's'}"


def _day_of(event: str, statements: Sequence[Statement]) -> date | None:
    reading = replace(read_question(f"When was {event}?"), kind="date")
    found = search(reading, statements)
    if not found or found[0].coverage < _MIN_COVERAGE:
        return None
    return found[0].statement.happened
