"""The policy every gym starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from memgym.envs.spaces import Observation, action_space, operation_from_action
from memgym.rollout import Decision


class RandomActions:
    """Samples operations from the action space: what an environment has to survive, and the least an agent can do."""

    name = "random_actions"
    env_overrides: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, seed: int = 0) -> None:
        """Create the policy; its actions depend on the seed, the episode and the chunk alone.

        Raises:
            ValueError: The seed is no whole number of at least 0.
        """
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise ValueError(f"seed={seed!r}: expected a whole number of at least 0")
        self.seed = seed
        self._space = action_space()

    def act(self, observations: Sequence[Observation], episodes: Sequence[int]) -> list[Decision]:
        """A random action each."""
        return [self._sample(episode, observation) for observation, episode in zip(observations, episodes, strict=True)]

    def _sample(self, episode: int, observation: Observation) -> Decision:
        entropy = (self.seed, episode, int(observation["progress"][0]))
        self._space.seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))
        return Decision(tuple(operation_from_action(item) for item in self._space.sample()))
