"""The sentences of a memory as evidence: how well each covers a question, whom it is about, when it happened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from memgym.exam.dates import find_dates, parse_timestamp
from memgym.exam.extraction import lexicon
from memgym.exam.extraction.questions import QuestionReading, Term
from memgym.exam.extraction.sentences import Sentence, Token, read_text
from memgym.exam.reader import ReadingTask

_CONCEPT_MATCH = 0.7  # worth of a word of the same concept, next to 1 for the same stem
_OTHER_PERSON = 0.3
_UNCLEAR_PERSON = 0.8


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence of the memory with what its entry adds."""

    sentence: Sentence
    timestamp: str
    entry: int  # position in the context; -1 is the core
    told: int  # rank of its entry by time and id, newest highest; the core counts as newest

    @property
    def line(self) -> tuple[int, int]:
        """Sentences with the same value were said in one breath."""
        return self.entry, self.sentence.line

    @property
    def happened(self) -> date:
        """The day it speaks of, else the day it was told."""
        days = [mention.day for mention in find_dates(self.sentence.text, self.timestamp) if mention.day]
        return days[0] if days else (parse_timestamp(self.timestamp) if self.timestamp else None) or date.min


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
        Statement(sentence, sentence.timestamp or stamp, number, rank)
        for stamp, text, number, rank in texts
        for sentence in read_text(text)
    ]


def search(reading: QuestionReading, statements: Sequence[Statement]) -> list[Evidence]:
    """Statements that share words with the question, best first.

    Args:
        reading: the question.
        statements: what the memory holds.
    """
    own = [_coverage(reading, statement.sentence) for statement in statements]
    breath: dict[tuple[int, int], float] = {}
    for statement, coverage in zip(statements, own, strict=True):
        breath[statement.line] = max(breath.get(statement.line, 0.0), coverage)
    stranger = next((lexicon.stem_of(word) for word in reading.relation if lexicon.names_person(word)), "")
    found = []
    for statement, covered in zip(statements, own, strict=True):
        coverage = max(covered, 0.75 * breath[statement.line])
        if coverage:
            anchors = find_anchors(reading, statement.sentence)
            coverage *= about(reading, statement.sentence, anchors)
            if stranger and stranger not in statement.sentence.stems:
                coverage *= _OTHER_PERSON
            dated = _date_match(reading, statement)
            found.append(Evidence(statement, anchors, coverage * dated, min(1.0, coverage * max(1.0, dated))))
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
    if term.stem == reading.focus or not term.concepts.isdisjoint(_JOB_CONCEPTS):
        if _holds_member(reading, sentence):
            return 0.8
        if reading.kind == "place" and any(p.proper and p.preposition in _AT for p in sentence.phrases):
            return 0.7
    return 0.0 if term.concepts.isdisjoint(sentence.concepts) else _CONCEPT_MATCH


def _holds_member(reading: QuestionReading, sentence: Sentence) -> bool:
    """Whether the sentence names a colour where a colour is asked for; a trade counts after "as a" or "is a"."""
    if reading.member_of != "job":
        return bool(reading.member_of) and lexicon.belongs(sentence.words, reading.member_of)
    return any(
        lexicon.names_person(sentence.tokens[phrase.last - 1].lower) and (phrase.preposition == "as" or phrase.complement)
        for phrase in sentence.phrases
    )


_AT = frozenset({"in", "at", "to", "from"})
_JOB_CONCEPTS = lexicon.concepts_of("job")


def find_anchors(reading: QuestionReading, sentence: Sentence) -> tuple[int, ...]:
    """Tokens that match a word of the question: by stem, else by concept, else the verbs."""
    tokens = sentence.tokens
    stems = {term.stem for term in reading.terms if term.weight >= 0.5}
    exact = [index for index, token in enumerate(tokens) if token.stem in stems]
    concepts = frozenset(number for term in reading.terms if term.weight >= 0.5 for number in term.concepts)
    related = [i for i, token in enumerate(tokens) if not concepts.isdisjoint(lexicon.concepts_of(token.stem))]
    return tuple(exact or related or [i for i, token in enumerate(tokens) if token.kind == "V"])


# --- people ---


