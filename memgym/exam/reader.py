"""What a reader is: the part of an exam that answers questions from memory alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from memgym.exam.metrics import scored_golds
from memgym.memory.operations import Entry
from memgym.tasks.episode import Question

ABSTENTION = "No information available"
"""The answer to give when the memory does not hold one; the ``abstain`` and ``locomo_5`` metrics recognise it."""


def gold_answers(question: Question) -> tuple[str, ...]:
    """What a right answer says: what is scored of each gold, or that the memory does not hold one."""
    return scored_golds(question.metric, question.answers) if question.answerable else (ABSTENTION,)


@dataclass(frozen=True, slots=True)
class ReadingTask:
    """One question with what memory gives for it."""

    question: str
    core: str
    context: tuple[Entry, ...]  # retrieved entries, best first
    timestamp: str = ""  # when the question is asked (ISO 8601); "" means unknown


@runtime_checkable
class Reader(Protocol):
    """Answers questions in batches. It never sees the stream, only what the memory holds."""

    @property
    def name(self) -> str:
        """Name written to records; it changes whenever answers may change."""
        ...

    @property
    def window(self) -> int:
        """Longest context it can take, in lexical tokens (``count_lexical_tokens``)."""
        ...

    def answer(self, tasks: Sequence[ReadingTask]) -> list[str]:
        """Answer every task, in order; ``ABSTENTION`` where the memory does not hold the answer."""
        ...
