"""The turns that questions are about, one episode each: Memory-R1's training of the Memory Manager."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from memgym.tasks.derived import DerivedTask
from memgym.tasks.episode import Chunk, Episode, Question, Turn
from memgym.tasks.prepared import Memories, Preparer, facts_within, verbatim_turns
from memgym.tasks.task import Task

WINDOW = 50  # turns


class EvidenceTurns(DerivedTask):
    """One episode per turn that is evidence of a question (arXiv 2508.19828, Alg. 1).

    The turn is the only chunk, the questions are those whose evidence names it, and the memory is what a preparer made
    of the turns before it, so that one decision in the middle of a dialogue is all an episode consists of. Questions
    that the stream cannot answer, such as LoCoMo's category 5, link no turn.

    Episodes are numbered in the order of the stream; their ids are ``<dialogue id>/<turn id>``.

    Args:
        source: the dialogues.
        window: number of turns before the one at hand that the memory is prepared from, over session ends; None takes
            all of them. The algorithm of the paper says 50, its text 24.
        prepare: makes the memories.
        replay: let the policy build the memory itself: the episode has one chunk for every turn of the window, then
            the turn, and begins with an empty memory.

    Raises:
        ValueError: a negative window, or no such turn in a finite source.
    """

    wanted = "turn that is evidence of an answerable question"

    def __init__(
        self,
        source: Task,
        *,
        window: int | None = WINDOW,
        prepare: Preparer = verbatim_turns,
        replay: bool = False,
    ) -> None:
        if window is not None and window < 0:
            raise ValueError(f"window={window}: expected a number of turns, 0 or more, or None for all")
        self.window = window
        self.prepare = prepare
        self.replay = replay
        super().__init__(f"{source.name}-turns", source)
        self.arguments |= {"window": window, "prepare": prepare, "replay": replay}

    def count(self, dialogue: Episode) -> int:
        """Number of evidence turns."""
        return len(_evidence_turns(dialogue))

    def derive(self, dialogue: Episode) -> tuple[Episode, ...]:
        """One episode per evidence turn, in the order of the stream."""
        positions = _evidence_turns(dialogue)
        memories = self._memories(dialogue, list(positions))
        return tuple(
            self._episode(dialogue, position, questions, memory)
            for (position, questions), memory in zip(positions.items(), memories, strict=True)
        )

    def _memories(self, dialogue: Episode, positions: list[int]) -> list[Memories]:
        if self.replay:
            return [()] * len(positions)
        return self.prepare([_excerpt(dialogue, self._before(dialogue, position)) for position in positions])

    def _episode(self, dialogue: Episode, position: int, questions: list[Question], memory: Memories) -> Episode:
        turn = dialogue.turns[position]
        read = (*self._before(dialogue, position), turn) if self.replay else (turn,)
        episode = _excerpt(dialogue, read)
        return replace(episode, id=f"{dialogue.id}/{turn.id}", questions=tuple(questions), memory=memory)

    def _before(self, dialogue: Episode, position: int) -> tuple[Turn, ...]:
        start = 0 if self.window is None else max(0, position - self.window)
        return dialogue.turns[start:position]


def _evidence_turns(dialogue: Episode) -> dict[int, list[Question]]:
    """Position in the stream -> the questions about that turn, in order."""
    linked: dict[str, list[Question]] = {}
    for question in dialogue.questions:
        for turn_id in dict.fromkeys(question.evidence) if question.answerable else ():
            linked.setdefault(turn_id, []).append(question)
    return {position: linked[turn.id] for position, turn in enumerate(dialogue.turns) if turn.id in linked}


def _excerpt(dialogue: Episode, turns: Sequence[Turn]) -> Episode:
    """Some turns of a dialogue, one chunk each, with the facts that come from them alone and without questions."""
    chunks = tuple(Chunk(index, (turn,)) for index, turn in enumerate(turns))
    facts = facts_within(dialogue.gold_memories, [turn.id for turn in turns])
    return replace(dialogue, chunks=chunks, questions=(), gold_memories=facts, memory=())
