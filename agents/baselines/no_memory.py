"""The floor: store nothing."""

from __future__ import annotations

from agents.base import Agent
from memgym.envs.spaces import Observation
from memgym.rollout import Decision


class NoMemory(Agent):
    """Never writes; the reader has to answer from nothing."""

    name = "no_memory"

    def decide(self, observation: Observation, episode: int) -> Decision:
        """Do nothing."""
        return Decision(())
