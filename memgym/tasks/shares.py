"""Retrieval that gives every speaker the same share, as Memory-R1's 30 memories of each side of a dialogue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import TypeVar

from memgym.memory.bank import MemoryBank
from memgym.memory.operations import Entry
from memgym.tasks.prepared import entry_memory
from memgym.tasks.speakers import Speakers

Item = TypeVar("Item")

_FIRST_LOOK = 100  # results up to which a bank searches fast, mostly enough for everybody's share


class SpeakerShares:
    """A filled bank whose entries are told apart by speaker (arXiv 2508.19828, Alg. 2).

    Args:
        bank: searched in both entry stores together; its entries must stay as they are.
        speakers: of the stream that the entries were made from.
    """

    def __init__(self, bank: MemoryBank, speakers: Speakers) -> None:
        self._bank = bank
        self._names = speakers.names
        self._entries = {entry.id: entry for entry in bank.entries()}
        self._speaker = {id_: speakers.of(entry_memory(entry)) for id_, entry in self._entries.items()}

    def retrieve(self, query: str, count: int) -> list[list[Entry]]:
        """Every speaker's share of ``count`` entries.

        Where a search finds fewer entries of a speaker than the share, the newest of the others follow, as in a search
        by similarity, which ranks everything.

        Args:
            query: any text.
            count: divided among the speakers; the first ones get what is left over.

        Returns:
            One list per speaker, in the order of ``Speakers.names``, best first.
        """
        base, extra = divmod(count, len(self._names))
        shares = {name: base + (place < extra) for place, name in enumerate(self._names)}
        found = self._by_speaker(self._search(query, _FIRST_LOOK))
        if any(len(found[name]) < share for name, share in shares.items()):
            everything = [*self._search(query, len(self._speaker)), *sorted(self._speaker, reverse=True)]
            found = self._by_speaker(everything)
        return [[self._entries[id_] for id_ in found[name][:share]] for name, share in shares.items()]

    def _search(self, query: str, k: int) -> list[int]:
        return [entry.id for entry in self._bank.search(query, k=k)]

    def _by_speaker(self, ids: Sequence[int]) -> dict[str, list[int]]:
        """Ids told apart, in order, each once."""
        groups: dict[str, list[int]] = {name: [] for name in self._names}
        for id_ in dict.fromkeys(ids):
            groups[self._speaker[id_]].append(id_)
        return groups


def in_turn(groups: Iterable[Sequence[Item]]) -> list[Item]:
    """The first of every group, then the second of every group, and so on."""
    return [item for item in chain(*zip_longest(*groups)) if item is not None]
