"""Dates in running text, relative ones resolved against the time they were written.

A known day is "7 May 2021", a known month "June 2021", and a vague time stays vague, but anchored: "The week before 9
June 2021". Every mention also has the loose form in which the golds of LoCoMo leave weekdays and counted weeks: "The
Sunday before 25 May 2021".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NUMBER_WORDS = {
    **{"a": 1, "an": 1, "couple": 2},
    **{"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10},
    **{"eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "twenty": 20},
}


@dataclass(frozen=True, slots=True)
class DateMention:
    """One time expression of a text."""

    start: int  # characters of the text, half-open
    end: int
    answer: str  # how to say it without knowing when the text was written, as exactly as the text allows
    loose: str  # the same, with weekdays and weeks left relative
    day: date | None  # the (first) day meant, to put mentions in order; None without an anchor
    yearless: str = ""  # "3 June" where the text names a day without its year, else ""


_POSSESSIVE = re.compile(r"['’]s\b")
_IN_BRACKETS = re.compile(r"\s*\([^()]*\b\d{4}\)")
_FULL_YEAR = re.compile(r"\b\d{4}\b")
# Times that lean on a story or on nothing, not on when it is told: "the next day", "a year later", "in a day".
_NOT_ANCHORED = re.compile(r"\b(?:this|last|next|past|previous|following) day\b|\b(?:later|earlier)$|^in an? ", re.I)
_REPEATED = re.compile(r"\b(?:every|each|any) (?:other )?$", re.I)
_WEEKDAY_NAMES = tuple(name.lower() for name in WEEKDAYS)
_THEN_DATE = re.compile(r",? (?:the )?\d")

_Resolved = tuple[str, str, date]  # answer, loose, day
_Handler = Callable[[re.Match[str], date], _Resolved]


def format_day(day: date) -> str:
    """``7 May 2021``."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def _on(day: date, loose: str = "") -> _Resolved:
    return format_day(day), loose or format_day(day), day


def _vague(text: str, day: date) -> _Resolved:
    return text, text, day


def _in_month(day: date) -> _Resolved:
    return _vague(f"{MONTHS[day.month - 1]} {day.year}", day)


@lru_cache(maxsize=4096)
def parse_timestamp(timestamp: str) -> date | None:
    """The day of an ISO 8601 timestamp or of a written date; None when it names no full date."""
    try:
        return date.fromisoformat(timestamp[:10])
    except ValueError:
        written = [mention.day for mention in find_dates(timestamp) if mention.day]
        return written[0] if written else None


@lru_cache(maxsize=16384)
def find_dates(text: str, anchor: str = "") -> tuple[DateMention, ...]:
    """All time expressions of ``text``, in order.

    Args:
        text: running English text.
        anchor: when it was written (ISO 8601 or a written date). Without one, relative expressions are given as they
            stand.

    Returns:
        Mentions that do not overlap. Nothing that a text may hold raises.
    """
    if not _CUE.search(text):
        return ()
    written = parse_timestamp(anchor) if anchor else None
    taken: list[DateMention] = []
    for pattern, handler in _RULES:
        for match in pattern.finditer(text):
            if not any(match.start() < other.end and other.start < match.end() for other in taken):
                mention = _mention(match, handler, written)
                taken += [mention] if mention else []
    return tuple(sorted(taken, key=lambda mention: mention.start))


def with_calendar_dates(text: str, timestamp: str) -> str:
    """``text`` with the calendar date behind every relative one: "yesterday (7 May 2023)".

    What has its year, or brackets that end in a year behind it, stays as it is; so doing it twice changes nothing.

    Args:
        text: English.
        timestamp: When it was said (ISO 8601); without one nothing is resolved.
    """
    for mention in reversed(find_dates(text, timestamp)):
        end = mention.end - text[mention.start : mention.end].endswith(".")
        if possessive := _POSSESSIVE.match(text, end):
            end = possessive.end()
        if not _IN_BRACKETS.match(text, end) and _wants_date(text, mention):
            text = f"{text[:end]} ({within_sentence(mention)}){text[end:]}"
    return text


def _wants_date(text: str, mention: DateMention) -> bool:
    said = text[mention.start : mention.end]
    if mention.day is None or _FULL_YEAR.search(said) or _NOT_ANCHORED.search(said):
        return False
    # "every Friday" is no day, and of "Friday, 12 May" the day says more than the weekday.
    return not _REPEATED.search(text, 0, mention.start) and not (
        said.lower().endswith(_WEEKDAY_NAMES) and _THEN_DATE.match(text, mention.end)
    )


def within_sentence(mention: DateMention) -> str:
    """The answer as it stands within a sentence: "the week before 9 June 2023"."""
    answer = mention.answer
    return answer if answer.startswith(MONTHS) else answer[:1].lower() + answer[1:]


