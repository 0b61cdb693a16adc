"""Keep the newest turns that fit."""

from __future__ import annotations

from agents.base import Agent
from agents.baselines.verbatim import SEES_EVERYTHING, insert_verbatim, room, turn_lines
from memgym.dates import with_calendar_dates
from memgym.envs.spaces import Observation
from memgym.memory.budget import count_lexical_tokens
from memgym.memory.operations import STORES, Operation
from memgym.rollout import Decision


class Recency(Agent):
    """A sliding window: drops its oldest entries to make room for the turns of each new chunk."""

    name = "recency"
    env_overrides = SEES_EVERYTHING

    def __init__(self, *, calendar_dates: bool = False) -> None:
        """Create the policy.

        Args:
            calendar_dates: Whether its environment stores calendar dates, which take room too; an observation does not
                say so.
        """
        self.calendar_dates = calendar_dates

    def decide(self, observation: Observation, episode: int) -> Decision:
        """Delete what no longer fits, insert the chunk's turns."""
        left = room(observation)
        lines = turn_lines(observation)
        if left is None:
            return Decision(tuple(insert_verbatim(line) for line in lines))
        held = [(entry, count_lexical_tokens(entry["text"])) for entry in observation["entries"]]
        capacity = left + sum(tokens for _, tokens in held)
        sizes = [count_lexical_tokens(self._stored(line, observation["timestamp"])) for line in lines]
        kept_lines, spare = _newest_that_fit(list(zip(lines, sizes, strict=True)), capacity)
        kept_entries, _ = _newest_that_fit(held, spare) if len(kept_lines) == len(lines) else ([], 0)
        kept_ids = {entry["id"] for entry in kept_entries}
        dropped = [
            Operation("delete", STORES[entry["store"]], entry_id=entry["id"])
            for entry, _ in held
            if entry["id"] not in kept_ids
        ]
        return Decision((*dropped, *(insert_verbatim(line) for line in kept_lines)))

    def _stored(self, line: str, timestamp: str) -> str:
        return with_calendar_dates(line, timestamp) if self.calendar_dates else line


def _newest_that_fit(items: list, room: int) -> tuple[list, int]:
    """The longest suffix of (item, tokens) that fits in ``room`` tokens, and the room it leaves."""
    kept = []
    for item, tokens in reversed(items):
        if tokens > room:
            break
        room -= tokens
        kept.append(item)
    return kept[::-1], room
