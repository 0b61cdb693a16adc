"""Keep a random part of the stream."""

from __future__ import annotations

import random

from agents.base import Agent
from agents.baselines.verbatim import SEES_EVERYTHING, insert_verbatim, room, turn_lines
from memgym.envs.spaces import Observation
from memgym.memory.budget import count_lexical_tokens
from memgym.rollout import Decision


class RandomWrites(Agent):
    """Stores each turn with the same probability, chosen so that the budget lasts to the end of the stream.

    The probability is the room left over the tokens still expected, were all chunks as long as this one. Without a
    budget it is one half.
    """

    name = "random"
    env_overrides = SEES_EVERYTHING

    def __init__(self, seed: int = 0) -> None:
        """Create the policy; its choices depend on the seed, the episode and the chunk alone."""
        self.seed = seed

    def decide(self, observation: Observation, episode: int) -> Decision:
        """Store a random subset of the chunk's turns."""
        index, chunks = (int(value) for value in observation["progress"])
        left = room(observation)
        expected = count_lexical_tokens(observation["chunk"]) * (chunks - index)
        share = 0.5 if left is None else left / max(expected, 1)
        generator = random.Random(f"{self.seed}:{episode}:{index}")
        kept = [line for line in turn_lines(observation) if generator.random() < share]
        return Decision(tuple(insert_verbatim(line) for line in kept))