def _mention(match: re.Match[str], handler: _Handler, written: date | None) -> DateMention | None:
    needs_anchor = handler not in _ABSOLUTE
    if needs_anchor and written is None:
        return DateMention(match.start(), match.end(), match.group().strip(), match.group().strip(), None)
    try:
        answer, loose, day = handler(match, written or date.min)
    except (ValueError, OverflowError):  # 31 June, or a shift beyond year 9999: not a date
        return None
    yearless = f"{int(match['day'])} {MONTHS[_month(match) - 1]}" if handler is _day_of_year else ""
    return DateMention(match.start(), match.end(), answer, loose, day, yearless)


# --- absolute dates ---


def _month(match: re.Match[str]) -> int:
    prefix = match["month"][:3].lower()
    return next(number for number, name in enumerate(MONTHS, 1) if name.lower().startswith(prefix))


def _iso(match: re.Match[str], _: date) -> _Resolved:
    return _on(date(int(match["year"]), int(match["m"]), int(match["day"])))


def _full(match: re.Match[str], _: date) -> _Resolved:
    return _on(date(int(match["year"]), _month(match), int(match["day"])))


def _month_year(match: re.Match[str], _: date) -> _Resolved:
    return _in_month(date(int(match["year"]), _month(match), 1))


def _year(match: re.Match[str], _: date) -> _Resolved:
    return _vague(match["year"], date(int(match["year"]), 1, 1))


# --- dates that lean on the anchor ---


def _day_of_year(match: re.Match[str], anchor: date) -> _Resolved:
    month, day = _month(match), int(match["day"])
    near = [
        date(year, month, day) for year in (anchor.year - 1, anchor.year, anchor.year + 1) if _exists(year, month, day)
    ]
    if not near:
        raise ValueError("no such day")
    return _on(min(near, key=lambda candidate: abs(candidate - anchor)))


