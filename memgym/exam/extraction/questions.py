"""What a question asks for: kind of answer, whom it is about, the words that must be found, which value in time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal, cast

from memgym.dates import find_dates
from memgym.exam.extraction import lexicon
from memgym.exam.extraction.sentences import Token, normalise, tokenise

TimeKind = Literal["date", "month", "year", "weekday", "clock", "interval", "duration"]
Kind = TimeKind | Literal["number", "person", "name", "place", "yes_no", "choice", "reason", "thing"]
Epoch = Literal["any", "current", "previous", "first", "last"]

_NAME = re.compile(
    r"\b(?:what|which) (?:is|was|are|were) the names?\b|\b(?:what|which) names?\b|'s? names?\b"
    r"|\b(?:called|named)\b[^a-z]*$"
)
_UNITS = "(?:days|weeks|months|years|time)"
# Earlier rules win among those that match near the first question word.
_KIND_RULES: tuple[tuple[re.Pattern[str], Kind], ...] = tuple(
    (re.compile(pattern), cast(Kind, kind))
    for pattern, kind in (
        (rf"\bhow (?:many|much) {_UNITS} (?:passed|went by|lie|lay|elapsed|between|after|before|were)", "interval"),
        (rf"\bhow (?:many|much|long)\b.*\bbetween\b|\bhow many {_UNITS}\b.*\b(?:after|before|from)\b", "interval"),
        (r"\bhow long ago\b", "date"),
        (r"\bhow long\b", "duration"),
        (r"\b(?:what|which) month\b", "month"),
        (r"\b(?:what|which) year\b", "year"),
        (r"\b(?:what|which) (?:weekday|day of the week)\b", "weekday"),
        (r"\b(?:what|which) (?:time|hour)\b|\bbedtime\b|\bwhen .*\bstart work\b", "clock"),
        (r"\bwhen (?:does|do|did|is|are) .*\b(?:shift|bed|wake|get up|open|close)\b", "clock"),
        (r"\bwhen\b|\b(?:what|which) (?:day|date)\b", "date"),
        (r"\bhow (?:many|much|old|tall|far|often|big|large|heavy|high)\b", "number"),
        (r"\bwho\b|\bwhom\b|\bwhich (?:person|friend|relative|colleague)\b", "person"),
        (r"\bwhere\b|\b(?:what|which) (?:city|town|country|place|village|state|street|address|region)\b", "place"),
        (r"\bwhy\b|\b(?:what|which) (?:was|is) the reason\b|\bfor what reason\b", "reason"),
        (r"\b(?:what|which|how|whose)\b", "thing"),
    )
)
# Weights of the words of a question, next to 1 for most: names must be found, "do" and "kind" say little.
_NAMED = 2.0
_FOCUS = 1.2
_LIGHT = 0.25
_NEAR = 12  # characters between the first question word and a rule that still counts as near it
_LEAD_IN = re.compile(r"\b(?:know|remember|recall|tell|remind)\b")
_CURRENT = re.compile(
    r"\b(?:now|nowadays|currently|current|these days|at the moment|at present|today|presently|right now|latest)\b"
)
_PREVIOUS = re.compile(
    r"\b(?:previous|previously|before|used to|former|formerly|earlier|prior|initially|leave|give up)\b"
)
_FIRST = re.compile(r"\b(?:first|earliest)\b")
_LAST = re.compile(r"\b(?:last|most recent|most recently|latest)\b")
_PRESENT = lexicon.words("is are does do has have am can")
_BEFORE = re.compile(
    r"\b(?:before|prior to|instead of|other than|to join|give up .*?for|gave up .*?for)\b (?!(?:now|that|then)\b)[^,?]*"
    r"|(?<=leave )[\w ]*for [^,?]*"
)
_TITLES = lexicon.words("mr. mrs. ms. dr. miss")
_KIND_OF = re.compile(r"\b(?:kind|type|sort) of\b")


@dataclass(frozen=True, slots=True)
class Term:
    """One word of the question that an answer's surroundings should hold."""

    stem: str
    concepts: frozenset[int]
    weight: float

    @property
    def light(self) -> bool:
        """Whether the word says little by itself ("do", "have", "kind")."""
        return self.weight <= _LIGHT


