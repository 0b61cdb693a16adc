"""Whose memory a memory is: the two sides of a dialogue told apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from memgym.tasks.episode import PreparedMemory, Turn


class Speakers:
    """The speakers of a stream, and which of them a memory belongs to.

    A memory is the speaker's who said most of the turns it came from; of equals, the one who spoke first of them. One
    whose turns are not known belongs to the speaker whose name it mentions first, and if it mentions none, to the
    first of the stream.

    Args:
        turns: the stream.

    Attributes:
        names: in the order in which they first speak, without narration; ("",) for a stream without speakers.
    """

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._of_turn = {turn.id: turn.speaker for turn in turns if turn.speaker}
        self.names: tuple[str, ...] = tuple(dict.fromkeys(self._of_turn.values())) or ("",)

    def of(self, memory: PreparedMemory) -> str:
        """The speaker that a memory belongs to, one of ``names``."""
        said = Counter(self._of_turn[turn_id] for turn_id in memory.turn_ids if turn_id in self._of_turn)
        if said:
            return said.most_common(1)[0][0]  # equal counts keep the order of their first turns
        found = [(match.start(), name) for name in self.names if name and (match := _mention(name, memory.text))]
        return min(found)[1] if found else self.names[0]


def _mention(name: str, text: str) -> re.Match[str] | None:
    return re.search(rf"\b{re.escape(name)}\b", text)
