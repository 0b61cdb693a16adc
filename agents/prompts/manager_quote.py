"""The Memory Manager's prompt for quoting: lines are numbered, and kept word for word by their number.

A reply takes two or three tokens per entry and cannot misspell a name, so that a small model spends all it learns on
the question of what is worth keeping.
"""

from __future__ import annotations

from collections.abc import Sequence

from memgym.envs.spaces import Observation
from memgym.memory.codecs import Codec

TASK = "Keep the lines that may be asked about later: @ and the line's number, one per row. Nothing to keep: ."


def system_text(codec: Codec, stores: Sequence[str], *, search: bool) -> str:
    """The part that is the same for every observation.

    Raises:
        ValueError: The codec cannot write a quote, or searching is to be offered.
    """
    if codec.name != "lines" or search:
        raise ValueError(f"prompt style 'quote' goes with codec 'lines' and without search, not with {codec.name!r}")
    return TASK


def user_text(observation: Observation) -> str:
    """The room left, the entries shown, and the numbered lines of the chunk."""
    room = int(observation["budget_left"][-1])
    lines = [f"Room: {room}"] if room >= 0 else []
    lines += [f"- {entry['text']}" for entry in observation["entries"]]
    lines += [f"{number} {line}" for number, line in enumerate(observation["chunk"].split("\n"), start=1)]
    return "\n".join(lines)
