"""Checking an episode record (see ``docs/custom-data.md``): every problem of a record in one pass."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from memgym.memory.operations import STORES
from memgym.memory.validation import is_timestamp

SPLITS = ("train", "validation", "test")
RECORD_FIELDS = {"id": True, "chunks": True, "questions": True}  # field -> required
RECORD_FIELDS |= dict.fromkeys(("source", "split", "licence", "gold_memories", "memory"), False)
CHUNK_FIELDS = {"turns": True, "timestamp": False}
TURN_FIELDS = {"text": True, "id": False, "speaker": False, "timestamp": False}
QUESTION_FIELDS = {"text": True, "answers": True, "id": False, "category": False}
QUESTION_FIELDS |= {"evidence": False, "metric": False, "answerable": False, "timestamp": False}
GOLD_MEMORY_FIELDS = {"text": True, "turn_ids": True, "timestamp": False, "supersedes": False}
PREPARED_FIELDS = {"text": True, "turn_ids": False, "timestamp": False, "store": False}

_SURROGATE = re.compile("[\ud800-\udfff]")


def default_turn_id(chunk: int, turn: int) -> str:
    """Id of a turn that names none: its chunk and its place there, both from 0."""
    return f"c{chunk}:{turn}"


def default_question_id(index: int) -> str:
    """Id of a question that names none: its place in the episode, from 0."""
    return f"q{index}"


def check_record(record: object) -> list[tuple[str, str]]:
    """All problems of one episode record.

    Args:
        record: what stands in a line of JSONL or an item of a JSON list, decoded.

    Returns:
        (field, message) pairs in the order of the record, e.g. ``("questions[0].answers", "empty: ...")``; the field of
        a problem with the whole record is "". Empty when the record is an episode.
    """
    check = _RecordCheck()
    check.record(record)
    return check.problems


class _RecordCheck:
    """Walks one record and notes what is wrong where; ids met on the way serve the references that follow."""

    def __init__(self) -> None:
        self.problems: list[tuple[str, str]] = []
        self.turn_ids: set[str] = set()
        self.question_ids: set[str] = set()

    def record(self, value: object) -> None:
        record = self.mapping(value, "", RECORD_FIELDS)
        for field in ("id", "source"):
            self.text(record, field, "", empty=False)
        self.text(record, "licence", "")
        if self.text(record, "split", "") and record["split"] not in SPLITS:
            self.add("split", f"{record['split']!r}: expected {', '.join(SPLITS)}")
        chunks = self.items(record, "chunks", "")
        if chunks is not None and not chunks:
            self.add("chunks", "empty: expected at least one chunk to read")
        for index, chunk in enumerate(chunks or ()):
            self.chunk(chunk, index)
        for index, question in enumerate(self.items(record, "questions", "") or ()):
            self.question(question, index)
        memories = self.items(record, "gold_memories", "") or ()
        for index, memory in enumerate(memories):
            self.gold_memory(memory, f"gold_memories[{index}]", index, len(memories))
        for index, prepared in enumerate(self.items(record, "memory", "") or ()):
            self.prepared(prepared, f"memory[{index}]")

    def chunk(self, value: object, index: int) -> None:
        path = f"chunks[{index}]"
        if isinstance(value, Mapping) and "text" in value:  # plain text: one turn, written without the list
            self.turn(value, path, default_turn_id(index, 0))
            return
        chunk = self.mapping(value, path, CHUNK_FIELDS)
        self.timestamp(chunk, path)
        turns = self.items(chunk, "turns", path)
        if turns is not None and not turns:
            self.add(f"{path}.turns", "empty: expected at least one turn")
        for place, turn in enumerate(turns or ()):
            self.turn(turn, f"{path}.turns[{place}]", default_turn_id(index, place))

    def turn(self, value: object, path: str, default_id: str) -> None:
        turn = self.mapping(value, path, TURN_FIELDS)
        self.text(turn, "text", path, empty=False)
        self.text(turn, "speaker", path)
        self.timestamp(turn, path)
        self.identifier(turn, path, default_id, self.turn_ids, "turn")

    def question(self, value: object, index: int) -> None:
        path = f"questions[{index}]"
        question = self.mapping(value, path, QUESTION_FIELDS)
        self.text(question, "text", path, empty=False)
        self.text(question, "category", path)
        self.timestamp(question, path)
        self.identifier(question, path, default_question_id(index), self.question_ids, "question")
        answers = self.items(question, "answers", path)
        if answers is not None and not answers:
            self.add(f"{path}.answers", "empty: expected at least one accepted answer")
        self.texts(answers, f"{path}.answers")
        self.references(question, "evidence", path)
        if not isinstance(question.get("answerable", True), bool):
            self.add(f"{path}.answerable", f"{question['answerable']!r}: expected true or false")
        if self.text(question, "metric", path):
            self.metric(question["metric"], f"{path}.metric")

    def gold_memory(self, value: object, path: str, index: int, count: int) -> None:
        memory = self.mapping(value, path, GOLD_MEMORY_FIELDS)
        self.text(memory, "text", path, empty=False)
        self.timestamp(memory, path)
        self.references(memory, "turn_ids", path)
        replaced = memory.get("supersedes")
        if replaced is not None and (type(replaced) is not int or not 0 <= replaced < count or replaced == index):
            self.add(f"{path}.supersedes", f"{replaced!r}: expected the index of another gold memory, from 0")

    def prepared(self, value: object, path: str) -> None:
        memory = self.mapping(value, path, PREPARED_FIELDS)
        self.text(memory, "text", path, empty=False)
        self.timestamp(memory, path)
        # Not references: what is in the memory already may come from turns that the episode does not repeat.
        self.texts(self.items(memory, "turn_ids", path), f"{path}.turn_ids")
        if self.text(memory, "store", path) and memory["store"] not in STORES:
            self.add(f"{path}.store", f"{memory['store']!r}: expected one of {', '.join(STORES)}")

    # --- checks of one value ---

    def add(self, field: str, message: str) -> None:
        self.problems.append((field, message))

    def mapping(self, value: object, path: str, fields: Mapping[str, bool]) -> Mapping[str, Any]:
        """The value itself when it is an object, else an empty one, so that the caller can go on."""
        if not isinstance(value, Mapping):
            self.add(path, f"{_kind(value)}: expected an object with {', '.join(fields)}")
            return {}
        for field, required in fields.items():
            if required and field not in value:
                self.add(_join(path, field), "missing")
        for field in value:
            if field not in fields:
                near = get_close_matches(str(field), fields, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"expected {', '.join(fields)}"
                self.add(_join(path, field), f"unknown field: {hint}")
        return value

    def text(self, record: Mapping[str, Any], field: str, path: str, *, empty: bool = True) -> bool:
        """Whether the field is there and is usable text."""
        return field in record and self.is_text(record[field], _join(path, field), empty=empty)

    def is_text(self, value: object, path: str, *, empty: bool) -> bool:
        problem = ""
        if not isinstance(value, str):
            problem = f"{_kind(value)} {value!r:.40}: expected a string"
        elif not empty and not value.strip():
            problem = "empty: expected some text"
        elif _SURROGATE.search(value):
            problem = "half of a surrogate pair: not valid Unicode"
        if problem:
            self.add(path, problem)
        return not problem

    def items(self, record: Mapping[str, Any], field: str, path: str) -> Sequence[Any] | None:
        """The list in a field; None, noted where it is a problem, when there is none."""
        if field not in record:
            return None
        value = record[field]
        if not isinstance(value, list | tuple):
            self.add(_join(path, field), f"{_kind(value)}: expected a list")
            return None
        return value

    def texts(self, values: Sequence[Any] | None, path: str) -> list[str]:
        """The items that are usable text."""
        return [value for i, value in enumerate(values or ()) if self.is_text(value, f"{path}[{i}]", empty=False)]

    def timestamp(self, record: Mapping[str, Any], path: str) -> None:
        if not self.text(record, "timestamp", path) or not record["timestamp"]:  # "" stands for undated
            return
        if not is_timestamp(record["timestamp"].replace(" ", "T", 1)):
            message = f"{record['timestamp']!r}: expected ISO 8601, e.g. '2023-05-08T13:56' or '2023-05-08'"
            self.add(_join(path, "timestamp"), message)

    def identifier(self, record: Mapping[str, Any], path: str, default: str, seen: set[str], what: str) -> None:
        if "id" in record and not self.text(record, "id", path, empty=False):
            return
        id_ = record.get("id", default)
        if id_ in seen:
            self.add(_join(path, "id"), f"{id_!r}: another {what} of this episode has this id")
        seen.add(id_)

    def references(self, record: Mapping[str, Any], field: str, path: str) -> None:
        place = _join(path, field)
        for id_ in self.texts(self.items(record, field, path), place):
            if id_ not in self.turn_ids:
                self.add(place, f"{id_!r}: no turn of this episode has this id")

    def metric(self, name: str, path: str) -> None:
        from memgym.exam.metrics import METRICS

        if name not in METRICS:
            self.add(path, f"unknown metric {name!r}: expected one of {', '.join(METRICS)}")


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field


def _kind(value: object) -> str:
    """JSON's name for the type of a decoded value."""
    names = {bool: "boolean", int: "number", float: "number", str: "string", type(None): "null"}
    return names.get(type(value), "list" if isinstance(value, list | tuple) else "object")
