"""Supervised examples from a teacher's trajectories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agents.manager import MemoryManager
from memgym.envs.spaces import Observation
from memgym.envs.vector import MemoryVectorEnv
from memgym.memory.operations import Operation
from memgym.replay import ReplayPolicy, recorded_episode
from memgym.rollout import Decision, Trajectory, rollout


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
        decisions = super().act(observations, episodes)
        tokenizer = self.student.backbone.tokenizer
        for observation, decision in zip(observations, decisions, strict=True):
            operations = decision.operations
            if self.student.style == "quote":
                operations = quote_lines(operations, observation["chunk"])
            text = self.student.codec.render(operations)
            completion = tokenizer(text, add_special_tokens=False)["input_ids"]
            self.examples.append(Example(self.student.prompt_ids(observation), [*completion, tokenizer.eos_token_id]))
        return decisions


def quote_lines(operations: Sequence[Operation], chunk: str) -> tuple[Operation, ...]:
    """The operations, with inserts that copy a line of the chunk written as quotes of it."""
    numbers = {line: number for number, line in enumerate(chunk.split("\n"), start=1)}
    return tuple(
        replace(operation, text="", quote=numbers[operation.text])
        if operation.kind == "insert" and operation.text in numbers
        else operation
        for operation in operations
    )


def examples_from(env: MemoryVectorEnv, student: MemoryManager, teacher: Sequence[Trajectory]) -> list[Example]:
    """Replay the teacher's operations in the student's environment; every step becomes one example.

    The teacher may have seen more than the student does (its ``env_overrides``); the prompts are the student's.

    Raises:
        ValueError: The trajectories are not of this environment's episodes.
    """
    examples: list[Example] = []
    for trajectory in teacher:
        recorded_episode(env.task, trajectory)
        rollout(env, _Scribe(trajectory, student, examples), [trajectory.episode])
    return examples