def about(reading: QuestionReading, sentence: Sentence, anchors: Sequence[int]) -> float:
    """Whether the matched words of a sentence are said of the person asked for, in (0, 1]."""
    who = reading.subjects
    if not who:
        return 1.0
    if not anchors:
        return _UNCLEAR_PERSON if sentence.speaker in who or who & sentence.words else _OTHER_PERSON
    return max(_about(reading, sentence, anchor) for anchor in anchors)


def _about(reading: QuestionReading, sentence: Sentence, anchor: int) -> float:
    for index in range(anchor, -1, -1):
        if (match := _role(reading, sentence, index)) is not None:
            break
    else:
        match = _UNCLEAR_PERSON if sentence.speaker in reading.subjects else _OTHER_PERSON
    for index in range(anchor + 1, min(len(sentence.tokens), anchor + 5)):
        match = max(match, _role(reading, sentence, index) or 0.0)
    return match


def _role(reading: QuestionReading, sentence: Sentence, index: int) -> float | None:
    """What one word says about whom the sentence is about; None: nothing."""
    token, who = sentence.tokens[index], reading.subjects
    if token.kind == "N" and token.lower in who:
        return 1.0
    if index in sentence.actors:
        return _OTHER_PERSON
    if token.lower in lexicon.FIRST_PERSON:
        other = token.kind == "S" and _other_relative(reading, sentence.tokens[index + 1 : index + 3])
        return 1.0 if sentence.speaker in who and not other else _OTHER_PERSON
    if token.lower in _HE_SHE:
        return _UNCLEAR_PERSON if who & sentence.words else 0.5
    return None


_HE_SHE = frozenset(["he", "she", "him", "his", "her", "hers", "he's", "she's"])


def _other_relative(reading: QuestionReading, tokens: Iterable[Token]) -> bool:
    return any(token.lower in lexicon.KINDS["relative"] and token.stem not in reading.stems for token in tokens)


def names_for(relation: Sequence[str], owners: frozenset[str], statements: Sequence[Statement]) -> frozenset[str]:
    """Names that the memory gives to "Mara's sister": "my sister Ines", "Ines is my sister", "my sister is called Ines".

    Args:
        relation: stems of the words, ("sister",).
        owners: lower-case names of whose sister it is.
        statements: what the memory holds.
    """
    names: set[str] = set()
    for statement in statements:
        sentence = statement.sentence
        if not sentence.stems.issuperset(relation):
            continue
        last = max(index for index, token in enumerate(sentence.tokens) if token.stem == relation[-1])
        if sentence.speaker in owners or owners & sentence.words:
            names.update(_named_beside(sentence, last, owners))
    return frozenset(names)


_LINKS = frozenset(
    [
        "is",
        "was",
        "called",
        "named",
        "goes",
        "by",
        "the",
        "name",
        "of",
        "'",
        "'s",
        ",",
        "it's",
        "what",
        "my",
        "his",
        "her",
        "their",
    ]
)


def _named_beside(sentence: Sentence, at: int, owners: frozenset[str]) -> Iterable[str]:
    """Names reached from a word through words like "is called", to the right or, as "Ines is my ...", to the left."""
    tokens = sentence.tokens
    for step in (1, -1):
        index = at + step
        while 0 <= index < len(tokens):
            token = tokens[index]
            if token.kind == "N" and token.lower not in owners:
                yield token.lower
                return
            inside = step < 0 and token.kind in "wVSDM"  # the rest of "my gym partner"
            if token.lower not in _LINKS and not inside and token.lower not in owners:
                break
            index += step


# --- time ---


def _date_match(reading: QuestionReading, statement: Statement) -> float:
    """For a question that names a date: more for statements of that time, less for others."""
    if not reading.days:
        return 1.0
    said = [mention.day for mention in find_dates(statement.sentence.text, statement.timestamp) if mention.day]
    written = parse_timestamp(statement.timestamp) if statement.timestamp else None
    if any(_within(day, reading) for day in said):
        return 1.8
    return 1.3 if written and not said and _within(written, reading) else 0.6


def _within(day: date, reading: QuestionReading) -> bool:
    slack = timedelta(days=1)
    return any(first - slack <= day <= last + slack for first, last in reading.days)
