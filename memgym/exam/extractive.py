"""The extractive reader: answers with a span of the memory, by rules, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from memgym.exam.extraction import lexicon
from memgym.exam.extraction.questions import QuestionReading, read_question
from memgym.exam.extraction.sentences import tokenise
from memgym.exam.extraction.spans import Candidate, Scene, candidates
from memgym.exam.extraction.statements import Evidence, Statement, about, names_for, read_statements, search
from memgym.exam.extraction.intervals import days_between
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
        reading, who, statements = _meant(reading, statements)
        if reading.excluded and reading.kind not in ("yes_no", "choice"):
            reading, statements = _before_the_excluded(reading, statements)
        found = search(reading, statements, who)
        if not found or found[0].coverage < self.min_coverage:
            return ABSTENTION
        if reading.kind in ("yes_no", "choice"):
            return _closed_answer(reading, found)
        answers = self._answers(reading, statements, found)
        if not answers or answers[0].score < _MIN_SCORE:
            return ABSTENTION
        if reading.plural:
            return _listed(answers)
        return self._followed(reading, statements, who, answers[0]).text

    def _answers(
        self, reading: QuestionReading, statements: Sequence[Statement], found: Sequence[Evidence]
    ) -> list[_Answer]:
        """Spans of the best statements, best first."""
        people = reading.subjects | {s.sentence.speaker for s in statements if s.sentence.speaker}
        answers = []
        for evidence in _by_time(reading, found)[:_SEARCHED]:
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

    def _followed(
        self, reading: QuestionReading, statements: Sequence[Statement], who: frozenset[str], answer: _Answer
    ) -> _Answer:
        """The value that later statements put in the place of an answer: "I swapped the tram for a bike"."""
        if reading.kind not in ("thing", "place", "clock", "person", "number"):
            return answer
        for _ in range(_UPDATES):
            newer = [s for s in statements if s.told > answer.evidence.statement.told]
            change = next((update for s in newer if (update := self._change(reading, s, who, answer))), None)
            if change is None:
                return answer
            answer = change
        return answer

    def _change(
        self, reading: QuestionReading, statement: Statement, who: frozenset[str], answer: _Answer
    ) -> _Answer | None:
        """What a statement replaces the answer by; None when it does not call the answer outdated."""
        value = frozenset(token.stem for token in tokenise(answer.text) if token.kind in "wN#V")
        sentence = statement.sentence
        if not value or not value <= sentence.stems:
            return None
        at = tuple(index for index, token in enumerate(sentence.tokens) if token.stem in value)
        if who and about(who, sentence, at) < 0.8:
            return None
        evidence = Evidence(statement, at, answer.evidence.score, answer.evidence.coverage)
        spans = self._answers(replace(reading, excluded=value), [statement], [evidence])
        outdated = any(
            span.outdated and value == frozenset(t.stem for t in tokenise(span.text))
            for span in self._answers(reading, [statement], [evidence])
        )
        return next((span for span in spans if not span.outdated), None) if outdated else None


def _meant(
    reading: QuestionReading, statements: list[Statement]
) -> tuple[QuestionReading, frozenset[str], list[Statement]]:
    """Replace "Mara's sister" by the names that the memory gives her."""
    if not reading.relation:
        return reading, reading.subjects, statements
    names = names_for(reading.relation, reading.subjects, statements)
    if not names:
        return reading, reading.subjects, statements
    terms = tuple(term for term in reading.terms if term.stem not in reading.relation)
    told = [s for s in statements if not (s.sentence.stems.issuperset(reading.relation) and names & s.sentence.words)]
    return replace(reading, terms=terms, subjects=names, relation=()), names, told


def _before_the_excluded(
    reading: QuestionReading, statements: list[Statement]
) -> tuple[QuestionReading, list[Statement]]:
    """For "before Y": what the statement that brings Y calls outdated, else the value told last before it."""
    brings = [s for s in statements if s.sentence.stems >= reading.excluded]
    if not brings:
        return reading, statements
    first = min(brings, key=lambda statement: statement.told)
    older = [s for s in statements if s.told < first.told]
    return reading, [first, *older] if older else statements


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
