"""A memory environment that works on a bank of its own, for as long as there is something to read."""

from __future__ import annotations

from os import PathLike
from typing import Any

from memgym.envs.memory import MemoryEnv
from memgym.exam.exam import Paper
from memgym.exam.reader import ReadingTask
from memgym.memory.bank import MemoryBank
from memgym.memory.operations import OperationResult
from memgym.rollout import Policy
from memgym.tasks.episode import Chunk, Episode, Question
from memgym.tasks.task import EpisodeList

_NAME = "live"


class LiveEnv(MemoryEnv):
    """Keeps one bank from reading to reading, and grades nothing.

    Observations and operations are those of ``MemoryEnv``, and questions are looked up as its exam does. So with the
    settings of its training, which ``agents.assistant`` finds beside an adapter, an agent sees and does what it saw and
    did there. It does not know who said what, which ``per_speaker`` would need.

    Attributes:
        kept: The bank.
    """

    def __init__(self, path: str | PathLike[str], **config: Any) -> None:
        """Open the bank.

        Args:
            path: Of the bank's file, or ":memory:".
            config: Fields of ``memgym.envs.memory.EnvConfig``.

        Raises:
            ValueError: The file is no bank, or is open elsewhere; or a field has no such value.
        """
        super().__init__(EpisodeList(_NAME, [_reading(())]), **config)
        if self.config.per_speaker:
            raise ValueError("per_speaker=True: a memory that is kept does not know its speakers: leave it out")
        self.kept = self.config.make_bank(path)

    def read(self, policy: Policy, chunks: tuple[Chunk, ...]) -> list[OperationResult]:
        """Let the policy read some chunks, at least one; what its operations did, in order."""
        self.begin(_reading(chunks))
        results: list[OperationResult] = []
        finished = False
        while not finished:
            (decision,) = policy.act([self.observation()], [0])
            report = self.advance(decision.operations)
            results += report.outcome.results
            finished = report.finished
        return results

    def look_up(self, question: str, timestamp: str = "") -> ReadingTask:
        """The question with what an exam would hand the reader for it."""
        asked = Question(id=_NAME, text=question, answers=("",), category="", timestamp=timestamp)
        return self.exam.reading_task(Paper(self.kept, ()), asked)

    def next_step(self) -> int:
        """The number of the next step, one more than the journal's last."""
        return self.kept.step + 1

    def begin(self, episode: Episode) -> None:
        """Start reading, with the memory as it is."""
        self.bank = None  # which the parent would close
        super().begin(episode)
        self._steps = self.next_step()

    def open_bank(self, episode: Episode) -> MemoryBank:
        """The one that is kept."""
        return self.kept

    def close(self) -> None:
        """Let go of the bank of the reading; ``kept`` stays open."""
        self.bank = None


def _reading(chunks: tuple[Chunk, ...]) -> Episode:
    return Episode(_NAME, _NAME, "test", chunks, ())
