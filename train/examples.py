"""Supervised examples from a teacher's trajectories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from agents.answerer import AnswerAgent
from agents.manager import MemoryManager
from memgym.envs.spaces import Observation
from memgym.envs.vector import MemoryVectorEnv
from memgym.exam.reader import ReadingTask, gold_answers
from memgym.memory.codecs import MemoryR1Codec
from memgym.memory.operations import ENTRY_STORES
from memgym.replay import ReplayPolicy, recorded_episode
from memgym.rollout import Decision, Policy, Trajectory, rollout
from memgym.tasks.episode import Question


@dataclass(frozen=True, slots=True)
class Example:
    """One turn to imitate."""

    prompt_ids: list[int]
    completion_ids: list[int]  # ends with the end token


class _Scribe(ReplayPolicy):
    """Acts out a teacher's trajectory and notes what the student would have read and should have written."""

    def __init__(self, trajectory: Trajectory, student: MemoryManager, examples: list[Example]) -> None:
        super().__init__(trajectory)
        self.student = student
        self.examples = examples

    def act(self, observations: Sequence[Observation], episodes: Sequence[int]) -> list[Decision]:
        decisions = [self._in_students_stores(decision) for decision in super().act(observations, episodes)]
        tokenizer = self.student.backbone.tokenizer
        for observation, decision in zip(observations, decisions, strict=True):
            text = self.student.write(decision.operations, observation)
            completion = tokenizer(text, add_special_tokens=False)["input_ids"]
            self.examples.append(Example(self.student.prompt_ids(observation), [*completion, tokenizer.eos_token_id]))
        return decisions

    def _in_students_stores(self, decision: Decision) -> Decision:
        """The decision with entries in the one store that the student's codec knows, if it knows only one."""
        codec = self.student.codec
        if not isinstance(codec, MemoryR1Codec):
            return decision
        operations = (
            replace(operation, store=codec.store) if operation.store in ENTRY_STORES else operation
            for operation in decision.operations
        )
        return replace(decision, operations=tuple(operations))


def examples_from(env: MemoryVectorEnv, student: MemoryManager, teacher: Sequence[Trajectory]) -> list[Example]:
    """Replay the teacher's operations in the student's environment; every step becomes one example.

    The teacher may have seen more than the student does (its ``env_overrides``); the prompts are the student's. Where
    the student's codec knows one store only, that is where the teacher's entries go.

    Raises:
        ValueError: The trajectories are not of this environment's episodes.
    """
    examples: list[Example] = []
    for trajectory in teacher:
        recorded_episode(env.task, trajectory)
        rollout(env, _Scribe(trajectory, student, examples), [trajectory.episode])
    return examples


class ExamScribe:
    """A reader that answers nothing and keeps what it was asked: the exam's own prompts for an Answer Agent."""

    name = "scribe"

    def __init__(self, window: int) -> None:
        """Take contexts of up to ``window`` lexical tokens, as the student will."""
        self.window = window
        self.asked: list[ReadingTask] = []

    def answer(self, tasks: Sequence[ReadingTask]) -> list[str]:
        """Keep the tasks."""
        self.asked += tasks
        return [""] * len(tasks)


def answer_examples(
    env: MemoryVectorEnv, scribe: ExamScribe, student: AnswerAgent, policy: Policy, episodes: Sequence[int]
) -> list[Example]:
    """The exam as the student would sit it after ``policy`` has filled the memory; its gold answers to imitate.

    Args:
        env: Examined by ``scribe``.
        scribe: The environment's reader.
        student: Renders the prompts.
        policy: Fills the memory.
        episodes: Indices in the task.
    """
    tokenizer = student.backbone.tokenizer
    examples = []
    for index in episodes:
        scribe.asked.clear()
        rollout(env, policy, [index])
        episode = env.task.episode(index)
        speakers = {turn.id: turn.speaker for turn in episode.turns}
        for task, question in zip(scribe.asked, episode.questions, strict=True):
            reply = _reply_to_imitate(student, task, question, speakers)
            completion = tokenizer(reply, add_special_tokens=False)["input_ids"]
            examples.append(Example(student.prompt_ids(task), [*completion, tokenizer.eos_token_id]))
    return examples


def _reply_to_imitate(student: AnswerAgent, task: ReadingTask, question: Question, speakers: Mapping[str, str]) -> str:
    """The gold answer; useful are the memories that hold some of the question's evidence."""
    useful = [entry.id for entry in task.context if not set(entry.sources).isdisjoint(question.evidence)]
    said = {entry.id: speakers[entry.sources[0]] for entry in task.context if entry.sources}
    return student.write(gold_answers(question)[0], task, useful, said)
