"""Keep the newest turns that fit."""

from __future__ import annotations

from agents.base import Agent
from agents.baselines.verbatim import SEES_EVERYTHING, insert_verbatim, room, turn_lines
from memgym.envs.spaces import Observation
from memgym.memory.budget import count_lexical_tokens
from memgym.memory.operations import STORES, Operation
from memgym.rollout import Decision


class Recency(Agent):
    """A sliding window: drops its oldest entries to make room for the turns of each new chunk."""

    name = "recency"
    env_overrides = SEES_EVERYTHING

    def decide(self, observation: Observation, episode: int) -> Decision:
        """Delete what no longer fits, insert the chunk's turns."""
        left = room(observation)
        lines = turn_lines(observation)
        if left is None:
            return Decision(tuple(insert_verbatim(line) for line in lines))
        held = [(entry, count_lexical_tokens(entry["text"])) for entry in observation["entries"]]
        capacity = left + sum(tokens for _, tokens in held)
        kept_lines, spare = _newest_that_fit([(line, count_lexical_tokens(line)) for line in lines], capacity)
        kept_entries, _ = _newest_that_fit(held, spare) if len(kept_lines) == len(lines) else ([], 0)
        kept_ids = {entry["id"] for entry in kept_entries}
        dropped = [
            Operation("delete", STORES[entry["store"]], entry_id=entry["id"])
            for entry, _ in held
            if entry["id"] not in kept_ids
        ]
        return Decision((*dropped, *(insert_verbatim(line) for line in kept_lines)))


def _newest_that_fit(items: list, room: int) -> tuple[list, int]:
    """The longest suffix of (item, tokens) that fits in ``room`` tokens, and the room it leaves."""
    kept = []
    for item, tokens in reversed(items):
        if tokens > room:
            break
        room -= tokens
        kept.append(item)
    return kept[::-1], room
