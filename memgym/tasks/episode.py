"""The record every task produces: an episode of chunks and the questions asked after them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance of the source stream."""

    id: str  # unique within the episode, e.g. "D3:7"; never shown to a policy
    speaker: str  # "" for narration
    text: str
    timestamp: str = ""  # ISO 8601, minutes precision; "" when undated

    @property
    def line(self) -> str:
        """The turn as a policy reads it: ``speaker: text``."""
        return f"{self.speaker}: {self.text}" if self.speaker else self.text


@dataclass(frozen=True, slots=True)
class Chunk:
    """One slice of the stream, read in one step."""

    index: int
    turns: tuple[Turn, ...]

    @property
    def timestamp(self) -> str:
        """Time of the first turn (ISO 8601), "" when undated."""
        return self.turns[0].timestamp if self.turns else ""

    @property
    def turn_ids(self) -> tuple[str, ...]:
        """Ids of the source turns, in order."""
        return tuple(turn.id for turn in self.turns)

    @property
    def text(self) -> str:
        """What the policy reads: one line per turn."""
        return "\n".join(turn.line for turn in self.turns)


@dataclass(frozen=True, slots=True)
class Question:
    """One exam question. Nothing of it is part of an observation unless ``question_visible`` is asked for."""

    id: str  # unique within the episode
    text: str
    answers: tuple[str, ...]  # accepted golds; never empty
    category: str  # task-specific; LoCoMo keeps its integers "1".."5"
    evidence: tuple[str, ...] = ()  # turn ids
    metric: str = "squad_f1"  # a name in memgym.exam.metrics.METRICS
    answerable: bool = True  # False: the stream does not hold the answer
    timestamp: str = ""  # when it is asked; "" means after the last chunk


@dataclass(frozen=True, slots=True)
class GoldMemory:
    """A fact worth storing, with its provenance; known for procedural tasks only."""

    text: str
    turn_ids: tuple[str, ...]
    timestamp: str = ""
    supersedes: int | None = None  # index in ``Episode.gold_memories`` of the value this one replaces


@dataclass(frozen=True, slots=True)
class PreparedMemory:
    """Something the memory holds when the episode begins: an entry, or the core."""

    text: str
    turn_ids: tuple[str, ...] = ()  # what it came from; these turns need not be part of the episode
    timestamp: str = ""
    store: str = "episodic"


@dataclass(frozen=True, slots=True)
class Episode:
    """One stream and its exam."""

    id: str
    source: str  # task name
    split: str  # "train", "validation" or "test"
    chunks: tuple[Chunk, ...]
    questions: tuple[Question, ...]
    gold_memories: tuple[GoldMemory, ...] = ()
    licence: str = ""
    memory: tuple[PreparedMemory, ...] = ()  # in order of writing; empty where the stream is read from its beginning

    @property
    def turns(self) -> tuple[Turn, ...]:
        """All turns of the stream, in order."""
        return tuple(turn for chunk in self.chunks for turn in chunk.turns)
