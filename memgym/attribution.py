"""Which step answered which question: the exam's score, handed to the steps that wrote what it was answered from."""

from __future__ import annotations

from collections.abc import Sequence

from memgym.envs.vector import MemoryVectorEnv
from memgym.local_exams import AnswerWorth
from memgym.memory.journal import JournalRow
from memgym.replay import replay_steps
from memgym.rollout import Trajectory
from memgym.tasks.episode import Question

_CORE = 0  # entry id of the core, which every reader sees


def credit_by_step(env: MemoryVectorEnv, trajectory: Trajectory, worth: AnswerWorth) -> list[float]:
    """The mean worth of the exam's answers, divided among the steps of the trajectory.

    An answer's worth goes, in equal parts, to the steps that wrote the entries it was retrieved from, as far as these
    carry its evidence: the step that brought the evidence in, and the step that last wrote the text the reader saw. An
    answer that no step explains (a question without evidence, a lucky guess, an entry that was prepared before the
    first step) goes to all steps in equal parts.

    Args:
        env: The environment that the trajectory was recorded in; no episode of it may be running.
        trajectory: A finished one.
        worth: Of a question's answer.

    Returns:
        One value per step; with a metric's score as worth they add up to the exam's score.
    """
    count = len(trajectory.steps)
    replayed = replay_steps(env.envs[0], trajectory)
    prepared = len(next(replayed).journal())
    *_, bank = replayed
    writers = Writers(bank.journal(), prepared)
    questions = env.task.episode(trajectory.episode).questions
    credit = [0.0] * count
    for question, answer in zip(questions, trajectory.exam["answers"], strict=True):
        steps = writers.of(question, answer["retrieved"]) or range(count)
        for step in steps:
            credit[step] += worth(question, answer["prediction"]) / (len(questions) * len(steps))
    return credit


class Writers:
    """The steps behind each entry of a finished memory, read from its journal."""

    def __init__(self, journal: Sequence[JournalRow], prepared: int = 0) -> None:
        """Go through the journal in order.

        Args:
            journal: Of the memory.
            prepared: Rows at its start that are no step's work. What they brought in stays nobody's when a step
                rewrites it.
        """
        self._brought: dict[int, dict[str, int | None]] = {}  # entry id -> source -> step that brought it in
        self._written: dict[int, int] = {}  # entry id -> step that wrote its text
        for number, row in enumerate(journal):
            if row.after is not None:
                brought = self._brought.setdefault(row.after.id, {})
                for source in row.after.sources:
                    brought.setdefault(source, row.step if number >= prepared else None)
                self._written[row.after.id] = row.step
            elif row.before is not None:  # deleted; the core alone can be written again under its id
                self._brought.pop(row.before.id)

    def of(self, question: Question, retrieved: Sequence[int]) -> list[int]:
        """Steps that wrote the evidence of a question into what was retrieved for it, in order."""
        steps: set[int] = set()
        for entry in (_CORE, *retrieved):
            brought = self._brought.get(entry, {})
            found = {step for source in question.evidence if (step := brought.get(source)) is not None}
            if found:
                steps |= found | {self._written[entry]}
        return sorted(steps)
