"""JSON as models write it: in prose and fences, with single quotes, trailing commas, bare words or missing closers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 16  # of nested objects and lists; a format here needs 4
MAX_FAILURES = 16  # unreadable openings per text, after which the rest is not looked at

_STRICT = json.JSONDecoder()
_RELAXED = json.JSONDecoder(strict=False)  # allows raw line breaks in strings
_OPENING = re.compile(r"[{\[]")
_SEPARATORS = re.compile(r"[\s,]*")
_COLON = re.compile(r"\s*[:=]\s*")
_BARE = re.compile(r"[^\W\d]\w*")
_NUMBER = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?(?![\w.])")
# A quote ends the string only if what follows may follow a value, so that an unescaped one inside does no harm.
_STRINGS = {
    mark: re.compile(rf"{mark}((?:[^{mark}\\]|\\.|{mark}(?!\s*(?:[,:\]}}]|$)))*+){mark}", re.DOTALL) for mark in "\"'"
}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)|\"", re.DOTALL)
_LITERALS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}


@dataclass(frozen=True, slots=True)
class JsonPiece:
    """One object or list found in a text."""

    start: int  # character where it opens
    value: Any  # the dict or list; None if it could not be read
    readable: bool


def find_json(text: str) -> Iterator[JsonPiece]:
    """The objects and lists in ``text``, outermost first, in order; after an unreadable one, those inside it."""
    position = failures = 0
    while failures < MAX_FAILURES and (opening := _OPENING.search(text, position)):
        start = opening.start()
        try:
            value, position = _read(text, start)
        except ValueError:
            failures += 1
            position = start + 1
            yield JsonPiece(start, None, False)
        else:
            yield JsonPiece(start, value, True)


def _read(text: str, start: int) -> tuple[Any, int]:
    """The value that opens at ``start`` and where it ends; ValueError if there is none."""
    try:
        return _STRICT.raw_decode(text, start)
    except (ValueError, RecursionError):
        return _value(text, start, MAX_DEPTH)


def _value(text: str, at: int, depth: int) -> tuple[Any, int]:
    mark = text[at : at + 1]
    if mark in ("{", "["):
        if depth == 0:
            raise ValueError("nested too deeply")
        return _object(text, at + 1, depth - 1) if mark == "{" else _list(text, at + 1, depth - 1)
    if mark in ('"', "'"):
        return _string(text, at, mark)
    if number := _NUMBER.match(text, at):
        digits = number.group()
        return (float(digits) if "." in digits else int(digits)), number.end()
    if word := _BARE.match(text, at):
        return _LITERALS.get(word.group(), word.group()), word.end()
    raise ValueError(f"no value at character {at}")


def _object(text: str, at: int, depth: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    while (at := _skip(text, at)) < len(text) and text[at] != "}":
        key, at = _value(text, at, 0)
        colon = _COLON.match(text, at)
        if colon is None:
            raise ValueError(f"no colon at character {at}")
        value, at = _value(text, colon.end(), depth)
        found[str(key)] = value
    return found, at + 1


def _list(text: str, at: int, depth: int) -> tuple[list[Any], int]:
    found: list[Any] = []
    while (at := _skip(text, at)) < len(text) and text[at] != "]":
        value, at = _value(text, at, depth)
        found.append(value)
    return found, at + 1


def _string(text: str, at: int, mark: str) -> tuple[str, int]:
    match = _STRINGS[mark].match(text, at)
    if match is None:
        raise ValueError(f"the string at character {at} has no end")
    return _RELAXED.decode(f'"{_ESCAPE.sub(_strict_escape, match.group(1))}"'), match.end()


def _strict_escape(match: re.Match[str]) -> str:
    escaped = match.group(1)
    if escaped is None:
        return '\\"'
    if escaped == "'":
        return "'"
    return match.group() if escaped[0] in '"\\/bfnrt' or len(escaped) == 5 else "\\" + match.group()


def _skip(text: str, at: int) -> int:
    separators = _SEPARATORS.match(text, at)
    return separators.end() if separators else at
