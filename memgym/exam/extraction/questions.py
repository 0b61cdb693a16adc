"""What a question asks for: kind of answer, whom it is about, the words that must be found, which value in time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal

from memgym.exam.dates import find_dates
from memgym.exam.extraction import lexicon
from memgym.exam.extraction.sentences import Token, tokenise

Kind = Literal[
    "date", "month", "year", "weekday", "clock", "interval", "duration", "number", "person", "name", "place", "yes_no",
    "choice", "reason", "thing",
]  # fmt: skip
Epoch = Literal["any", "current", "previous", "first", "last"]

_KIND_RULES: tuple[tuple[re.Pattern[str], Kind], ...] = tuple(
    (re.compile(pattern), kind)  # type: ignore[misc]
    for pattern, kind in (
        (
            r"\bhow (?:many|much) (?:days|weeks|months|years|time) (?:passed|went by|lie|lay|elapsed|between|after|before|were)",
            "interval",
        ),
        (r"\bhow long (?:after|before|was it|passed)|\bhow many days\b.*\b(?:between|after|before|from)\b", "interval"),
        (r"\bhow long ago\b", "date"),
        (r"\bhow long\b", "duration"),
        (r"\b(?:what|which) month\b", "month"),
        (r"\b(?:what|which) year\b", "year"),
        (r"\b(?:what|which) (?:weekday|day of the week)\b", "weekday"),
        (
            r"\b(?:what|which) (?:time|hour)\b|\bbedtime\b|\bwhen (?:does|do|is|are) .*\b(?:shift|bed|wake|get up|open|close)\b",
            "clock",
        ),
        (r"\bwhen .*\bstart work\b", "clock"),
        (
            r"\bwhen\b|\b(?:what|which) (?:day|date)\b|\bon what date\b|\bsince when\b|^what is [^?]*\bbirthday\b",
            "date",
        ),
        (r"\bhow (?:many|much|old|tall|far|often|big|large|heavy|high)\b", "number"),
        (r"\bwho\b|\bwhom\b|\bwhose\b|\bwhich (?:person|friend|relative|colleague)\b", "person"),
        (
            r"\bwhere\b|\b(?:what|which) (?:city|town|country|place|village|state|street|address|neighbou?rhood|region)\b",
            "place",
        ),
        (r"\bwhy\b|\bwhat (?:was|is) the reason\b|\bfor what reason\b", "reason"),
        (r"\b(?:what|which|how)\b", "thing"),
    )
)
_NAME = re.compile(
    r"\b(?:what|which) (?:is|was|are|were) the names?\b|\b(?:what|which) names?\b|\b(?:called|named)\b[^a-z]*$|'s? names?\b"
)
_LEAD_IN = re.compile(r"\b(?:know|remember|recall|tell|remind)\b")
_CURRENT = re.compile(
    r"\b(?:now|nowadays|currently|current|these days|at the moment|at present|today|presently|right now|latest)\b"
)
_PREVIOUS = re.compile(
    r"\b(?:previous|previously|before|used to|former|formerly|originally|earlier|prior|initially|leave|give up)\b"
)
_FIRST = re.compile(r"\b(?:first|the first time|earliest)\b")
_LAST = re.compile(r"\b(?:last|most recent|most recently|latest|the last time)\b")
_PRESENT = frozenset({"is", "are", "does", "do", "has", "have", "am", "can"})
_BEFORE = re.compile(
    r"\b(?:before|prior to|instead of|other than|to join|(?:give up|gave up|leave) for)\b (?!(?:now|that|then)\b)[^,?]*|(?<=leave )[\w ]*for [^,?]*"
)
_SUBJECT_SKIP = frozenset("mr mrs ms dr miss".split())


@dataclass(frozen=True, slots=True)
class Term:
    """One word of the question that an answer's surroundings should hold."""

    stem: str
    concepts: frozenset[int]
    weight: float


