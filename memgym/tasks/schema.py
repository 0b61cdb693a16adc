"""Episode <-> record, the JSON form in which episodes are written to files (``docs/custom-data.md``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memgym.tasks.episode import Chunk, Episode, GoldMemory, PreparedMemory, Question, Turn
from memgym.tasks.record_check import check_record, default_question_id, default_turn_id


def to_record(episode: Episode) -> dict[str, Any]:
    """The episode as JSON types, every field written out; ``from_record`` gives the same episode back."""
    return {
        "id": episode.id,
        "source": episode.source,
        "split": episode.split,
        "licence": episode.licence,
        "chunks": [{"turns": [_turn_record(turn) for turn in chunk.turns]} for chunk in episode.chunks],
        "questions": [_question_record(question) for question in episode.questions],
        "gold_memories": [_memory_record(memory) for memory in episode.gold_memories],
        "memory": [_prepared_record(memory) for memory in episode.memory],
    }


def from_record(record: Mapping[str, Any]) -> Episode:
    """The episode of a record.

    Raises:
        ValueError: the record has problems; the message names the first one and says how many there are.
    """
    problems = check_record(record)
    if problems:
        field, message = problems[0]
        place = f"{field}: " if field else ""
        raise ValueError(f"episode record: {place}{message} (1 of {len(problems)} problems)")
    return build_episode(record)


def build_episode(record: Mapping[str, Any]) -> Episode:
    """The episode of a record that ``check_record`` found no problem in."""
    return Episode(
        id=record["id"],
        source=record.get("source", "custom"),
        split=record.get("split", "test"),
        chunks=tuple(_chunk(index, chunk) for index, chunk in enumerate(record["chunks"])),
        questions=tuple(_question(index, question) for index, question in enumerate(record["questions"])),
        gold_memories=tuple(_memory(memory) for memory in record.get("gold_memories", ())),
        licence=record.get("licence", ""),
        memory=tuple(_prepared(memory) for memory in record.get("memory", ())),
    )


def _turn_record(turn: Turn) -> dict[str, Any]:
    return {"id": turn.id, "speaker": turn.speaker, "text": turn.text, "timestamp": turn.timestamp}


def _question_record(question: Question) -> dict[str, Any]:
    return {
        "id": question.id,
        "text": question.text,
        "answers": list(question.answers),
        "category": question.category,
        "evidence": list(question.evidence),
        "metric": question.metric,
        "answerable": question.answerable,
        "timestamp": question.timestamp,
    }


def _memory_record(memory: GoldMemory) -> dict[str, Any]:
    return {
        "text": memory.text,
        "turn_ids": list(memory.turn_ids),
        "timestamp": memory.timestamp,
        "supersedes": memory.supersedes,
    }


def _prepared_record(memory: PreparedMemory) -> dict[str, Any]:
    return {
        "text": memory.text,
        "turn_ids": list(memory.turn_ids),
        "timestamp": memory.timestamp,
        "store": memory.store,
    }


def _chunk(index: int, record: Mapping[str, Any]) -> Chunk:
    turns = record.get("turns", [record])  # a chunk of plain text is one turn, written without the list
    timestamp = record.get("timestamp", "")
    return Chunk(index, tuple(_turn(turn, default_turn_id(index, i), timestamp) for i, turn in enumerate(turns)))


def _turn(record: Mapping[str, Any], default_id: str, chunk_timestamp: str) -> Turn:
    return Turn(
        id=record.get("id", default_id),
        speaker=record.get("speaker", ""),
        text=record["text"],
        timestamp=record.get("timestamp", chunk_timestamp),
    )


def _question(index: int, record: Mapping[str, Any]) -> Question:
    return Question(
        id=record.get("id", default_question_id(index)),
        text=record["text"],
        answers=tuple(record["answers"]),
        category=record.get("category", ""),
        evidence=tuple(record.get("evidence", ())),
        metric=record.get("metric", "squad_f1"),
        answerable=record.get("answerable", True),
        timestamp=record.get("timestamp", ""),
    )


def _memory(record: Mapping[str, Any]) -> GoldMemory:
    return GoldMemory(
        text=record["text"],
        turn_ids=tuple(record["turn_ids"]),
        timestamp=record.get("timestamp", ""),
        supersedes=record.get("supersedes"),
    )


def _prepared(record: Mapping[str, Any]) -> PreparedMemory:
    return PreparedMemory(
        text=record["text"],
        turn_ids=tuple(record.get("turn_ids", ())),
        timestamp=record.get("timestamp", ""),
        store=record.get("store", "episodic"),
    )
