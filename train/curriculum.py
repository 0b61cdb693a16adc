"""A curriculum: the training environment changes with the step, e.g. from short to long episodes.

    curriculum:
      - {until_step: 50, env: {dialogue: {chunks: 2}}}
      - {until_step: 100, env: {dialogue: {chunks: 4}}}

Steps 0 to 49 are trained with two chunks, 50 to 99 with four, the rest with what ``env.kwargs`` says. A stage is a
function of the step alone, so a resumed run is where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memgym.envs.vector import MemoryVectorEnv
from train.settings import EnvSettings, merged
from train.setup import build_env


class Curriculum:
    """The environment of each step."""

    def __init__(self, env: EnvSettings, stages: Sequence[Mapping[str, Any]], num_envs: int) -> None:
        """Build the environments of all stages.

        Args:
            env: The environment after the last stage.
            stages: Each with ``until_step``, the first step that it no longer holds for, and ``env``, changes to
                ``env.kwargs``; mappings in it are merged with the ones they change, key by key.
            num_envs: Episodes run together.

        Raises:
            SystemExit: A stage is no stage, or makes no environment; one line says why.
        """
        self._ends: list[int] = []
        self._envs: list[MemoryVectorEnv] = []
        for number, stage in enumerate(stages):
            self._ends.append(_end(stage, number, self._ends))
            self._envs.append(build_env(EnvSettings(env.id, merged(env.kwargs, stage["env"])), num_envs))
        self._envs.append(build_env(env, num_envs))

    def env(self, step: int) -> MemoryVectorEnv:
        """The environment of step ``step``, from 0."""
        return self._envs[self.stage(step)]

    def stage(self, step: int) -> int:
        """Number of stages that are over at step ``step``."""
        return sum(end <= step for end in self._ends)


def _end(stage: Mapping[str, Any], number: int, before: Sequence[int]) -> int:
    """The end of a stage, after checking it."""
    if not isinstance(stage, Mapping) or set(stage) != {"until_step", "env"} or not isinstance(stage["env"], Mapping):
        raise SystemExit(f"error: curriculum[{number}]={stage!r}: expected until_step (a step) and env (a mapping)")
    end, start = stage["until_step"], before[-1] if before else 0
    if not isinstance(end, int) or end <= start:
        raise SystemExit(f"error: curriculum[{number}]: until_step={end!r}: expected a step after {start}")
    return end
