"""Memories prepared offline, for episodes that begin in the middle of a stream.

Memory-R1 (arXiv 2508.19828, Alg. 1) has a large model write the memory of the turns before the one being trained on. A
*preparer* stands in its place: it is given histories and says what the memory holds after each. The three here go by
rule; ``memgym.preparers`` has those that run a policy, replay its record or read exported banks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from memgym.memory.bank import MemoryBank
from memgym.memory.operations import STORES, Entry, Operation, OperationKind
from memgym.sentences import sentence_lines
from memgym.tasks.episode import Episode, GoldMemory, PreparedMemory

Memories = tuple[PreparedMemory, ...]
Preparer = Callable[[Sequence[Episode]], list[Memories]]
"""Histories -> what the memory holds after each, in order of writing. A history is an episode without questions: the
chunks to remember, the gold memories of their turns, and the id of the dialogue it is taken from."""


def verbatim_turns(histories: Sequence[Episode]) -> list[Memories]:
    """Every turn word for word, as an episodic entry."""
    return [
        tuple(PreparedMemory(turn.line, (turn.id,), turn.timestamp) for turn in history.turns) for history in histories
    ]


def verbatim_sentences(histories: Sequence[Episode]) -> list[Memories]:
    """Every sentence word for word, short ones together, as an episodic entry (``memgym.sentences``)."""
    return [
        tuple(
            PreparedMemory(line, (turn.id,), turn.timestamp)
            for turn in history.turns
            for line in sentence_lines(turn.speaker, turn.text)
        )
        for history in histories
    ]


class Facts:
    """The facts of the turns as semantic entries, outdated ones left out: an extractor that makes no mistakes.

    Args:
        annotations: dialogue id -> its facts in order, e.g. from ``memgym.tasks.locomo_facts``; None takes the gold
            memories of the histories themselves.
    """

    def __init__(self, annotations: Mapping[str, Sequence[GoldMemory]] | None = None) -> None:
        self.annotations = annotations

    def __call__(self, histories: Sequence[Episode]) -> list[Memories]:
        """The facts of each history.

        Raises:
            ValueError: There are no annotations of a dialogue.
        """
        return [tuple(map(_prepared, current_facts(self._facts(history)))) for history in histories]

    def _facts(self, history: Episode) -> Sequence[GoldMemory]:
        if self.annotations is None:
            return history.gold_memories
        if history.id not in self.annotations:
            raise ValueError(f"there are no annotations of {history.id!r}, only of {', '.join(self.annotations)}")
        return facts_within(self.annotations[history.id], [turn.id for turn in history.turns])


def _prepared(fact: GoldMemory) -> PreparedMemory:
    return PreparedMemory(fact.text, fact.turn_ids, fact.timestamp, "semantic")


def facts_within(facts: Sequence[GoldMemory], turn_ids: Iterable[str]) -> tuple[GoldMemory, ...]:
    """The facts that come from these turns alone, still linked to those among them which they replace."""
    known = set(turn_ids)
    kept = [index for index, fact in enumerate(facts) if fact.turn_ids and known.issuperset(fact.turn_ids)]
    place = {old: new for new, old in enumerate(kept)}
    return tuple(
        GoldMemory(
            fact.text,
            fact.turn_ids,
            fact.timestamp,
            place.get(fact.supersedes) if fact.supersedes is not None else None,
        )
        for fact in (facts[index] for index in kept)
    )


def current_facts(facts: Sequence[GoldMemory]) -> list[GoldMemory]:
    """The facts without those that another one of them replaces."""
    outdated = {fact.supersedes for fact in facts}
    return [fact for index, fact in enumerate(facts) if index not in outdated]


def fill_bank(bank: MemoryBank, memories: Sequence[PreparedMemory]) -> None:
    """Write prepared memories into a bank: under a budget, the newest of them that fit."""
    for memory in _newest_that_fit(bank, memories):
        kind: OperationKind = "update" if memory.store == "core" else "insert"
        operation = Operation(kind, memory.store, memory.text, timestamp=memory.timestamp)
        bank.apply(operation, sources=memory.turn_ids)


def _newest_that_fit(bank: MemoryBank, memories: Sequence[PreparedMemory]) -> list[PreparedMemory]:
    used: dict[str, int] = {store: bank.tokens(store) for store in STORES}
    kept = []
    for memory in reversed(memories):
        tokens = bank.count_tokens(bank.wording(memory.text, memory.timestamp))
        left = bank.budget.left(used)
        if any(room is not None and tokens > room for room in (left[memory.store], left["total"])):
            break
        used[memory.store] += tokens
        kept.append(memory)
    return kept[::-1]


def bank_memories(bank: MemoryBank) -> Memories:
    """What a bank holds, as prepared memories: the core first, then the entries in the order of their ids."""
    core = [PreparedMemory(bank.core, store="core")] if bank.core else []
    return (*core, *map(entry_memory, bank.entries()))


def entry_memory(entry: Entry) -> PreparedMemory:
    """An entry of a bank as a prepared memory."""
    return PreparedMemory(entry.text, entry.sources, entry.timestamp, entry.store)