def _exists(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _month_only(match: re.Match[str], anchor: date) -> _Resolved:
    ahead = _month(match) - anchor.month
    direction = (match["which"] or "").lower().split(" ")[0]
    if direction in ("last", "past"):
        year = anchor.year - (ahead >= 0)
    elif direction in ("next", "coming"):
        year = anchor.year + (ahead <= 0)
    else:  # the nearest one
        year = anchor.year + (ahead < -6) - (ahead > 6)
    return _in_month(date(year, _month(match), 1))


def _season(match: re.Match[str], anchor: date) -> _Resolved:
    season = match["season"].lower().replace("autumn", "fall")
    start = {"winter": 12, "spring": 3, "summer": 6, "fall": 9}[season]
    shift = _direction(match["which"])
    year = anchor.year
    if shift < 0 and start + 2 >= anchor.month:  # "last summer", said before or in summer, is a year ago
        year -= 1
    elif shift > 0 and start <= anchor.month:
        year += 1
    return _vague(f"The {match['season'].lower()} of {year}", date(year, start, 1))


def _direction(word: str) -> int:
    """-1 for last and past, 0 for this, 1 for next and coming."""
    lowered = word.lower()
    if any(cue in lowered for cue in ("last", "past", "previous")):
        return -1
    return int(any(cue in lowered for cue in ("next", "coming", "following")))


_DAY_SHIFTS = (
    ("day before yesterday", -2),
    ("day after tomorrow", 2),
    ("yesterday", -1),
    ("night", -1),
    ("tomorrow", 1),
)


def _near_day(match: re.Match[str], anchor: date) -> _Resolved:
    words = match["near"].lower().replace("tonight", "today").replace("tomorrow night", "tomorrow")
    shift = next((days for cue, days in _DAY_SHIFTS if cue in words), 0)
    return _on(anchor + timedelta(days=shift))


def _weekday(match: re.Match[str], anchor: date) -> _Resolved:
    target = next(i for i, name in enumerate(WEEKDAYS) if name.lower().startswith(match["weekday"][:3].lower()))
    which = (match["which"] or "").lower()
    planned = not which and _FUTURE.search(match.string, 0, match.start()) is not None
    future = which == "this" or _direction(which) > 0 or planned
    gap = (target - anchor.weekday()) % 7
    day = anchor + timedelta(days=(gap or 7) if future else gap - 7)
    return _on(day, f"The {WEEKDAYS[target]} {'after' if future else 'before'} {format_day(anchor)}")


def _period(match: re.Match[str], anchor: date) -> _Resolved:
    shift, unit = _direction(match["which"]), match["unit"].lower()
    if unit in ("week", "weekend"):
        relation = ("of", "after", "before")[shift]
        return _vague(f"The {unit} {relation} {format_day(anchor)}", anchor + timedelta(days=7 * shift))
    return _shifted(anchor, unit, shift)


def _shifted(anchor: date, unit: str, count: int) -> _Resolved:
    """The month or year that lies ``count`` months or years away."""
    if unit == "year":
        return _vague(str(anchor.year + count), date(anchor.year + count, 1, 1))
    months = anchor.year * 12 + anchor.month - 1 + count
    return _in_month(date(months // 12, months % 12 + 1, 1))


def _count(word: str) -> int | None:
    return int(word) if word.isdecimal() else NUMBER_WORDS.get(word.lower())


def _distance(match: re.Match[str], anchor: date) -> _Resolved:
    """``two weeks ago``, ``in 3 days``, ``a few months ago``."""
    past = match.group().lower().endswith(("ago", "back", "earlier"))
    sign, unit = (-1 if past else 1), match["unit"].lower()
    side = f"{'before' if past else 'after'} {format_day(anchor)}"
    word = match["count"].split()[-1] if match["count"].lower() != "a couple of" else "couple"
    count = _count(word)
    if count is None:  # a few, several, many
        words = f"{match['count'][0].upper()}{match['count'][1:]} {unit}s {side}"
        return _vague(words, anchor + timedelta(days=3 * sign * _UNIT_DAYS[unit]))
    if unit in ("month", "year"):
        return _shifted(anchor, unit, sign * count)
    day = anchor + timedelta(days=sign * count * _UNIT_DAYS[unit])
    number = "The" if count == 1 else word.replace("couple", "two").capitalize()
    loose = f"{number} {unit}{'s' if count > 1 else ''} {side}"
    if unit == "day":
        return _on(day)
    return _on(day, loose) if unit == "week" else _vague(loose, day)


_UNIT_DAYS = {"day": 1, "weekend": 7, "week": 7, "month": 30, "year": 365}

# --- the rules, longest first: an earlier rule keeps its characters ---

_MONTH = r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
_MONTH += r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?\b"
_YEAR = r"(?P<year>(?:19|20)\d\d)\b"
_WHICH = r"(?P<which>last|this past|the past|past|previous|this coming|coming|this|next|following)"
_WEEKDAY = r"(?P<weekday>mon(?:day)?|tue(?:s|sday)?|wed(?:nesday)?|thu(?:r|rs|rsday)?|fri(?:day)?|sat(?:urday)?"
_WEEKDAY += r"|sun(?:day)?)\b"
_LONG_WEEKDAY = r"(?P<weekday>monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b"
_COUNT = r"(?:about |around |over |almost |nearly |exactly |just )?(?P<count>a couple(?: of)?|a few|several|many|"
_COUNT += rf"\d+|{'|'.join(NUMBER_WORDS)})"
_UNIT = r"(?P<unit>day|weekend|week|month|year)s?"
_FUTURE = re.compile(r"\b(will|going to|gonna|plan|planning|plans|upcoming|can't wait|tomorrow)\b|'ll\b", re.I)

# Most sentences name no time at all: one cheap look saves them the rules.
_CUE = re.compile(
    r"\d|day|week|month|year|night|morning|afternoon|evening|tomorrow|winter|spring|summer|autumn|fall"
    r"|\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun)",
    re.IGNORECASE,
)
_RULES: tuple[tuple[re.Pattern[str], _Handler], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), handler)
    for pattern, handler in (
        (r"\b(?P<year>(?:19|20)\d\d)-(?P<m>\d\d)-(?P<day>\d\d)(?:[T ]\d\d:\d\d(?::\d\d)?)?\b", _iso),
        (rf"\b(?:the )?{_DAY} (?:of )?{_MONTH},? {_YEAR}", _full),
        (rf"\b{_MONTH} (?:the )?{_DAY},? {_YEAR}", _full),
        (rf"\b{_MONTH},? (?:of )?{_YEAR}", _month_year),
        (rf"\b(?:the )?{_DAY} (?:of )?{_MONTH}", _day_of_year),
        (rf"\b{_MONTH} (?:the )?{_DAY}", _day_of_year),
        (r"\b(?P<near>the day (?:before yesterday|after tomorrow))\b", _near_day),
        (rf"\b{_COUNT} {_UNIT} (?:ago|back|earlier|from now|from today|later)\b", _distance),
        (rf"\bin {_COUNT} {_UNIT}(?:' time)?\b", _distance),
        (rf"\b{_WHICH} (?P<season>winter|spring|summer|autumn|fall)\b", _season),
        (rf"\b(?:the )?{_WHICH} {_UNIT}\b", _period),
        (rf"\b(?:on )?{_WHICH} {_WEEKDAY}", _weekday),
        (rf"\bon (?P<which>)?{_WEEKDAY}", _weekday),
        (rf"\b(?P<which>)?{_LONG_WEEKDAY}", _weekday),
        (
            rf"\b(?:{_WHICH}|in|since|until|by|during|early|late|mid|back in|this) {_MONTH}(?! \d)",
            _month_only,
        ),
        (
            r"\b(?P<near>yesterday(?: (?:morning|afternoon|evening))?|last night|today|tonight"
            r"|this (?:morning|afternoon|evening)|tomorrow(?: (?:morning|afternoon|evening|night))?)\b",
            _near_day,
        ),
        (rf"\b(?:in|since|from|during|of|by|until|around|circa|year) {_YEAR}", _year),
        (rf"(?<![\d$€£.,]){_YEAR}(?![\d,]*\d)", _year),
    )
)
_ABSOLUTE = frozenset({_iso, _full, _month_year, _year})
