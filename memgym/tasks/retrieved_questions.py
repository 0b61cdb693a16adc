"""Questions with the memories retrieved for them, one episode each: Memory-R1's training of the Answer Agent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from memgym.memory.bank import MemoryBank
from memgym.memory.budget import UNLIMITED
from memgym.memory.operations import Entry
from memgym.tasks.derived import DerivedTask
from memgym.tasks.episode import Episode, PreparedMemory
from memgym.tasks.prepared import Memories, Preparer, entry_memory, fill_bank, verbatim_turns
from memgym.tasks.shares import SpeakerShares
from memgym.tasks.speakers import Speakers
from memgym.tasks.task import Task

RETRIEVED = 60  # memories per question


def _unlimited_bank() -> MemoryBank:
    return MemoryBank(budget=UNLIMITED)


class RetrievedQuestions(DerivedTask):
    """One episode per answerable question: the question, and the memories retrieved for it (arXiv 2508.19828, Alg. 2).

    A preparer makes the memory of the whole dialogue. For each question it is searched once for every speaker, so that
    each side of the dialogue has its share (``memgym.tasks.shares``): 30 of 60 memories each where there are two.

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
            core = (PreparedMemory(bank.core, store="core"),) if bank.core else ()
            index = SpeakerShares(bank, Speakers(dialogue.turns))
            return tuple(
                replace(
                    dialogue,
                    id=f"{dialogue.id}/{question.id}",
                    questions=(question,),
                    memory=(*core, *_memories(index.retrieve(question.text, self.memories))),
                )
                for question in asked
            )


def _memories(groups: list[list[Entry]]) -> Memories:
    return tuple(entry_memory(entry) for group in groups for entry in group)
