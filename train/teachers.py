"""Teachers of MemLoRA that need no model: facts that are known beforehand, updates by rule.

Where facts come from: the records of the dialogue generator, the gold memories of an episode, its evidence turns, or
LoCoMo's annotations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from agents.fact_pipeline import ExtractRequest, FactPipeline, Reply, UpdateRequest
from agents.facts import Change, Note, read_facts, write_changes, write_facts
from agents.prompts.chat import spoken_date
from memgym.memory.provenance import coverage
from memgym.tasks.episode import Episode, GoldMemory
from memgym.tasks.locomo_facts import read_annotated_facts
from memgym.tasks.procedural import DialogueGenerator
from memgym.tasks.task import ProceduralTask, Task
from train.statements import date_note, statement

RULE_TEACHERS = ("oracle", "annotations")
_UNTIL = " Until "  # between what holds now and what held before


@dataclass(frozen=True, slots=True)
class KnownFact:
    """A fact and where it stands in the stream."""

    text: str
    turn_ids: tuple[str, ...]  # at least one
    replaces: str = ""  # text of the fact that it ends, "" for none
    change: str = "told"  # how: "update" (the old one held until now), "correction" or "withdrawal" (it never did)


FactSource = Callable[[int], Sequence[KnownFact]]  # index of an episode -> its facts in the order of the stream


class RuleTeacher(FactPipeline):
    """Extracts the known facts of a chunk; updates follow from what replaces what, and else from the words.

    A fact that the reply format cannot hold, such as one that looks like a heading, is left out.
    """

    def __init__(self, name: str, task: Task, source: FactSource, *, similar: int = 5) -> None:
        """Create the teacher.

        Args:
            name: Written to records.
            task: The one it is run on.
            source: The facts of its episodes.
            similar: Notes looked up per fact.
        """
        super().__init__(name, similar=similar)
        self._episode = lru_cache(maxsize=64)(task.episode)
        self._facts = lru_cache(maxsize=64)(lambda index: [fact for fact in source(index) if _writable(fact.text)])

    def extract(self, requests: Sequence[ExtractRequest]) -> list[Reply]:
        """The facts whose first turn is in the chunk."""
        return [Reply(write_facts([fact.text for fact in self._of_chunk(request)])) for request in requests]

    def update(self, requests: Sequence[UpdateRequest]) -> list[Reply]:
        """See ``revise``."""
        return [Reply(write_changes([self._revise(request)])) for request in requests]

    def turn_ids(self, request: ExtractRequest | UpdateRequest, text: str) -> tuple[str, ...]:
        """The turns that a fact of the request's chunk comes from."""
        return next(fact.turn_ids for fact in self._of_chunk(request) if fact.text == text)

    def _of_chunk(self, request: ExtractRequest | UpdateRequest) -> list[KnownFact]:
        ids = set(self._episode(request.episode).chunks[request.index].turn_ids)
        return [fact for fact in self._facts(request.episode) if fact.turn_ids[0] in ids]

    def _revise(self, request: UpdateRequest) -> Change:
        fact = next(fact for fact in self._of_chunk(request) if fact.text == request.fact)
        return revise(fact, request.notes, request.timestamp)


def revise(fact: KnownFact, notes: Sequence[Note], timestamp: str) -> Change:
    """What a fact does to the notes it resembles.

    If it ends what a note says: a withdrawal deletes the note, a correction takes its place, and an update does so too
    but keeps what held until then, since questions about the past are asked as well. Otherwise see ``compare``.

    Args:
        fact: The new fact.
        notes: Shown with it.
        timestamp: Of the chunk it was told in.
    """
    ended = (n for n, note in enumerate(notes, start=1) if fact.replaces and _current(note.text) == fact.replaces)
    number = next(ended, 0)
    if not number:
        return compare(fact.text, notes)
    if fact.change == "withdrawal":
        return Change("DELETE", number)
    if fact.change == "update" and timestamp:
        return Change("UPDATE", number, f"{fact.text}{_UNTIL}{spoken_date(timestamp)}: {fact.replaces}")
    return Change("UPDATE", number)


