"""Store every turn until the memory is full."""

from __future__ import annotations

from agents.base import Agent
from agents.baselines.verbatim import SEES_EVERYTHING, insert_verbatim, turn_lines
from memgym.envs.spaces import Observation
from memgym.rollout import Decision


class AppendAll(Agent):
    """Copies the stream; under a hard budget only its beginning fits."""

    name = "append_all"
    env_overrides = SEES_EVERYTHING

    def decide(self, observation: Observation, episode: int) -> Decision:
        """Insert all turns; those that do not fit fail."""
        return Decision(tuple(insert_verbatim(line) for line in turn_lines(observation)))
