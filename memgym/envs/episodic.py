"""What all environments share: episodes by seed or by index, and a step in parts that many can take together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import gymnasium
import numpy as np

from memgym.envs.spaces import Observation
from memgym.exam.exam import ExamResult
from memgym.memory.budget import Budget, TokenCounter
from memgym.tasks.episode import Episode
from memgym.tasks.task import Task

if TYPE_CHECKING:
    from memgym.rollout import Decision

Act = TypeVar("Act")


class StepDone(Protocol):
    """What one step did, before any exam."""

    @property
    def finished(self) -> bool:
        """Whether the episode is over and its exam is due."""
        ...


class Named(Protocol):
    """Whoever answers, as far as records are concerned."""

    @property
    def name(self) -> str:
        """Name written to records."""
        ...


class Grader(Protocol):
    """Grades many finished episodes in one call; ``memgym.exam.exam.Exam`` is one."""

    @property
    def reader(self) -> Named:
        """Who answers the questions."""
        ...

    def grade(self, papers: Sequence[Any]) -> list[ExamResult]:
        """One result per paper, in order."""
        ...


class Reward(Protocol):
    """Named terms and how they are weighed; ``memgym.rewards.Recipe`` is one."""

    @property
    def name(self) -> str:
        """Name written to records."""
        ...

    @property
    def step_terms(self) -> Mapping[str, Any]:
        """Terms that every step has, by name."""
        ...

    @property
    def episode_terms(self) -> Mapping[str, Any]:
        """Terms that the last step has, by name."""
        ...

    def total(self, terms: Mapping[str, float]) -> float:
        """Weighted sum of the terms given."""
        ...


class Settings(Protocol):
    """What is asked of the settings of every environment."""

    @property
    def count_tokens(self) -> TokenCounter:
        """The unit in which memory and stream are measured."""
        ...

    def make_budget(self) -> Budget:
        """The token limits of the memory."""
        ...

    def in_effect(self) -> Mapping[str, Any]:
        """Every setting as it takes effect, for records."""
        ...


class EpisodicEnv(gymnasium.Env[Observation, Act], ABC):
    """Episodes of a task, graded at their end.

    A subclass sets `task`, `exam`, `recipe`, `config` and its spaces, and implements the parts of a step: `begin`,
    `advance`, `paper`, `conclude`, `observation`, `info` and `action_of`. A vector environment runs these for many
    episodes at once.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012 - declared by gymnasium.Env
    task: Task
    exam: Grader
    recipe: Reward
    config: Settings
    episode: Episode | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode: `options={"episode": index}` names it, otherwise the seed draws it."""
        super().reset(seed=seed)
        options = options or {}
        if unknown := sorted(set(options) - {"episode"}):
            raise ValueError(f"reset option {unknown[0]!r} is unknown: expected 'episode'")
        index = options.get("episode")
        if index is not None and (isinstance(index, bool) or not isinstance(index, int | np.integer)):
            raise ValueError(f"reset option 'episode'={index!r}: expected the index of an episode, a whole number")
        self.begin(self.task.sample(self.np_random) if index is None else self.task.episode(int(index)))
        return self.observation(), self.info()

    def step(self, action: Act) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Carry out the action; at the end of the episode, hold the exam."""
        report = self.advance(action)
        exam = self.exam.grade([self.paper()])[0] if report.finished else None
        reward, info = self.conclude(report, exam)
        return self.observation(), reward, report.finished, False, info

    @abstractmethod
    def begin(self, episode: Episode) -> None:
        """Start ``episode``."""

    @abstractmethod
    def advance(self, action: Act) -> StepDone:
        """Carry out one step's action."""

    @abstractmethod
    def paper(self) -> Any:
        """What the finished episode hands in for its exam."""

    @abstractmethod
    def conclude(self, report: Any, exam: ExamResult | None) -> tuple[float, dict[str, Any]]:
        """Reward and info of a step, given the exam's result if there was one."""

    @abstractmethod
    def observation(self) -> Observation:
        """The current observation; new objects each time."""

    @abstractmethod
    def info(self) -> dict[str, Any]:
        """The info of an episode that has just begun; new objects each time."""

    @abstractmethod
    def action_of(self, decision: Decision) -> Act:
        """The part of a policy's decision that is this environment's action."""

    def _running_episode(self) -> Episode:
        if self.episode is None:
            raise gymnasium.error.ResetNeeded("call reset() first: no episode is running")
        return self.episode


def check_render_mode(render_mode: str | None) -> str | None:
    """The render mode, if there is such a one.

    Raises:
        ValueError: There is none.
    """
    if render_mode not in (None, *EpisodicEnv.metadata["render_modes"]):
        raise ValueError(f"render_mode={render_mode!r}: expected None or 'ansi'")
    return render_mode
