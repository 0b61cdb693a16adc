"""The exam: bank + questions + reader -> graded answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

from memgym.exam.metrics import score
from memgym.exam.reader import Reader, ReadingTask
from memgym.exam.retrieval_metrics import evidence_recall
from memgym.memory.bank import MemoryBank
from memgym.memory.budget import count_lexical_tokens, first_lexical_tokens
from memgym.memory.operations import ENTRY_STORES, Entry
from memgym.tasks.episode import Chunk, Question
from memgym.tasks.shares import SpeakerShares, in_turn
from memgym.tasks.speakers import Speakers

ExamContext = Literal["memory", "stream"]
_Retriever = Callable[[str], Sequence[Entry]]


@dataclass(frozen=True, slots=True)
class Paper:
    """What one episode hands in."""

    bank: MemoryBank
    questions: tuple[Question, ...]
    chunks: tuple[Chunk, ...] = ()  # read only with ``context="stream"``; ``per_speaker`` needs their speakers


@dataclass(frozen=True, slots=True)
class GradedAnswer:
    """One answered question."""

    question_id: str
    category: str
    question: str
    answers: tuple[str, ...]
    prediction: str
    metric: str
    score: float  # in [0, 1]
    retrieved: tuple[int, ...]  # entry ids, best first
    evidence_recall: float | None  # None: the question names no evidence
    context_tokens: int  # lexical tokens the reader was given

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self) | {"answers": list(self.answers), "retrieved": list(self.retrieved)}


@dataclass(frozen=True, slots=True)
class ExamResult:
    """All graded answers of one episode."""

    answers: tuple[GradedAnswer, ...]

    @property
    def score(self) -> float:
        """Mean score over the questions; 0 for an exam without questions."""
        return sum(answer.score for answer in self.answers) / len(self.answers) if self.answers else 0.0


@dataclass(frozen=True, slots=True)
class Exam:
    """Grades memory by question answering.

    For each question the ``k`` best entries of every store (by the bank's own search for the question) are merged
    by score and cut, after the core, at ``context_tokens``; the reader answers from these alone. A core that is longer
    by itself is cut too. All questions of all papers form one batch.

    Args:
        reader: Answers the questions.
        k: Entries retrieved per store. Mem-alpha uses 20 (arXiv 2509.25911, section 3).
        context_tokens: Limit of core plus entries, in lexical tokens; the reader's own window applies as well.
        context: "memory" is the exam proper. "stream" hands the reader the chunks instead of the memory, newest turn
            first, as many as fit: the full-context reference.
        per_speaker: Retrieve ``k`` entries of both stores together, shared equally among the speakers of the paper's
            chunks (``memgym.tasks.shares``), the best of each speaker in turn. Memory-R1 takes 30 of each of two, which
            is k = 60 (arXiv 2508.19828).
    """

    reader: Reader
    k: int = 20
    context_tokens: int = 2000  # lexical tokens
    context: ExamContext = "memory"
    per_speaker: bool = False

    def __post_init__(self) -> None:
        if self.k < 1 or self.context_tokens < 1:
            raise ValueError(f"exam k={self.k}, context_tokens={self.context_tokens}: both must be at least 1")
        if self.context not in ("memory", "stream"):
            raise ValueError(f"exam context={self.context!r}: expected 'memory' or 'stream'")

    def grade(self, papers: Sequence[Paper]) -> list[ExamResult]:
        """Answer and score every question of every paper, in one reader call.

        Returns:
            One result per paper, in order.
        """
        tasks = [task for paper in papers for task in self._reading_tasks(paper)]
        predictions = self.reader.answer(tasks) if tasks else []
        if len(predictions) != len(tasks):
            raise ValueError(f"reader {self.reader.name!r} gave {len(predictions)} answers to {len(tasks)} questions")
        graded = iter(zip(tasks, predictions, strict=True))
        return [ExamResult(tuple(_grade(question, *next(graded)) for question in paper.questions)) for paper in papers]

    def _reading_tasks(self, paper: Paper) -> list[ReadingTask]:
        if self.context == "memory":
            paper.bank.prepare([question.text for question in paper.questions])
        retrieve = self._retriever(paper)
        return [self._reading_task(paper.bank, question, retrieve) for question in paper.questions]

    def reading_task(self, paper: Paper, question: Question) -> ReadingTask:
        """The question with what the reader may see for it."""
        return self._reading_task(paper.bank, question, self._retriever(paper))

    def _reading_task(self, bank: MemoryBank, question: Question, retrieve: _Retriever) -> ReadingTask:
        limit = min(self.context_tokens, self.reader.window)
        core = first_lexical_tokens(bank.core, limit) if self.context == "memory" else ""
        context = _fit(retrieve(question.text), limit - count_lexical_tokens(core))
        return ReadingTask(question.text, core, context, question.timestamp)

    def _retriever(self, paper: Paper) -> _Retriever:
        """What the reader may see for a question, best first."""
        if self.context == "stream":
            newest_first = _stream_entries(paper.chunks)
            return lambda query: newest_first
        if not self.per_speaker:
            return partial(self._retrieve, paper.bank)
        shares = SpeakerShares(paper.bank, Speakers([turn for chunk in paper.chunks for turn in chunk.turns]))
        return lambda query: in_turn(shares.retrieve(query, self.k))

    def _retrieve(self, bank: MemoryBank, query: str) -> list[Entry]:
        found = [pair for store in ENTRY_STORES for pair in bank.search_scored(query, store=store, k=self.k)]
        return [entry for entry, _ in sorted(found, key=lambda pair: (-pair[1], pair[0].id))]


def _stream_entries(chunks: Sequence[Chunk]) -> list[Entry]:
    turns = [(chunk.index, turn) for chunk in chunks for turn in chunk.turns]
    return [
        Entry(number, "episodic", turn.line, turn.timestamp, (turn.id,), index, index)
        for number, (index, turn) in reversed(list(enumerate(turns, start=1)))
    ]


def _fit(entries: Sequence[Entry], tokens: int) -> tuple[Entry, ...]:
    """The longest prefix of ``entries`` that fits, so that a lower rank never displaces a higher one."""
    kept = []
    for entry in entries:
        tokens -= count_lexical_tokens(entry.text)
        if tokens < 0:
            break
        kept.append(entry)
    return tuple(kept)


def _grade(question: Question, task: ReadingTask, prediction: str) -> GradedAnswer:
    sources = [source for entry in task.context for source in entry.sources]
    return GradedAnswer(
        question_id=question.id,
        category=question.category,
        question=question.text,
        answers=question.answers,
        prediction=prediction,
        metric=question.metric,
        score=score(question.metric, prediction, question.answers),
        retrieved=tuple(entry.id for entry in task.context),
        evidence_recall=evidence_recall(sources, question.evidence),
        context_tokens=count_lexical_tokens(task.core) + sum(count_lexical_tokens(e.text) for e in task.context),
    )