def compare(fact: str, notes: Sequence[Note]) -> Change:
    """NONE if a note has every content word of the fact, UPDATE if the fact has every one of a note, else ADD.

    Nothing less than every word: "Mara's favourite dish is ..." differs in one word where it differs in all.
    """
    for number, note in enumerate(notes, start=1):
        if coverage(fact, note.text) == 1.0:
            return Change("NONE")
        if coverage(note.text, fact) == 1.0:
            return Change("UPDATE", number)
    return Change("ADD")


def _writable(text: str) -> bool:
    return read_facts(text) == [text]


def _current(text: str) -> str:
    """What a note says of the present."""
    return text.partition(_UNTIL)[0]


def rule_teacher(name: str, task: Task, *, similar: int = 5, path: str | Path | None = None) -> RuleTeacher:
    """A teacher by name: one of ``RULE_TEACHERS``.

    Args:
        name: See ``oracle_facts`` and ``annotated_facts``.
        task: The one it is run on.
        similar: Notes looked up per fact.
        path: LoCoMo's file, for the annotations.

    Raises:
        ValueError: No teacher has that name, or it does not know this task.
    """
    if name not in RULE_TEACHERS:
        raise ValueError(f"teacher {name!r}: expected one of {', '.join(RULE_TEACHERS)}")
    source = oracle_facts(task) if name == "oracle" else annotated_facts(task, path)
    return RuleTeacher(name, task, source, similar=similar)


def oracle_facts(task: Task) -> FactSource:
    """What is worth knowing of an episode, from the best source there is.

    The facts that a dialogue was generated from (of the topics that are asked about, if the generator was told which);
    the episode's gold memories; or its evidence turns, as dated statements.
    """
    if isinstance(task, ProceduralTask) and isinstance(task.generator, DialogueGenerator):
        generator, seed, split = task.generator, task.seed, task.split
        return lambda index: _told_facts(generator, seed, index, split)
    return lambda index: _gold_facts(task.episode(index))


def _told_facts(generator: DialogueGenerator, seed: int, index: int, split: str) -> list[KnownFact]:
    told = generator.dialogue(seed, index, split).facts
    asked = generator.config.asked_topics
    return [
        KnownFact(
            fact.text, (fact.turn_id,), told[fact.replaces].text if fact.replaces is not None else "", fact.change
        )
        for fact in told
        if asked is None or fact.topic in asked
    ]


def _gold_facts(episode: Episode) -> list[KnownFact]:
    memories = episode.gold_memories
    if memories:
        texts = [memory.text for memory in memories]
        return [
            KnownFact(m.text, m.turn_ids, "" if m.supersedes is None else texts[m.supersedes], "update")
            for m in memories
            if m.turn_ids
        ]
    evidence = {id_ for question in episode.questions for id_ in question.evidence}
    return [KnownFact(statement(turn), (turn.id,)) for turn in episode.turns if turn.id in evidence]


def annotated_facts(task: Task, path: str | Path | None = None) -> FactSource:
    """LoCoMo's annotations, with calendar dates.

    Args:
        task: Of LoCoMo.
        path: Its file, as for ``memgym.tasks.locomo.LoCoMo``.

    Raises:
        ValueError: The task is another.
    """
    if task.name != "locomo":
        raise ValueError(f"teacher 'annotations' knows LoCoMo only, not {task.name!r}: use memgym/LoCoMo-v0")
    known = read_annotated_facts(path)
    return lambda index: _dated_facts(task.episode(index), known)


def _dated_facts(episode: Episode, known: Mapping[str, Sequence[GoldMemory]]) -> list[KnownFact]:
    turns = {turn.id: turn for turn in episode.turns}
    return [
        KnownFact(date_note(fact.text, turns[fact.turn_ids[0]]), fact.turn_ids) for fact in known.get(episode.id, ())
    ]
