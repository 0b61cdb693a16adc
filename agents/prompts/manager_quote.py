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
    """The room left, the entries shown, and the chunk."""
    room = int(observation["budget_left"][-1])
    lines = [f"Room: {room}"] if room >= 0 else []
    lines += [f"- {entry['text']}" for entry in observation["entries"]]
    return "\n".join([*lines, observation["chunk"]])
