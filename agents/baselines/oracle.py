"""The ceiling: store the turns that hold the gold evidence."""

from __future__ import annotations

import random
from collections import Counter
from functools import lru_cache

from agents.base import Agent
from agents.baselines.verbatim import SEES_EVERYTHING, insert_verbatim, room
from memgym.envs.spaces import Observation
from memgym.memory.budget import count_lexical_tokens
from memgym.rollout import Decision
from memgym.tasks.episode import Episode, Turn
from memgym.tasks.task import Task


class Oracle(Agent):
    """Knows the exam. Under a budget it keeps the evidence turns that serve the most questions per token.

    The one agent that is given the task, and so the answers.
    """

    name = "oracle"
    env_overrides = SEES_EVERYTHING

    def __init__(self, task: Task, *, noise: float = 0.0, seed: int = 0) -> None:
        """Create the policy for the task of its environment.

        Args:
            task: Where the gold evidence is read.
            noise: Probability of deciding wrongly, per turn: an imperfect teacher for a warm start.
            seed: Of the noise; with the episode and the turn it decides which decisions are wrong.

        Raises:
            ValueError: The noise is no probability.
        """
        if not 0.0 <= noise <= 1.0:
            raise ValueError(f"oracle noise={noise}: expected a probability")
        self.noise = noise
        self.seed = seed
        self._episode = lru_cache(maxsize=64)(task.episode)

    def decide(self, observation: Observation, episode: int) -> Decision:
        """Insert the chunk's evidence turns that are worth their room."""
        stream = self._episode(episode)
        chunk = stream.chunks[int(observation["progress"][0])]
        left = room(observation)
        worth = _worth(stream)
        wanted = [turn for turn in stream.turns if turn.id in worth]
        if left is not None:
            held = sum(count_lexical_tokens(entry["text"]) for entry in observation["entries"])
            wanted = _best_that_fit(wanted, worth, left + held)
        ids = {turn.id for turn in wanted}
        kept = [turn for turn in chunk.turns if (turn.id in ids) != self._errs(episode, turn)]
        return Decision(tuple(insert_verbatim(turn.line) for turn in kept))

    def _errs(self, episode: int, turn: Turn) -> bool:
        return self.noise > 0 and random.Random(f"{self.seed}:{episode}:{turn.id}").random() < self.noise


def _worth(episode: Episode) -> Counter[str]:
    """Number of questions each evidence turn serves."""
    return Counter(id_ for question in episode.questions for id_ in dict.fromkeys(question.evidence))


def _best_that_fit(turns: list[Turn], worth: Counter[str], left: int) -> list[Turn]:
    """Greedy knapsack: most questions per token first, ties by order of the stream."""
    chosen = []
    for turn in sorted(turns, key=lambda turn: -worth[turn.id] / count_lexical_tokens(turn.line)):
        tokens = count_lexical_tokens(turn.line)
        if tokens <= left:
            left -= tokens
            chosen.append(turn)
    return chosen
