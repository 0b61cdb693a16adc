"""The extractive reader: answers with a span of the memory, by rules, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from memgym.exam.extraction import lexicon
from memgym.exam.extraction.intervals import days_between
from memgym.exam.extraction.questions import QuestionReading, Term, read_question
from memgym.exam.extraction.sentences import tokenise
from memgym.exam.extraction.spans import Scene, candidates, is_outdated
from memgym.exam.extraction.statements import (
    Evidence,
    Statement,
    about,
    find_anchors,
    names_for,
    read_statements,
    search,
)
from memgym.exam.reader import ABSTENTION, ReadingTask

_MIN_SCORE = 0.1  # of the best candidate
_SEARCHED = 6  # statements searched for spans
_TIE = 0.8  # statements this close to the best are told apart by time
_UPDATES = 4  # changes of one value that are followed


@dataclass(frozen=True, slots=True)
class _Answer:
    text: str
    score: float
    evidence: Evidence
    outdated: bool


@dataclass(frozen=True, slots=True)
class ExtractiveReader:
    """Deterministic reader without a model; a fraction of a millisecond per question once texts are cached.

    It reads the question's kind (date, person, place, number, yes or no, list, ...), finds the sentences that share its
    words and its person, takes the best fitting span, follows later changes of that value, and abstains when no
    sentence covers the question. It expects English. Its ceiling is well below a language model's: print its score with
    the gold evidence beside every other.

    Args:
        min_coverage: share of the question's words that a sentence about the right person must hold, in [0, 1];
            below, the reader abstains. 0 answers whenever it can, for exams without unanswerable questions.
        loose_dates: leave weekdays and counted weeks relative ("The Sunday before 25 May 2023"), as LoCoMo's golds do;
            else they become days ("21 May 2023").
        window: longest context it is given, in lexical tokens.
    """

    min_coverage: float = 0.45
    loose_dates: bool = False
    window: int = 1_000_000  # lexical tokens

    @property
    def name(self) -> str:
        """Name written to records."""
        return f"extractive-1(min_coverage={self.min_coverage:g}, loose_dates={self.loose_dates})"

    def answer(self, tasks: Sequence[ReadingTask]) -> list[str]:
        """Answer every task, in order; ``ABSTENTION`` where the memory does not hold the answer."""
        return [self._answer(read_question(task.question), read_statements(task)) for task in tasks]

    def _answer(self, reading: QuestionReading, statements: list[Statement]) -> str:
        if reading.kind == "interval":
            return days_between(reading.text, statements) or ABSTENTION
        reading, statements = _meant(reading, statements)
        if reading.excluded and reading.epoch == "previous":
            replaced, reading, statements = self._before(reading, statements)
            if replaced:
                return replaced
        found = search(reading, statements)
        if not found or found[0].coverage < self.min_coverage:
            return ABSTENTION
        if reading.kind in ("yes_no", "choice"):
            return _closed_answer(reading, found)
        answers = self._answers(reading, statements, _by_time(reading, found)[:_SEARCHED])
        if not answers or answers[0].score < _MIN_SCORE:
            return ABSTENTION
        return _listed(answers) if reading.plural else self._followed(reading, statements, answers[0]).text

    def _before(
        self, reading: QuestionReading, statements: list[Statement]
    ) -> tuple[str, QuestionReading, list[Statement]]:
        """For "before Y": what the statement that brings Y calls outdated, else ask for the value before that time."""
        brings = [s for s in statements if s.sentence.stems >= reading.excluded]
        if not brings:
            return "", reading, statements
        first = min(brings, key=lambda statement: statement.told)
        for statement in [s for s in statements if s.line == first.line]:
            at = find_anchors(reading, statement.sentence)
            spans = self._answers(reading, statements, [Evidence(statement, at, 1.0, 1.0)])
            outdated = [span for span in spans if span.outdated and span.score > _MIN_SCORE]
            if outdated:
                return outdated[0].text, reading, statements
        older = [s for s in statements if s.told < first.told]
        return "", replace(reading, epoch="current"), older

    def _answers(
        self, reading: QuestionReading, statements: Sequence[Statement], found: Sequence[Evidence]
    ) -> list[_Answer]:
        """Spans of some of the statements, best first."""
        people = reading.subjects | {s.sentence.speaker for s in statements if s.sentence.speaker}
        answers = []
        for evidence in found:
            scene = Scene(
                sentence=evidence.statement.sentence,
                timestamp=evidence.statement.timestamp,
                previous=reading.epoch == "previous",
                anchors=evidence.anchors,
                people=people,
                loose_dates=self.loose_dates,
            )
            for candidate in candidates(reading, scene):
                answers.append(_Answer(candidate.text, candidate.score * evidence.score, evidence, candidate.outdated))
        return sorted(answers, key=lambda answer: -answer.score)

    def _followed(self, reading: QuestionReading, statements: Sequence[Statement], answer: _Answer) -> _Answer:
        """The value that later statements put in the place of an answer: "I swapped the tram for a bike"."""
        if reading.kind not in ("thing", "place", "clock", "person", "number") or reading.epoch == "previous":
            return answer
        for _ in range(_UPDATES):
            newer = [s for s in statements if s.told > answer.evidence.statement.told]
            change = next((update for s in newer if (update := self._change(reading, s, answer))), None)
            if change is None:
                return answer
            answer = change
        return answer

    def _change(self, reading: QuestionReading, statement: Statement, answer: _Answer) -> _Answer | None:
        """What a statement replaces the answer by; None when it does not call the answer outdated."""
        value = frozenset(token.stem for token in tokenise(answer.text) if token.kind in "wN#V")
        sentence = statement.sentence
        if not value or not value <= sentence.stems:
            return None
        at = tuple(index for index, token in enumerate(sentence.tokens) if token.stem in value)
        if not is_outdated(sentence, sentence.tokens[at[0]].start) or about(reading, sentence, at) < 0.8:
            return None
        evidence = Evidence(statement, at, answer.evidence.score, answer.evidence.coverage)
        spans = self._answers(replace(reading, excluded=value), [statement], [evidence])
        return next((span for span in spans if not span.outdated), None)


def _meant(reading: QuestionReading, statements: list[Statement]) -> tuple[QuestionReading, list[Statement]]:
    """Replace "Mara's sister" by the names that the memory gives her, where more than the name is asked for."""
    for length in range(len(reading.relation), 0, -1):
        relation = reading.relation[:length]
        terms = tuple(term for term in reading.terms if term.stem not in relation)
        if not any(term.weight >= 0.5 for term in terms):
            continue
        names = names_for(relation, reading.subjects, statements)
        if names:
            told = [s for s in statements if not _only_names(s, names, relation, terms)]
            return replace(reading, terms=terms, subjects=names, relation=()), told
    return reading, statements


def _only_names(
    statement: Statement, names: frozenset[str], relation: tuple[str, ...], terms: tuple[Term, ...]
) -> bool:
    sentence = statement.sentence
    introduces = sentence.stems.issuperset(relation) and not names.isdisjoint(sentence.words)
    return introduces and all(term.stem not in sentence.stems for term in terms if term.weight >= 0.5)


def _by_time(reading: QuestionReading, found: Sequence[Evidence]) -> list[Evidence]:
    """Among statements that cover the question about equally well, put the right time first."""
    best = found[0].score
    close = [evidence for evidence in found if evidence.score >= _TIE * best]
    if reading.epoch == "current":
        close.sort(key=lambda evidence: -evidence.statement.told)
    elif reading.epoch in ("first", "last"):
        close.sort(key=lambda evidence: evidence.statement.happened, reverse=reading.epoch == "last")
    step = 0.03 if reading.epoch in ("current", "any", "previous") else 0.1
    ranked = (
        [replace(evidence, score=best * (1 - step * number)) for number, evidence in enumerate(close)]
        if reading.epoch in ("current", "first", "last")
        else close
    )
    return [*ranked, *found[len(close) :]]


def _closed_answer(reading: QuestionReading, found: Sequence[Evidence]) -> str:
    if reading.kind == "choice":
        text = " ".join(evidence.statement.sentence.text.lower() for evidence in found[:2])
        return next((option for option in reading.options if option.lower() in text), reading.options[0])
    negated = not found[0].statement.sentence.words.isdisjoint(lexicon.NEGATIONS)
    return "No" if negated else "Yes"


def _listed(answers: Sequence[_Answer]) -> str:
    """The good answers, one per statement, best first."""
    texts: list[str] = []
    used: set[int] = set()
    for answer in answers:
        line = id(answer.evidence.statement)
        if answer.score >= 0.6 * answers[0].score and line not in used and answer.text not in texts:
            texts.append(answer.text)
            used.add(line)
    return ", ".join(texts[:5])