@dataclass(frozen=True, slots=True)
class QuestionReading:
    """One analysed question."""

    kind: Kind
    subjects: frozenset[str]  # lower-case names of the people it is about
    relation: tuple[str, ...]  # stems of "gym partner" in "Mara's gym partner's job", where somebody else is meant
    terms: tuple[Term, ...]
    focus: str  # stem of the noun after what or which, "" without
    member_of: str  # a key of lexicon.KINDS the answer should belong to, "" without
    epoch: Epoch
    excluded: frozenset[str]  # stems of a value that is not the answer ("before Lund")
    stems: frozenset[str]  # of all words
    options: tuple[str, ...]  # of a choice question
    plural: bool  # several answers are asked for
    days: tuple[tuple[date, date], ...]  # ranges of the dates it names, both ends included
    text: str
    lowered: str


@lru_cache(maxsize=16384)
def read_question(question: str) -> QuestionReading:
    """Analyse a question. Any text is accepted; without a question word it asks for a thing."""
    text = " ".join(question.replace("’", "'").split())
    tokens = tokenise(text)
    lowered = text.lower()
    kind = _kind(tokens, lowered)
    excluded = _excluded(lowered, kind)
    subjects, relation = _subjects(tokens)
    focus = _focus(tokens)
    terms = _terms(tokens, subjects, focus, excluded)
    if kind in ("name", "person") or all(term.stem in relation for term in terms):
        relation = ()  # it is the person that is asked for
    return QuestionReading(
        kind=kind,
        subjects=subjects,
        relation=relation,
        terms=terms,
        focus=focus.stem if focus else "",
        member_of=lexicon.KIND_WORDS.get(focus.lower, "") if focus else "",
        epoch=_epoch(tokens, lowered),
        excluded=frozenset(t.stem for t in tokens if excluded[0] <= t.start < excluded[1] and t.kind in "wN#"),
        stems=frozenset(token.stem for token in tokens),
        options=_options(lowered, text) if kind == "choice" else (),
        plural=_plural(focus, lowered),
        days=_days(text),
        text=text,
        lowered=lowered,
    )


def _kind(tokens: tuple[Token, ...], lowered: str) -> Kind:
    opening = tokens[0].kind if tokens else ""
    if opening == "X" and tokens[0].lower not in ("what's", "who's") and not _LEAD_IN.search(lowered):
        return "choice" if " or " in lowered else "yes_no"
    if _NAME.search(lowered):
        return "name"
    found = [
        (match.start(), order, kind)
        for order, (rule, kind) in enumerate(_KIND_RULES)
        if (match := rule.search(lowered))
    ]
    if not found:
        return "thing"
    # "what" alone is a last resort, and a "when" far behind another question word only opens a clause
    specific = [(order, kind) for start, order, kind in found if order < len(_KIND_RULES) - 1]
    first = min(start for start, _, _ in found)
    lead = [kind for start, order, kind in sorted(found, key=lambda item: item[1]) if start <= first + 12]
    return lead[0] if lead else min(specific)[1]


def _excluded(lowered: str, kind: Kind) -> tuple[int, int]:
    """The part of the question, in characters, that names a value other than the one asked for."""
    match = _BEFORE.search(lowered)
    if kind in ("date", "interval", "duration", "yes_no", "choice") or not match:
        return len(lowered), len(lowered)
    return match.span()


