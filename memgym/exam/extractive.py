"""The extractive reader: answers with a span of the memory, by rules, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from memgym.exam.extraction import lexicon
from memgym.exam.extraction.intervals import days_between
from memgym.exam.extraction.people import about, names_for
from memgym.exam.extraction.questions import QuestionReading, Term, read_question
from memgym.exam.extraction.sentences import tokenise
from memgym.exam.extraction.spans import Scene, candidates, is_outdated
from memgym.exam.extraction.statements import Evidence, Statement, find_anchors, read_statements, search
from memgym.exam.reader import ABSTENTION, ReadingTask

_SEARCHED = 6  # statements searched for spans
_TIE = 0.9  # statements this close to the best are told apart by time
_LATER = 0.05  # what each place in that order costs
_FLOOR = 0.15  # coverage granted to every statement when the reader must answer
_SAME_PERSON = 0.8  # least share of "about the person" for a statement to change a value
_UPDATES = 4  # changes of one value that are followed
_LISTED = 5  # parts of an answer to "What hobbies ...?"


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
        loose_dates: leave weekdays and counted weeks relative ("The Sunday before 25 May 2021"), as LoCoMo's golds do;
            else they become days ("23 May 2021").
        window: longest context it is given, in lexical tokens.

    Raises:
        ValueError: ``min_coverage`` or ``window`` out of range.
    """

    min_coverage: float = 0.38
    loose_dates: bool = False
    window: int = 1_000_000  # lexical tokens

    def __post_init__(self) -> None:
        if not 0.0 <= self.min_coverage <= 1.0:
            raise ValueError(f"min_coverage={self.min_coverage}: expected a share in [0, 1]")
        if self.window < 1:
            raise ValueError(f"window={self.window}: expected at least 1 lexical token")

    @property
    def name(self) -> str:
        """Name written to records."""
        return f"extractive-1(min_coverage={self.min_coverage:g}, loose_dates={self.loose_dates})"

    def answer(self, tasks: Sequence[ReadingTask]) -> list[str]:
        """Answer every task, in order; ``ABSTENTION`` where the memory does not hold the answer."""
        return [self._answer(read_question(task.question), read_statements(task)) or ABSTENTION for task in tasks]

    def _answer(self, reading: QuestionReading, statements: list[Statement]) -> str:
        """The answer, "" for none."""
        if reading.kind == "interval":
            return days_between(reading.text, statements, self.min_coverage)
        reading, statements = _meant(reading, statements)
        if reading.excluded and reading.epoch == "previous":
            replaced, reading, statements = self._before(reading, statements)
            if replaced:
                return replaced
        found = search(reading, statements, 0.0 if self.min_coverage else _FLOOR)
        if not found or found[0].coverage < self.min_coverage:
            return ""
        if reading.kind in ("yes_no", "choice"):
            return _closed_answer(reading, found)
        ranked = _by_time(reading, found)
        if ranked[0].statement.retracts:
            return ""
        answers = self._answers(reading, statements, ranked[:_SEARCHED])
        if not answers:
            return ""
        return _listed(answers) if reading.plural else self._followed(reading, statements, answers[0]).text

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
                anchors=evidence.anchors,
                people=people,
                previous=reading.epoch == "previous",
                loose_dates=self.loose_dates,
            )
            for span in candidates(reading, scene):
                answers.append(_Answer(span.text, span.score * evidence.score, evidence, span.outdated))
        return sorted(answers, key=lambda answer: -answer.score)

    # --- values that change ---

    def _before(
        self, reading: QuestionReading, statements: list[Statement]
    ) -> tuple[str, QuestionReading, list[Statement]]:
        """For "before Y": what the statement that brings Y calls outdated, else ask for the value of that time."""
        brings = [s for s in statements if _mentioned(reading, s, reading.excluded)]
        if not brings:
            return "", reading, statements
        change = min(brings, key=lambda statement: statement.told)
        for statement in (s for s in statements if s.turn == change.turn):
            evidence = Evidence(statement, find_anchors(reading, statement.sentence), 1.0, 1.0)
            spans = self._answers(reading, statements, [evidence])
            outdated = next((span.text for span in spans if span.outdated), "")
            if outdated:
                return outdated, reading, statements
        return "", replace(reading, epoch="current"), [s for s in statements if s.told < change.told]

    def _followed(self, reading: QuestionReading, statements: Sequence[Statement], answer: _Answer) -> _Answer:
        """The value that later statements put in the place of an answer: "I swapped the tram for a bike"."""
        if reading.kind not in ("thing", "place", "clock", "person", "number") or reading.epoch == "previous":
            return answer
        for _ in range(_UPDATES):
            value = frozenset(token.stem for token in tokenise(answer.text) if token.kind in "wN#V")
            newer = [s for s in statements if s.told > answer.evidence.statement.told]
            change = next((update for s in newer if (update := self._change(reading, s, answer, value))), None)
            if change is None:
                break
            answer = change
        return answer

    def _change(
        self, reading: QuestionReading, statement: Statement, answer: _Answer, value: frozenset[str]
    ) -> _Answer | None:
        """What a statement replaces the answer by; None when it does not call the answer outdated."""
        at = _mentioned(reading, statement, value)
        if not at or not is_outdated(statement.sentence, statement.sentence.tokens[at[0]].start):
            return None
        evidence = Evidence(statement, at, answer.evidence.score, answer.evidence.coverage)
        spans = self._answers(replace(reading, excluded=value), [statement], [evidence])
        return next((span for span in spans if not span.outdated), None)