@dataclass(frozen=True, slots=True)
class QuestionReading:
    """One analysed question."""

    text: str
    lowered: str
    kind: Kind
    subjects: frozenset[str]  # lower-case names of the people it is about
    relation: tuple[str, ...]  # lower-case words after a possessive: "gym", "partner" of "Mara's gym partner's job"
    terms: tuple[Term, ...]
    focus: str  # stem of the noun after what or which, "" without
    member_of: str  # a kind of lexicon.belongs that the answer should belong to, "" without
    epoch: Epoch
    excluded: frozenset[str]  # stems of a value that is not the answer ("before Lund")
    stems: frozenset[str]  # of all words
    options: tuple[str, ...]  # of a choice question
    plural: bool  # several answers are asked for
    stranded: str  # the preposition left at the end: "for" of "What is Mara saving for?", "" without
    days: tuple[tuple[date, date], ...]  # ranges of the dates it names, both ends included


@lru_cache(maxsize=16384)
def read_question(question: str) -> QuestionReading:
    """Analyse a question. Any text is accepted; without a question word it asks for a thing."""
    text = " ".join(normalise(question).split())
    lowered = text.lower()
    tokens = tokenise(text)
    focus = _focus(tokens)
    kind = _kind(tokens, lowered)
    if kind == "thing" and focus:
        kind = _kind_of_focus(focus, lowered)
    excluded = _excluded(lowered, kind)
    subjects, relation = _subjects(tokens)
    return QuestionReading(
        text=text,
        lowered=lowered,
        kind=kind,
        subjects=subjects,
        relation=relation,
        terms=_terms(tokens, kind, subjects, focus, excluded),
        focus=focus.stem if focus else "",
        member_of=_member_of(focus, lowered),
        epoch=_epoch(tokens, lowered),
        excluded=frozenset(t.stem for t in tokens if excluded[0] <= t.start < excluded[1] and t.kind in "wN#"),
        stems=frozenset(token.stem for token in tokens),
        options=_options(lowered, text) if kind == "choice" else (),
        plural=_plural(focus, lowered),
        stranded=_stranded(lowered),
        days=_days(text),
    )


# --- kind of answer ---


def _kind(tokens: tuple[Token, ...], lowered: str) -> Kind:
    asks_back = tokens and tokens[0].kind == "X" and tokens[0].lower not in ("what's", "who's")
    if asks_back and not _LEAD_IN.search(lowered):
        return "choice" if " or " in lowered else "yes_no"
    if _NAME.search(lowered):
        return "name"
    found = [(match.start(), kind) for rule, kind in _KIND_RULES if (match := rule.search(lowered))]
    if not found:
        return "thing"
    first = min(start for start, _ in found)
    return next(kind for start, kind in found if start <= first + _NEAR)


def _kind_of_focus(focus: Token, lowered: str) -> Kind:
    """What "what" asks for, by the noun that follows."""
    if focus.lower in lexicon.PLACE_NOUNS and not _KIND_OF.search(lowered):
        return "place"
    if focus.lower in ("time", "bedtime", "hour"):
        return "clock"
    if lexicon.names_person(focus.lower):
        return "person"
    return "date" if focus.lower in ("birthday", "date", "anniversary") else "thing"


def _member_of(focus: Token | None, lowered: str) -> str:
    if re.search(r"\bwork as\b|\bfor a living\b", lowered):
        return "job"
    return lexicon.KIND_WORDS.get(focus.lower, "") if focus else ""


def _options(lowered: str, text: str) -> tuple[str, ...]:
    """The two alternatives of "..., tea or coffee?"."""
    at = lowered.rindex(" or ")
    left, right = text[:at].split(","), text[at + 4 :].strip(" ?.")
    return (" ".join(left[-1].split()[-max(1, len(right.split())) :]), right)


def _plural(focus: Token | None, lowered: str) -> bool:
    plain = focus is not None and focus.lower.endswith("s") and not focus.lower.endswith(("ss", "us", "is"))
    return plain or "names" in lowered.split()


def _stranded(lowered: str) -> str:
    words = _CURRENT.sub("", lowered).strip(" ?!.").split()
    return words[-1] if words and words[-1] in lexicon.PREPOSITIONS else ""


