"""A teacher at work: what it is asked and replies, as samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from agents.fact_pipeline import ExtractRequest, FactPipeline, Reply, UpdateRequest
from agents.facts import read_facts
from agents.memlora import OPERATIONS
from memgym.envs.vector import MemoryVectorEnv
from memgym.exam.reader import ReadingTask
from memgym.memory.provenance import attribute_sources
from memgym.rollout import Trajectory, rollout
from train.calls import CallLog, RecordedTeacher
from train.cleaning import Cleaner, Lesson
from train.distilled import Sample
from train.teachers import RuleTeacher

Call = tuple[ExtractRequest | UpdateRequest, Reply]


class GoldReader:
    """Reader of a teacher that gives the gold answers: the exam is only there to retrieve."""

    name = "gold"
    window = 1 << 20  # lexical tokens; the exam's own limit applies

    def answer(self, tasks: Sequence[ReadingTask]) -> list[str]:
        """Nothing."""
        return [""] * len(tasks)


class TeacherLog:
    """Runs a teacher and keeps the samples that its calls make, by operation."""

    def __init__(self, env: MemoryVectorEnv, teacher: FactPipeline, cleaner: Cleaner, calls: CallLog) -> None:
        """Create an empty log.

        Args:
            env: Where the teacher is run, with its ``env_overrides`` and its reader.
            teacher: Asked only for what ``calls`` does not hold.
            cleaner: Makes samples of calls.
            calls: The calls as they are, with those of an earlier run.
        """
        self.env = env
        self.teacher = teacher
        self.cleaner = cleaner
        self.samples: dict[str, list[Sample]] = {operation: [] for operation in OPERATIONS}
        self._calls: list[Call] = []
        self._policy = RecordedTeacher(teacher, calls)
        self._policy.listener = lambda request, reply: self._calls.append((request, reply))

    def run(self, episodes: Sequence[int]) -> None:
        """Let the teacher go through some episodes, at most ``env.num_envs``."""
        self._calls.clear()
        trajectories = rollout(self.env, self._policy, episodes)
        for request, reply in self._calls:
            self._log_call(request, reply)
        for number, trajectory in enumerate(trajectories):
            self._log_exam(number, trajectory)

    def _log_call(self, request: ExtractRequest | UpdateRequest, reply: Reply) -> None:
        if isinstance(request, ExtractRequest):
            self.cleaner.count("extract", "calls")
            lesson = self.cleaner.extract(request, reply)
            self._add_call("extract", request, lesson, read_facts(lesson.completion) if lesson else [])
        else:
            self.cleaner.count("update", "calls")
            self._add_call("update", request, self.cleaner.update(request, reply), [request.fact])

    def _add_call(
        self, operation: str, request: ExtractRequest | UpdateRequest, lesson: Lesson | None, facts: Sequence[str]
    ) -> None:
        if lesson is not None:
            turns = [id_ for fact in facts for id_ in self._turns(request, fact)]
            self._add(operation, request.episode, request.index, lesson, turns)

    def _log_exam(self, number: int, trajectory: Trajectory) -> None:
        """The exam as it was sat: the memory is as it was then until the environment begins another episode."""
        paper = self.env.envs[number].paper()
        knows_gold = isinstance(self.env.exam.reader, GoldReader)
        for question, graded in zip(paper.questions, trajectory.exam["answers"], strict=True):
            task = self.env.exam.reading_task(paper, question)
            self.cleaner.count("answer", "calls")
            lesson = self.cleaner.answer(task, question, None if knows_gold else graded["prediction"])
            if lesson is not None:
                turns = [id_ for entry in task.context for id_ in entry.sources]
                self._add("answer", trajectory.episode, len(paper.chunks) - 1, lesson, turns)

    def _turns(self, request: ExtractRequest | UpdateRequest, fact: str) -> tuple[str, ...]:
        if isinstance(self.teacher, RuleTeacher):
            return self.teacher.turn_ids(request, fact)
        return attribute_sources(fact, self.env.task.episode(request.episode).chunks[request.index].turns)

    def _add(self, operation: str, index: int, chunk: int, lesson: Lesson, turns: Sequence[str]) -> None:
        episode = self.env.task.episode(index)
        self.samples[operation].append(
            Sample(
                operation=operation,
                conversation=episode.id,
                split=episode.split,
                chunk=chunk,
                **asdict(lesson),
                turns=tuple(dict.fromkeys(turns)),
                teacher=self.teacher.name,
            )
        )