def _mentioned(reading: QuestionReading, statement: Statement, value: frozenset[str]) -> tuple[int, ...]:
    """Tokens of a value in a statement about the person asked for; empty where the statement does not hold it."""
    sentence = statement.sentence
    if not value or not value <= sentence.stems:
        return ()
    at = tuple(index for index, token in enumerate(sentence.tokens) if token.stem in value)
    return at if about(reading, sentence, at) >= _SAME_PERSON else ()


def _meant(reading: QuestionReading, statements: list[Statement]) -> tuple[QuestionReading, list[Statement]]:
    """Replace "Mara's sister" by the names that the memory gives her, where more than the name is asked for."""
    stems = frozenset(map(lexicon.stem_of, reading.relation))
    terms = tuple(term for term in reading.terms if term.stem not in stems)
    if not stems or all(term.light for term in terms):
        return replace(reading, relation=()), statements
    names = names_for(reading.relation, reading.subjects, (s.sentence for s in statements))
    if not names:
        return reading, statements
    told = [s for s in statements if not _only_names(s, names, stems, terms)]
    return replace(reading, terms=terms, subjects=names, relation=()), told


def _only_names(statement: Statement, names: frozenset[str], relation: frozenset[str], terms: tuple[Term, ...]) -> bool:
    sentence = statement.sentence
    introduces = sentence.stems >= relation and not names.isdisjoint(sentence.words)
    return introduces and all(term.light or term.stem not in sentence.stems for term in terms)


def _by_time(reading: QuestionReading, found: Sequence[Evidence]) -> list[Evidence]:
    """Among statements that cover the question about equally well, put the right time first."""
    if reading.epoch == "previous":
        return list(found)
    best = found[0].score
    tie = 1.0 if reading.epoch == "any" else _TIE
    close = [evidence for evidence in found if evidence.score >= tie * best]
    if reading.epoch in ("any", "current"):
        close.sort(key=lambda evidence: evidence.statement.told, reverse=True)
    else:
        close.sort(key=lambda evidence: evidence.statement.happened, reverse=reading.epoch == "last")
    ranked = [replace(evidence, score=best * (1 - _LATER * place)) for place, evidence in enumerate(close)]
    return [*ranked, *found[len(close) :]]


def _closed_answer(reading: QuestionReading, found: Sequence[Evidence]) -> str:
    """Yes, no, or one of the options of the question."""
    if reading.kind == "choice":
        text = " ".join(evidence.statement.sentence.text.lower() for evidence in found[:2])
        return next((option for option in reading.options if option.lower() in text), reading.options[0])
    return "Yes" if found[0].statement.sentence.words.isdisjoint(lexicon.NEGATIONS) else "No"


def _listed(answers: Sequence[_Answer]) -> str:
    """The good answers, one per statement, best first."""
    texts: dict[str, Statement] = {}
    for answer in answers:
        statement = answer.evidence.statement
        if answer.score >= 0.6 * answers[0].score and statement not in texts.values():
            texts.setdefault(answer.text, statement)
    return ", ".join(list(texts)[:_LISTED])
