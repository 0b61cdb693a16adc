"""The sentences of a memory as evidence: how well each covers a question, whom it is about, when it happened."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from memgym.dates import find_dates, parse_timestamp
from memgym.exam.extraction import lexicon
from memgym.exam.extraction.people import about
from memgym.exam.extraction.questions import QuestionReading, Term
from memgym.exam.extraction.sentences import Sentence, read_text
from memgym.exam.reader import ReadingTask

_CONCEPT_MATCH = 0.7  # worth of a word of the same concept, next to 1 for the same stem
_MEMBER_MATCH = 0.8  # worth of "teal" where a colour is asked for
_PLACE_MATCH = 0.7  # worth of "in Lund" where a city is asked for
_SAME_TURN = 0.8  # worth of another sentence of the same turn
_REVISED = 1.15  # credit of a correction where the present value is asked for
_AT = lexicon.words("in at to from")
_REVISION = re.compile(
    r"(?<!for )(?<!right )\b(?:now|no longer|not|instead|rather than|used to|any ?more|actually|in fact|really|wrong"
    r"|mistaken?|misspoke|mixed|correct(?:ion)?|fix|changed?|switched|swapped|new|replaced)\b"
)
_RETRACTION = re.compile(
    r"\b(?:forget|ignore|scratch|disregard|never mind|not rely on|don't rely on|t(?:ake|akes|ook|aking) back)\b"
    r".*\b(?:said|told|mentioned)\b"
)
_REPLACEMENT = re.compile(r"[:;,-] (?:it|that|this)(?:'s| is| should be) ")


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence of the memory with what its entry adds."""

    sentence: Sentence
    timestamp: str
    entry: int  # position in the context; -1 is the core
    told: tuple[int, int]  # rank of its entry by time and id, then its place there; the core counts as newest

    @property
    def turn(self) -> tuple[int, int]:
        """Statements with the same value were said in one breath."""
        return self.entry, self.sentence.turn

    @property
    def happened(self) -> date:
        """The day it speaks of, else the day it was told."""
        days = [mention.day for mention in find_dates(self.sentence.text, self.timestamp) if mention.day]
        return days[0] if days else self.written or date.min

    @property
    def revises(self) -> bool:
        """Whether it corrects or updates what was said before."""
        return _REVISION.search(self.sentence.text.lower()) is not None

    @property
    def retracts(self) -> bool:
        """Whether it takes something back without putting anything in its place."""
        text = self.sentence.text.lower()
        match = _RETRACTION.search(text)
        return match is not None and _REPLACEMENT.search(text, match.end()) is None

    @property
    def written(self) -> date | None:
        """The day it was told; None when unknown."""
        return parse_timestamp(self.timestamp) if self.timestamp else None


@dataclass(frozen=True, slots=True)
class Evidence:
    """A statement that may hold the answer."""

    statement: Statement
    anchors: tuple[int, ...]  # tokens that match the question
    score: float
    coverage: float  # share of the question it covers, in [0, 1], lower when it is about somebody else


def read_statements(task: ReadingTask) -> list[Statement]:
    """All sentences a task offers, best entry first."""
    ranks = {entry.id: rank for rank, entry in enumerate(sorted(task.context, key=lambda e: (e.timestamp, e.id)))}
    texts = [(task.timestamp, task.core, -1, len(ranks))] if task.core else []
    texts += [(entry.timestamp, entry.text, number, ranks[entry.id]) for number, entry in enumerate(task.context)]
    return [
        Statement(sentence, sentence.timestamp or stamp, number, (rank, place))
        for stamp, text, number, rank in texts
        for place, sentence in enumerate(read_text(text))
    ]


def search(reading: QuestionReading, statements: Sequence[Statement], floor: float = 0.0) -> list[Evidence]:
    """Statements that share words with the question, best first; with a floor, all, and each is worth that much."""
    matched = []
    turns: dict[tuple[int, int], float] = {}
    for statement in statements:
        anchors: tuple[int, ...] = ()
        coverage = _coverage(reading, statement.sentence)
        if coverage:
            anchors = find_anchors(reading, statement.sentence)
            coverage *= about(reading, statement.sentence, anchors)
        matched.append((statement, anchors, coverage))
        turns[statement.turn] = max(turns.get(statement.turn, floor), coverage)
    found = []
    for statement, anchors, covered in matched:
        coverage = max(covered, _SAME_TURN * turns[statement.turn])
        if coverage:
            dated = _date_match(reading, statement)
            revised = _REVISED if reading.epoch == "current" and statement.revises else 1.0
            found.append(Evidence(statement, anchors, coverage * dated * revised, min(1.0, coverage * max(1.0, dated))))
    return sorted(found, key=lambda evidence: -evidence.score)


# --- words ---


def _coverage(reading: QuestionReading, sentence: Sentence) -> float:
    """Weighted share of the question's words that the sentence holds."""
    total = sum(term.weight for term in reading.terms)
    if not total:
        return 0.5
    return sum(_held(reading, term, sentence) * term.weight for term in reading.terms) / total


def _held(reading: QuestionReading, term: Term, sentence: Sentence) -> float:
    if term.stem in sentence.stems:
        return 1.0
    related = 0.0 if term.concepts.isdisjoint(sentence.concepts) else _CONCEPT_MATCH
    asked = term.stem == reading.focus or (reading.member_of == "job" and not term.light)
    if asked and _holds_member(reading, sentence):
        return _MEMBER_MATCH
    if asked and reading.kind == "place" and any(p.proper and p.preposition in _AT for p in sentence.phrases):
        return max(related, _PLACE_MATCH)
    return related


def _holds_member(reading: QuestionReading, sentence: Sentence) -> bool:
    """Whether the sentence names a colour where a colour is asked for; a trade counts after "as a" or "is a"."""
    if reading.member_of != "job":
        return bool(reading.member_of) and lexicon.belongs(sentence.words, reading.member_of)
    return any(
        lexicon.names_person(sentence.tokens[phrase.last - 1].lower)
        and (phrase.preposition == "as" or phrase.complement)
        for phrase in sentence.phrases
    )


def find_anchors(reading: QuestionReading, sentence: Sentence) -> tuple[int, ...]:
    """Tokens that match a word of the question: by stem, else by concept, else the verbs."""
    tokens = sentence.tokens
    stems = {term.stem for term in reading.terms}
    heavy = {term.stem for term in reading.terms if not term.light}
    exact = [index for index, token in enumerate(tokens) if token.stem in stems]
    if any(tokens[index].stem in heavy for index in exact):
        return tuple(exact)
    concepts = frozenset(number for term in reading.terms if not term.light for number in term.concepts)
    related = [i for i, token in enumerate(tokens) if not concepts.isdisjoint(lexicon.concepts_of(token.stem))]
    return tuple(related or exact or [i for i, token in enumerate(tokens) if token.kind == "V"])


# --- time ---


def _date_match(reading: QuestionReading, statement: Statement) -> float:
    """For a question that names a date: more for statements of that time, less for others."""
    if not reading.days:
        return 1.0
    said = [mention.day for mention in find_dates(statement.sentence.text, statement.timestamp) if mention.day]
    if any(_within(day, reading) for day in said):
        return 1.8
    told_then = not said and statement.written is not None and _within(statement.written, reading)
    return 1.3 if told_then else 0.6


def _within(day: date, reading: QuestionReading) -> bool:
    slack = timedelta(days=1)  # "last night" may be either day
    return any(first - slack <= day <= last + slack for first, last in reading.days)
