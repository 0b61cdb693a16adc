"""The Memory Manager's prompt for keeping lines by their first words (``agents.quoting``)."""

from __future__ import annotations

from collections.abc import Sequence

from memgym.envs.spaces import Observation
from memgym.memory.codecs import Codec

TASK = "Which lines may be asked about later? Reply with their first words, one per row, or . for none."


def system_text(codec: Codec, stores: Sequence[str], *, search: bool) -> str:
    """The part that is the same for every observation.

    Raises:
        ValueError: Searching is to be offered, which this format has no words for.
    """
    if search:
        raise ValueError("style 'quote' cannot search: choose 'terse' or 'full'")
    return TASK


def user_text(observation: Observation) -> str:
    """The chunk, the entries shown, and the room left: what differs between trajectories of an episode comes last."""
    room = int(observation["budget_left"][-1])
    lines = [f"- {entry['text']}" for entry in observation["entries"]]
    if room >= 0:
        lines.append(f"Room: {room}")
    return "\n".join([observation["chunk"], *lines])
