"""The ceiling: store the turns that hold the gold evidence."""

from __future__ import annotations

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

    def __init__(self, task: Task) -> None:
        """Create the policy for the task of its environment."""
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
        return Decision(tuple(insert_verbatim(turn.line) for turn in chunk.turns if turn.id in ids))


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
