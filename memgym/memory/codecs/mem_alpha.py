"""Mem-alpha's memory tools (arXiv 2509.25911) as native tool calls: JSON between ``<tool_call>`` tags."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from memgym.memory.codecs.base import (
    DEFAULT_RESULTS,
    NOOP,
    check_renderable,
    check_stores,
    invalid,
    readable,
    unreadable,
    without_idle,
)
from memgym.memory.codecs.fields import UnreadableError, read_id, read_store, read_text, write_timestamp
from memgym.memory.codecs.lenient_json import find_json
from memgym.memory.operations import Operation, OperationKind
from memgym.memory.validation import quote

_TOOLS: dict[str, OperationKind] = {
    "new_memory_insert": "insert",
    "memory_update": "update",
    "memory_delete": "delete",
    "search_memory": "search",
}
_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_TAG = re.compile(r"<(?=/?tool_call>)")
_LOOKS_LIKE_CALL = re.compile(r"\{\s*[\"']?(?:name|function|tool_calls)\b")
_NOTHING = re.compile(r"(?:[\s\"'`*.]*+(?:done|noop|none|no operations?|nothing)[\s\"'`*.!]*+)?", re.IGNORECASE)
_EXAMPLES = {
    "core": Operation("update", "core", "Mina is a nurse in Oslo."),
    "episodic": Operation("insert", "episodic", "Mina adopted a cat named Fig.", timestamp="2024-03-02"),
    "semantic": Operation("insert", "semantic", "Mina is allergic to nuts."),
}
_MALFORMED = "malformed JSON in a tool call"


class MemAlphaCodec:
    """One call per operation: ``new_memory_insert``, ``memory_update``, ``memory_delete``, ``search_memory``.

    Stores are written ``core_memory``, ``episodic_memory`` and ``semantic_memory``. "done" means nothing to do.
    """

    name = "mem_alpha"

    def parse(self, text: str) -> list[Operation]:
        """The operations in a reply; see ``Codec.parse``."""
        body = readable(text)
        if body is None:
            return unreadable(text)
        if _NOTHING.fullmatch(body):
            return [NOOP]
        blocks = [block.partition(_CLOSE)[0] for block in body.split(_OPEN)[1:]] or [body]
        return without_idle(operation for block in blocks for operation in _read_block(block))

    def render(self, operations: Sequence[Operation]) -> str:
        """One tagged call per operation, "done" for noops alone; see ``Codec.render``."""
        return "\n".join(_write_call(operation) for operation in operations if operation.kind != "noop") or "done"

    def instructions(self, stores: Sequence[str], *, search: bool) -> str:
        """How to write the calls; see ``Codec.instructions``."""
        kept = check_stores(stores)
        named = [f"{store}_memory" for store in kept]
        every, lists = " | ".join(named), " | ".join(name for name in named if name != "core_memory")
        tools = [
            f"memory_update(memory_type: {every}, new_content, memory_id) rewrites",
            f"memory_delete(memory_type: {every}, memory_id) removes",
        ]
        if lists:
            tools.insert(0, f"new_memory_insert(memory_type: {lists}, content, timestamp) adds an entry")
        if search and lists:
            tools.append(f"search_memory(memory_type: {lists}, query) finds entries")
        example = next(_EXAMPLES[store] for store in reversed(kept))
        return "\n".join(
            [
                "Change the memory with tool calls, each one JSON object between <tool_call> tags:",
                *(f"- {tool}" for tool in tools),
                "memory_id is the number of an entry. timestamp is optional, such as 2024-03-02.",
                "Make all calls in one reply. If nothing is worth keeping, reply: done",
                "Example:",
                self.render([example]),
            ]
        )


def _read_block(block: str) -> list[Operation]:
    return list(_calls(block)) or [invalid("no tool call found: write <tool_call>{...}</tool_call>, or done")]


def _calls(block: str) -> Iterator[Operation]:
    for piece in find_json(block):
        if piece.readable:
            yield from _read_value(piece.value)
        elif _LOOKS_LIKE_CALL.match(block, piece.start):
            yield invalid(_MALFORMED)


def _read_value(value: Any) -> Iterator[Operation]:
    """The operations in an object or list; nothing of what is no call."""
    if isinstance(value, list):
        for item in value:
            if isinstance(item, dict):
                yield from _read_value(item)
    elif "tool_calls" in value:
        calls = value["tool_calls"]
        yield from _read_value(calls) if isinstance(calls, list) else [invalid(_MALFORMED)]
    elif "name" in value or "function" in value:
        yield _read_call(value)


def _read_call(call: dict[str, Any]) -> Operation:
    inner = call.get("function")
    fields = inner if isinstance(inner, dict) else call
    name = fields.get("name", inner)
    if not isinstance(name, str) or name not in _TOOLS:
        return invalid(f"unknown tool {quote(name)}: use one of {', '.join(_TOOLS)}")
    try:
        return _operation(_TOOLS[name], _arguments(fields))
    except UnreadableError as error:
        return invalid(f"{name}: {error}")


def _arguments(fields: dict[str, Any]) -> dict[str, Any]:
    arguments = fields.get("arguments", fields.get("parameters", fields))
    if isinstance(arguments, str):
        arguments = next((piece.value for piece in find_json(arguments)), None)
    if not isinstance(arguments, dict):
        raise UnreadableError("its arguments are no JSON object")
    return arguments


def _operation(kind: OperationKind, arguments: dict[str, Any]) -> Operation:
    store = read_store(arguments, "memory_type")
    if kind == "search":
        k = read_id(arguments, "k", "top_k")
        return Operation(kind, store, read_text(arguments, "query"), k=DEFAULT_RESULTS if k is None else k)
    entry_id = None if kind == "insert" or store == "core" else read_id(arguments, "memory_id", "id")
    if kind == "delete":
        return Operation(kind, store, entry_id=entry_id)
    names = ("content", "new_content") if kind == "insert" else ("new_content", "content")
    return Operation(kind, store, read_text(arguments, *names), entry_id, read_text(arguments, "timestamp"))


def _write_call(operation: Operation) -> str:
    check_renderable(MemAlphaCodec.name, operation)
    tool = next(tool for tool, kind in _TOOLS.items() if kind == operation.kind)
    call = json.dumps({"name": tool, "arguments": _write_arguments(operation)}, ensure_ascii=False)
    call = _TAG.sub(r"\\u003c", call)  # a tag in a text must not end the call
    return f"{_OPEN}\n{call}\n{_CLOSE}"


def _write_arguments(operation: Operation) -> dict[str, Any]:
    arguments: dict[str, Any] = {"memory_type": f"{operation.store}_memory"} if operation.store else {}
    if operation.kind == "search":
        arguments["query"] = operation.text
        return arguments | ({} if operation.k == DEFAULT_RESULTS else {"k": operation.k})
    if operation.kind != "insert" and operation.store != "core":
        arguments["memory_id"] = operation.entry_id
    if operation.kind == "delete":
        return arguments
    arguments["content" if operation.kind == "insert" else "new_content"] = operation.text
    return arguments | write_timestamp(operation)
