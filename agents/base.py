"""What an agent is: a policy of the gym, plus what it needs of its environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from memgym.envs.spaces import Observation
from memgym.rollout import Decision


class Agent:
    """A policy by name. Subclasses implement ``act``."""

    name: str
    env_overrides: ClassVar[Mapping[str, Any]] = {}
    """Environment settings this agent is defined by, such as no budget; an evaluation applies and prints them."""

    def act(self, observations: Sequence[Observation], episodes: Sequence[int]) -> list[Decision]:
        """One decision per observation, in order.

        Args:
            observations: One per running episode; fields as in ``memgym.envs.memory.MemoryEnv``.
            episodes: The index in the task of each observation's episode, to seed random choices by.
        """
        return [self.decide(observation, episode) for observation, episode in zip(observations, episodes, strict=True)]

    def decide(self, observation: Observation, episode: int) -> Decision:
        """The decision for one episode; agents that work on the whole batch override ``act`` instead."""
        raise TypeError(f"{type(self).__name__} implements neither act() nor decide()")
