"""Dates as people say them on a given day, and as an exam expects them: ``7 May 2023``, ``June 2023``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from memgym.tasks.procedural.grammar import expand, pick
from memgym.tasks.procedural.words_values import MONTHS

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


@dataclass(frozen=True, slots=True)
class When:
    """A point in time that a turn mentions."""

    phrase: str  # as said: "last Friday"
    first: date  # the day itself, or the first day of the month
    whole_month: bool = False

    @property
    def resolved(self) -> str:
        """The absolute date: ``5 May 2023`` or ``May 2023``."""
        month = f"{MONTHS[self.first.month - 1]} {self.first.year}"
        return month if self.whole_month else f"{self.first.day} {month}"

    @property
    def answers(self) -> tuple[str, ...]:
        """Accepted ways to write the absolute date, the LoCoMo form first."""
        if self.whole_month:
            return (self.resolved, self.first.strftime("%Y-%m"))
        month = MONTHS[self.first.month - 1]
        return (self.resolved, f"{month} {self.first.day}, {self.first.year}", self.first.isoformat())

    @property
    def stated(self) -> str:
        """With its preposition: ``on 5 May 2023``, ``in May 2023``."""
        return f"in {self.resolved}" if self.whole_month else f"on {self.resolved}"

    def overlaps(self, other: When) -> bool:
        """Whether the two could be the same day."""
        if self.whole_month or other.whole_month:
            return (self.first.year, self.first.month) == (other.first.year, other.first.month)
        return self.first == other.first


def past(rng: Random, today: date) -> When:
    """Something that happened 1 to 20 days ago, or in an earlier month."""
    draw = rng.random()
    if draw < 0.12:
        return _month(today, -1)
    if draw < 0.2:
        return _absolute_month(rng, today)
    days = 1 + int(rng.random() * (6 if draw < 0.7 else 20))
    day = today - timedelta(days=days)
    if days == 1:
        return When("yesterday", day)
    if days in (7, 14):
        return When(pick(rng, ("a week ago", "one week ago") if days == 7 else ("two weeks ago",)), day)
    if days < 7 and rng.random() < 0.5:
        return When(f"last {WEEKDAYS[day.weekday()]}", day)
    if days <= 12 and rng.random() < 0.6:
        return When(f"{NUMBERS[days]} days ago", day)
    return When(f"on {_day_and_month(rng, day, today)}", day)


def future(rng: Random, today: date) -> When:
    """Something planned for 1 to 40 days ahead, or for next month."""
    draw = rng.random()
    if draw < 0.15:
        return _month(today, 1)
    days = 1 + int(rng.random() * (6 if draw < 0.6 else 40))
    day = today + timedelta(days=days)
    if days == 1:
        return When("tomorrow", day)
    if days in (7, 14, 21):
        return When(
            pick(rng, ("in a week", "a week from today") if days == 7 else (f"in {NUMBERS[days // 7]} weeks",)), day
        )
    if days < 7 and rng.random() < 0.5:
        return When(f"{pick(rng, ('next', 'this coming'))} {WEEKDAYS[day.weekday()]}", day)
    if days <= 12 and rng.random() < 0.6:
        return When(f"in {NUMBERS[days]} days", day)
    return When(f"on {_day_and_month(rng, day, today)}", day)


def duration_answers(days: int) -> tuple[str, ...]:
    """Accepted ways to write a number of days: ``14 days``, ``14``, ``2 weeks``."""
    answers = [f"{days} day{'s' if days > 1 else ''}", str(days)]
    if days < len(NUMBERS):
        answers.append(f"{NUMBERS[days]} day{'s' if days > 1 else ''}")
    if days % 7 == 0:
        weeks = days // 7
        answers.append(f"{weeks} week{'s' if weeks > 1 else ''}")
    return tuple(answers)


def _month(today: date, step: int) -> When:
    index = today.year * 12 + today.month - 1 + step
    first = date(index // 12, index % 12 + 1, 1)
    phrase = "last month" if step < 0 else "next month"
    return When(phrase, first, whole_month=True)


def _absolute_month(rng: Random, today: date) -> When:
    index = today.year * 12 + today.month - 1 - (2 + int(rng.random() * 20))
    first = date(index // 12, index % 12 + 1, 1)
    return When(f"{expand(rng, '[|back ]')}in {MONTHS[first.month - 1]} {first.year}", first, whole_month=True)


def _day_and_month(rng: Random, day: date, today: date) -> str:
    """``3 May``, ``May 3`` or ``3 May 2023``; the year is left out only where it is the session's."""
    month = MONTHS[day.month - 1]
    if day.year != today.year:
        return f"{day.day} {month} {day.year}"
    return pick(rng, (f"{day.day} {month}", f"{month} {day.day}", f"{day.day} {month} {day.year}"))