# --- whom and what ---


def _subjects(tokens: tuple[Token, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    """The first name (with what "and" adds to it), and what a possessive hangs on it."""
    names: list[str] = []
    for index, token in enumerate(tokens):
        if token.kind != "N" or token.lower in _TITLES:
            continue
        names.append(token.lower)
        following = tokens[index + 1 : index + 3]
        if following and following[0].kind == "M":
            return frozenset(names), _owned(tokens[index + 2 :])
        if len(following) < 2 or following[0].lower not in ("and", "&") or following[1].kind != "N":
            break
    return frozenset(names), ()


def _owned(tokens: tuple[Token, ...]) -> tuple[str, ...]:
    """The words that the possessive belongs to, up to a person or a further possessive."""
    owned = []
    for token in tokens:
        if token.kind not in "wV":
            break
        owned.append(token.lower)
        if lexicon.names_person(token.lower) or token.lower in lexicon.KINDS["animal"]:
            break
    return tuple(owned)


def _focus(tokens: tuple[Token, ...]) -> Token | None:
    """The noun after what or which, or the one that "is" hangs on: "What is Mara's favourite *dish*?"."""
    for index, token in enumerate(tokens):
        if token.lower not in ("what", "which", "what's", "whose"):
            continue
        rest = tokens[index + 1 :]
        if token.lower == "what's" or (rest and rest[0].lower in ("is", "was", "are", "were")):
            return _last_of_run(rest if token.lower == "what's" else rest[1:], skip="NDSM")
        if rest and rest[0].kind in "wN#VD":
            return _last_of_run(rest, skip="D")
    return None


def _last_of_run(tokens: tuple[Token, ...], skip: str) -> Token | None:
    last: Token | None = None
    for index, token in enumerate(tokens):
        general = last is not None and last.lower in ("kind", "type", "sort", "breed")
        if token.kind == "M" or (token.kind in skip and last is None) or (token.lower == "of" and general):
            last = None
        elif token.kind in "w#" or (token.kind == "V" and index == 0) or (token.kind == "N" and last is None):
            last = token
        elif token.kind != "A" or last is not None:  # "kind of" is tagged as an idiom
            break
    return last


def _terms(
    tokens: tuple[Token, ...], kind: Kind, subjects: frozenset[str], focus: Token | None, excluded: tuple[int, int]
) -> tuple[Term, ...]:
    terms: dict[str, Term] = {}
    for token in tokens:
        concepts = lexicon.concepts_of(token.stem)
        worded = token.kind in "wNV#" or (token.kind == "A" and concepts)
        if not worded or token.lower in subjects or excluded[0] <= token.start < excluded[1]:
            continue
        timed = token is focus and kind in ("date", "clock", "month", "year", "weekday") and token.lower != "birthday"
        light = timed or token.stem in lexicon.stems_of(lexicon.LIGHT)
        weight = _NAMED if token.kind == "N" else _FOCUS if token is focus else 1.0
        terms.setdefault(token.stem, Term(token.stem, concepts, _LIGHT if light else weight))
    return tuple(terms.values())


# --- time ---


def _excluded(lowered: str, kind: Kind) -> tuple[int, int]:
    """The part of the question, in characters, that names a value other than the one asked for."""
    match = _BEFORE.search(lowered)
    if kind in ("date", "interval", "duration", "yes_no", "choice") or not match:
        return len(lowered), len(lowered)
    return match.span()


def _epoch(tokens: tuple[Token, ...], lowered: str) -> Epoch:
    if _PREVIOUS.search(lowered):
        return "previous"
    if _FIRST.search(lowered):
        return "first"
    if _LAST.search(lowered):
        return "last"
    present = any(token.lower in _PRESENT for token in tokens[:6])
    return "current" if present or _CURRENT.search(lowered) else "any"


def _days(text: str) -> tuple[tuple[date, date], ...]:
    ranges = []
    for mention in find_dates(text):
        if mention.day is not None:
            words = len(mention.answer.split())
            first = mention.day
            last = {1: first.replace(month=12, day=31), 2: first.replace(day=28)}.get(words, first)
            ranges.append((first, last))
    return tuple(ranges)
