"""Questions with the memories retrieved for them, one episode each: Memory-R1's training of the Answer Agent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from memgym.memory.bank import MemoryBank
from memgym.memory.budget import UNLIMITED
from memgym.tasks.derived import DerivedTask
from memgym.tasks.episode import Episode, PreparedMemory
from memgym.tasks.prepared import Memories, Preparer, entry_memory, fill_bank, verbatim_turns
from memgym.tasks.speakers import Speakers
from memgym.tasks.task import Task

RETRIEVED = 60  # memories per question
_FIRST_LOOK = 100  # results up to which a bank searches fast, mostly enough for everybody's share


def _unlimited_bank() -> MemoryBank:
    return MemoryBank(budget=UNLIMITED)


class RetrievedQuestions(DerivedTask):
    """One episode per answerable question: the question, and the memories retrieved for it (arXiv 2508.19828, Alg. 2).

    A preparer makes the memory of the whole dialogue. For each question it is searched once for every speaker, so that
    each side of the dialogue has its share: 30 of 60 memories each where there are two. Of the memories of one speaker
    (``memgym.tasks.speakers``) the best found come first; where fewer are found than the share, the newest of the
    others follow, as in a search by similarity, which ranks everything.

    ``Episode.memory`` holds the core of the memory, if it has one, then the memories by speaker, best first; the chunks
    are the dialogue. Ids are ``<dialogue id>/<question id>``.

    Args:
        source: the dialogues.
        prepare: makes the memories.
        memories: retrieved per question, divided among the speakers; the first ones get what is left over.
        open_bank: gives the empty bank that is searched, with an encoder for one that searches by meaning.

    Raises:
        ValueError: fewer than 1 memory, or no answerable question in a finite source.
    """

    wanted = "answerable question"

    def __init__(
        self,
        source: Task,
        *,
        prepare: Preparer = verbatim_turns,
        memories: int = RETRIEVED,
        open_bank: Callable[[], MemoryBank] = _unlimited_bank,
    ) -> None:
        if memories < 1:
            raise ValueError(f"memories={memories}: expected at least 1 per question")
        self.prepare = prepare
        self.memories = memories
        self.open_bank = open_bank
        super().__init__(f"{source.name}-questions", source)
        self.arguments |= {"prepare": prepare, "memories": memories}

    def count(self, dialogue: Episode) -> int:
        """Number of answerable questions."""
        return sum(question.answerable for question in dialogue.questions)

    def derive(self, dialogue: Episode) -> tuple[Episode, ...]:
        """One episode per answerable question, in order."""
        (memories,) = self.prepare([replace(dialogue, questions=())])
        asked = [question for question in dialogue.questions if question.answerable]
        with self.open_bank() as bank:
            fill_bank(bank, memories)
            bank.prepare([question.text for question in asked])
            index = _Index(bank, Speakers(dialogue.turns))
            return tuple(
                replace(
                    dialogue,
                    id=f"{dialogue.id}/{question.id}",
                    questions=(question,),
                    memory=index.retrieve(question.text, self.memories),
                )
                for question in asked
            )


class _Index:
    """A filled bank whose entries are told apart by speaker."""

    def __init__(self, bank: MemoryBank, speakers: Speakers) -> None:
        self._bank = bank
        self._core = [PreparedMemory(bank.core, store="core")] if bank.core else []
        self._memories = {entry.id: entry_memory(entry) for entry in bank.entries()}
        self._names = speakers.names
        self._speaker = {id_: speakers.of(memory) for id_, memory in self._memories.items()}

    def retrieve(self, query: str, count: int) -> Memories:
        """The core, then every speaker's share of ``count`` memories, best first."""
        base, extra = divmod(count, len(self._names))
        shares = {name: base + (place < extra) for place, name in enumerate(self._names)}
        found = self._by_speaker(self._search(query, _FIRST_LOOK))
        if any(len(found[name]) < share for name, share in shares.items()):
            everything = [*self._search(query, len(self._speaker)), *sorted(self._speaker, reverse=True)]
            found = self._by_speaker(everything)
        best = (self._memories[id_] for name, share in shares.items() for id_ in found[name][:share])
        return (*self._core, *best)

    def _search(self, query: str, k: int) -> list[int]:
        return [entry.id for entry in self._bank.search(query, k=k)]

    def _by_speaker(self, ids: Sequence[int]) -> dict[str, list[int]]:
        """Ids told apart, in order, each once."""
        groups: dict[str, list[int]] = {name: [] for name in self._names}
        for id_ in dict.fromkeys(ids):
            groups[self._speaker[id_]].append(id_)
        return groups
