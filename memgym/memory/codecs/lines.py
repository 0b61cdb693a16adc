"""One operation per line, each marked by a sign that is one token in byte-level BPE vocabularies such as SmolLM2's."""

from __future__ import annotations

import re
from collections.abc import Sequence

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
from memgym.memory.operations import Operation
from memgym.memory.validation import ISO_8601, is_timestamp, quote

_SIGNS = {"+": "semantic", "@": "episodic"}
_SIGN_OF = {store: sign for sign, store in _SIGNS.items()}
_CLEAR_CORE = "-="
_UNDATED = "- "  # before a text that would otherwise be read as starting with a date, or with this very mark

_BREAK = re.compile(r"[\r\n]+")
_NOTHING = re.compile(r"\.+|(?:done|noop|none|nothing)\.?", re.IGNORECASE)
_BULLET = re.compile(r"^(?:[*•·–—-]|[0-9]{1,3}[.)])\s+(?=[+@=~?.-])")
_CLEAR = re.compile(r"-\s*=")
_UPDATE = re.compile(r"~\s*#?[\[(]?([0-9]{1,18})[\])]?[:.]?(?:\s+(.*))?", re.DOTALL)
_DELETE = re.compile(r"-\s*#?[\[(]?([0-9]{1,18})[\])]?[:.]?")
_QUOTE = re.compile(r"[1-9][0-9]{0,5}")
_SEARCH = re.compile(r"\?(?:([+@]?)([0-9]{0,9})\s)?\s*(.*)", re.DOTALL)
_DATED = re.compile(rf"({ISO_8601.pattern})(?:[:,]?\s+|$)")
_MARKED = re.compile(r"-(?:\s+|$)")


class LinesCodec:
    """The tersest format, for small models.

    ========================  =======================================================
    ``+ text``                insert into semantic
    ``@ text``                insert into episodic
    ``@3``                    insert line 3 of the chunk into episodic, word for word; ``+3`` into semantic;
                              with a blank, ``@ 3``, the text is "3"
    ``= text``                rewrite core
    ``-=``                    clear core
    ``~3 text``               rewrite entry 3, in whatever store it is
    ``-3``                    delete entry 3
    ``? words``               search both stores; ``?+`` semantic, ``?@`` episodic, ``?9`` nine results
    ``.``                     do nothing
    ========================  =======================================================

    A date (ISO 8601: a day, or a day and a time joined by T) before the text of a written entry is its timestamp;
    ``- `` there says that what follows is text whatever it looks like. Line breaks in a text are written as one space,
    and surrounding white space is not kept. Updates and deletes are read with store "": the id says which it is.
    """

    name = "lines"

    def parse(self, text: str) -> list[Operation]:
        """The operations in a reply; see ``Codec.parse``."""
        body = readable(text)
        if body is None:
            return unreadable(text)
        lines = [line.strip() for line in _BREAK.split(body)]
        return without_idle(_read_line(line) for line in lines if line and not line.startswith("```"))

    def render(self, operations: Sequence[Operation]) -> str:
        """One line per operation, "." for noops alone; see ``Codec.render``."""
        return "\n".join(_write_line(operation) for operation in operations if operation.kind != "noop") or "."

    def instructions(self, stores: Sequence[str], *, search: bool) -> str:
        """How to write the lines; see ``Codec.instructions``."""
        kept = check_stores(stores)
        rules, example = [], []
        if "core" in kept:
            rules.append("= TEXT rewrites the core paragraph")
            example.append("= Mina is a nurse in Oslo.")
        if "semantic" in kept:
            rules.append("+ TEXT adds a fact")
            example.append("+ Mina is allergic to nuts.")
        if "episodic" in kept:
            rules.append("@ DATE TEXT adds an event; the date, such as 2024-03-02, may be left out")
            example.append("@ 2024-03-02 Mina adopted a cat named Fig.")
        if kept != ("core",):
            rules += ["~ID TEXT rewrites the entry with that number", "-ID deletes the entry with that number"]
            example += ["~4 Mina works nights at the hospital.", "-2"]
        if search:
            rules.append("? WORDS searches the entries")
        rules.append(". alone changes nothing")
        return "\n".join(["Write one operation per line and nothing else:", *rules, "Example:", *example])


def _read_line(line: str) -> Operation:
    if _CLEAR.fullmatch(line):
        return Operation("delete", "core")
    line = _BULLET.sub("", line, count=1)
    sign, rest = line[0], line[1:].strip()
    if _NOTHING.fullmatch(line):
        return NOOP
    if sign in _SIGNS and _QUOTE.fullmatch(line[1:]):
        return Operation("insert", _SIGNS[sign], quote=int(rest))
    if sign in _SIGNS:
        return _read_write(Operation("insert", _SIGNS[sign], rest))
    if sign == "=":
        return _read_write(Operation("update", "core", rest))
    if update := _UPDATE.fullmatch(line):
        return _read_write(Operation("update", text=update[2] or "", entry_id=int(update[1])))
    if delete := _DELETE.fullmatch(line):
        return Operation("delete", entry_id=int(delete[1]))
    if sign == "?" and (search := _SEARCH.fullmatch(line)):
        store, k, words = search[1] or "", search[2] or "", search[3]
        return Operation("search", _SIGNS.get(store, ""), words.strip(), k=int(k) if k else DEFAULT_RESULTS)
    return invalid(f"cannot read the line {quote(line)}")


def _read_write(operation: Operation) -> Operation:
    """The operation with its text split into mark or date, and content."""
    text, timestamp = operation.text, ""
    if mark := _MARKED.match(text):
        text = text[mark.end() :]
    elif dated := _dated(text):
        text, timestamp = text[dated.end() :], dated[1]
    return Operation(operation.kind, operation.store, text, operation.entry_id, timestamp)


def _dated(text: str) -> re.Match[str] | None:
    """The date that a text begins with, if there is such a day."""
    match = _DATED.match(text)
    return match if match and is_timestamp(match[1]) else None


def _write_line(operation: Operation) -> str:
    if operation.kind == "insert" and operation.quote and operation.store in _SIGN_OF:
        return f"{_SIGN_OF[operation.store]}{operation.quote}"
    check_renderable(LinesCodec.name, operation)
    text = " ".join(line.strip() for line in _BREAK.split(operation.text) if line.strip())
    if operation.kind == "search":
        k = "" if operation.k == DEFAULT_RESULTS else str(operation.k)
        return f"?{_SIGN_OF.get(operation.store, '')}{k} {text}"
    if operation.kind == "delete":
        return _CLEAR_CORE if operation.store == "core" else f"-{operation.entry_id}"
    if operation.timestamp:
        text = f"{operation.timestamp} {text}"
    elif _MARKED.match(text) or _dated(text):
        text = _UNDATED + text
    if operation.kind == "insert":
        return f"{_SIGN_OF[operation.store]} {text}"
    return f"= {text}" if operation.store == "core" else f"~{operation.entry_id} {text}"