def _subjects(tokens: tuple[Token, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    """The first name (with what "and" adds to it), and what a possessive hangs on it."""
    names: list[str] = []
    for index, token in enumerate(tokens):
        if token.kind != "N" or token.lower in _SUBJECT_SKIP:
            continue
        names.append(token.lower)
        following = tokens[index + 1 : index + 3]
        if following and following[0].kind == "M":
            return frozenset(names), _owned(tokens[index + 2 :])
        if len(following) < 2 or following[0].lower not in ("and", "&") or following[1].kind != "N":
            break
    return frozenset(names), ()


def _owned(tokens: tuple[Token, ...]) -> tuple[str, ...]:
    """Stems of the words that the possessive belongs to, up to a verb or a further possessive."""
    owned = []
    for token in tokens:
        if token.kind not in "wV":
            break
        owned.append(token.stem)
        if token.lower in _RELATIVES:
            break
    return tuple(owned)


_RELATIVES = lexicon.KINDS["relative"] | lexicon.KINDS["animal"]


def _focus(tokens: tuple[Token, ...]) -> Token | None:
    """The noun after what or which, or the one that "is" hangs on: "What is Mara's favourite *dish*?"."""
    for index, token in enumerate(tokens):
        if token.lower not in ("what", "which", "what's", "whose"):
            continue
        rest = tokens[index + 1 :]
        if rest and rest[0].kind in "wN#VD" and rest[0].lower not in lexicon.AUXILIARIES:
            return _last_of_run(rest)
        if token.lower == "what's" or (rest and rest[0].lower in ("is", "was", "are", "were")):
            return _last_of_run(rest if token.lower == "what's" else rest[1:], skip="NDSM")
    return None


def _last_of_run(tokens: tuple[Token, ...], skip: str = "D") -> Token | None:
    last: Token | None = None
    for index, token in enumerate(tokens):
        if token.kind == "M" or (token.kind in skip and last is None):
            last = None
        elif token.lower == "of" and last is not None and last.lower in ("kind", "type", "sort", "breed"):
            last = None
        elif token.kind in "w#" or (token.kind == "V" and index == 0) or (token.kind == "N" and last is None):
            last = token
        else:
            break
    return last


def _terms(
    tokens: tuple[Token, ...], subjects: frozenset[str], focus: Token | None, excluded: tuple[int, int]
) -> tuple[Term, ...]:
    excluded_from, excluded_to = excluded
    terms: dict[str, Term] = {}
    for token in tokens:
        if token.kind not in "wNV#" or token.lower in subjects or excluded_from <= token.start < excluded_to:
            continue
        if token.lower in lexicon.LIGHT or token.stem in _light_stems():
            weight = 0.25
        else:
            weight = 1.2 if token is focus else 1.0
        terms.setdefault(token.stem, Term(token.stem, lexicon.concepts_of(token.stem), weight))
    return tuple(terms.values())


@lru_cache(maxsize=1)
def _light_stems() -> frozenset[str]:
    return frozenset(map(lexicon.stem_of, lexicon.LIGHT))


def _epoch(tokens: tuple[Token, ...], lowered: str) -> Epoch:
    if _PREVIOUS.search(lowered):
        return "previous"
    if _CURRENT.search(lowered):
        return "current"
    if _FIRST.search(lowered):
        return "first"
    if _LAST.search(lowered):
        return "last"
    return "current" if any(token.lower in _PRESENT for token in tokens[:6]) else "any"


def _options(lowered: str, text: str) -> tuple[str, ...]:
    """The two alternatives of "..., tea or coffee?"."""
    at = lowered.rindex(" or ")
    left, right = text[:at].split(","), text[at + 4 :].strip(" ?.")
    return (" ".join(left[-1].split()[-max(1, len(right.split())) :]), right)


def _plural(focus: Token | None, lowered: str) -> bool:
    if focus is None:
        return False
    plain = focus.lower.endswith("s") and not focus.lower.endswith(("ss", "us", "is"))
    return plain or "names" in lowered.split()


def _days(text: str) -> tuple[tuple[date, date], ...]:
    ranges = []
    for mention in find_dates(text):
        if mention.day is None:
            continue
        words = len(mention.answer.split())
        last = mention.day
        if words == 2:
            last = mention.day.replace(day=28)
        elif words == 1:
            last = mention.day.replace(month=12, day=31)
        ranges.append((mention.day, last))
    return tuple(ranges)
