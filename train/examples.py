"""Supervised examples from a teacher's trajectories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.manager import MemoryManager
from memgym.envs.spaces import Observation
from memgym.envs.vector import MemoryVectorEnv
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
            text = self.student.write(decision.operations, observation)
            completion = tokenizer(text, add_special_tokens=False)["input_ids"]
            self.examples.append(Example(self.student.prompt_ids(observation), [*completion, tokenizer.eos_token_id]))
        return decisions


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
