"""N episodes in lockstep, with one batched exam for all that end together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, iterate

from memgym.envs.episodic import EpisodicEnv
from memgym.envs.spaces import Observation

if TYPE_CHECKING:
    from memgym.rollout import Decision

BatchObservation = dict[str, Any]
Env = TypeVar("Env", bound=EpisodicEnv[Any])


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step of one episode gave."""

    reward: float
    finished: bool
    info: dict[str, Any]


class MemoryVectorEnv(VectorEnv[BatchObservation, Sequence[Any], np.ndarray], Generic[Env]):
    """Steps N environments of memgym together.

    Observations are those of the single environment, batched: text and sequences become tuples of length N, arrays gain
    a first axis of length N. Actions are a sequence of N actions, or a batch from `action_space`. Every exam that falls
    due in a step is answered in one call of the reader.

    Autoreset follows Gymnasium 1.4. NEXT_STEP: the step after an episode's end resets it and ignores its action.
    SAME_STEP: the ended episode is reset at once, its last observation and info are in `infos["final_obs"]` and
    `infos["final_info"]`. DISABLED: nothing is reset; `reset(options={"reset_mask": mask})` resets some, and until
    then the action of an ended episode must be None.

    `reset(options={"episodes": [i, ...]})` names the task's episodes, one per environment.
    """

    def __init__(self, env: Env, num_envs: int, autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP) -> None:
        """Create the vector environment.

        Args:
            env: A template; its task, exam and settings are shared by all.
            num_envs: Number of episodes run together.
            autoreset_mode: What happens when an episode ends.
        """
        if num_envs < 1:
            raise ValueError(f"num_envs={num_envs}: expected at least 1")
        super().__init__()
        self.envs: list[Env] = [env, *(_twin(env) for _ in range(num_envs - 1))]
        self.num_envs = num_envs
        self.exam: Any = env.exam  # the grader of the environments' own kind
        self.task = env.task
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**env.metadata, "autoreset_mode": self.autoreset_mode}
        self.render_mode = env.render_mode
        self.single_observation_space = env.observation_space
        self.single_action_space = env.action_space
        self.observation_space = batch_space(env.observation_space, num_envs)
        self.action_space = batch_space(env.action_space, num_envs)
        self._ended = np.zeros(num_envs, dtype=np.bool_)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[BatchObservation, dict[str, Any]]:
        """Reset all environments, or those of `options["reset_mask"]`; an int seed gives seed, seed + 1, ..."""
        options = dict(options or {})
        mask = self._reset_mask(options.pop("reset_mask", None))
        seeds = self._seeds(seed)
        episodes = options.pop("episodes", None)
        if episodes is not None and len(episodes) != self.num_envs:
            raise ValueError(f"options['episodes'] names {len(episodes)} episodes for {self.num_envs} environments")
        infos: dict[str, Any] = {}
        for index in _true_indices(mask):
            choice = options if episodes is None else {**options, "episode": episodes[index]}
            _, info = self.envs[index].reset(seed=seeds[index], options=choice)
            infos = self._add_info(infos, info, index)
        self._ended[mask] = False
        return self._observations(), infos

    def step(
        self, actions: Sequence[Any]
    ) -> tuple[BatchObservation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Advance every running episode by one step and hold the exams that fall due."""
        batch = list(actions if isinstance(actions, list | tuple) else iterate(self.action_space, actions))
        if len(batch) != self.num_envs:
            raise ValueError(f"got {len(batch)} actions for {self.num_envs} environments")
        rewards = np.zeros(self.num_envs, dtype=np.float64)
        terminations = np.zeros(self.num_envs, dtype=np.bool_)
        infos: dict[str, Any] = {}
        for index, result in self.advance({index: batch[index] for index in self._running(batch)}).items():
            rewards[index], terminations[index] = result.reward, result.finished
            infos = self._add_info(infos, self._after(index, result), index)
        if self.autoreset_mode is AutoresetMode.NEXT_STEP:
            for index in _true_indices(self._ended):
                infos = self._add_info(infos, self.envs[index].reset()[1], index)
        if self.autoreset_mode is AutoresetMode.DISABLED:
            terminations |= self._ended
        self._ended = terminations.copy()
        return self._observations(), rewards, terminations, np.zeros(self.num_envs, dtype=np.bool_), infos

    def advance(self, actions: Mapping[int, Any]) -> dict[int, StepResult]:
        """Step some of the environments, without any autoreset; all exams that fall due form one batch.

        What `step` and `memgym.rollout` are made of: plain per-episode results instead of batched arrays.

        Args:
            actions: Action by index of the environment; the others stand still.

        Returns:
            Result by index, in the order of ``actions``.
        """
        reports = {index: self.envs[index].advance(action) for index, action in actions.items()}
        due = [index for index, report in reports.items() if report.finished]
        exams = dict(zip(due, self.exam.grade([self.envs[index].paper() for index in due]), strict=True))
        results = {}
        for index, report in reports.items():
            reward, info = self.envs[index].conclude(report, exams.get(index))
            results[index] = StepResult(reward, report.finished, info)
        return results

    def action_of(self, decision: Decision) -> Any:
        """The part of a policy's decision that is an action of these environments."""
        return self.envs[0].action_of(decision)

    def render(self) -> tuple[Any, ...]:
        """One frame per environment."""
        return tuple(env.render() for env in self.envs)

    def close_extras(self, **kwargs: Any) -> None:
        """Release the banks."""
        for env in self.envs:
            env.close()

    def _running(self, actions: Sequence[Any]) -> list[int]:
        """Environments whose action counts in this step."""
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            return list(range(self.num_envs))
        if self.autoreset_mode is AutoresetMode.DISABLED:
            for index in _true_indices(self._ended):
                if actions[index] is not None:
                    raise gymnasium.error.ResetNeeded(
                        f"environment {index} has ended and autoreset is disabled: pass None as its action, or "
                        "reset it with options={'reset_mask': mask}"
                    )
        return _true_indices(~self._ended)

    def _after(self, index: int, result: StepResult) -> dict[str, Any]:
        """The info of a step, after the reset that SAME_STEP does at an episode's end."""
        if not (result.finished and self.autoreset_mode is AutoresetMode.SAME_STEP):
            return result.info
        last = self.envs[index].observation()
        _, fresh = self.envs[index].reset()
        return {**fresh, "final_obs": last, "final_info": result.info}

    def _observations(self) -> BatchObservation:
        singles: list[Observation] = [env.observation() for env in self.envs]
        return {
            key: np.stack([single[key] for single in singles])
            if isinstance(singles[0][key], np.ndarray)
            else tuple(single[key] for single in singles)
            for key in singles[0]
        }

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        seeds: list[int | None] = (
            [seed + index for index in range(self.num_envs)] if isinstance(seed, int) else list(seed)
        )
        if len(seeds) != self.num_envs:
            raise ValueError(f"got {len(seeds)} seeds for {self.num_envs} environments")
        return seeds

    def _reset_mask(self, mask: np.ndarray | None) -> np.ndarray:
        if mask is None:
            return np.ones(self.num_envs, dtype=np.bool_)
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
            raise ValueError(
                f"options['reset_mask'] has shape {mask.shape}, dtype {mask.dtype}; expected a bool array of shape "
                f"({self.num_envs},) with at least one True"
            )
        return mask


def vector_entry_point(env_type: Callable[..., EpisodicEnv[Any]]) -> Callable[..., MemoryVectorEnv]:
    """What `gymnasium.make_vec` calls to make N environments of one type."""

    def make_vector(
        num_envs: int, autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP, **kwargs: Any
    ) -> MemoryVectorEnv:
        return MemoryVectorEnv(env_type(**kwargs), num_envs, autoreset_mode)

    return make_vector


def _true_indices(mask: np.ndarray) -> list[int]:
    return [int(index) for index in np.flatnonzero(mask)]


def _twin(env: Env) -> Env:
    """Another environment over the same task, exam and recipe: nothing is loaded twice."""
    twin = EpisodicEnv.__new__(type(env))
    for name in ("task", "render_mode", "config", "exam", "recipe", "observation_space", "action_space"):
        setattr(twin, name, getattr(env, name))
    return twin
