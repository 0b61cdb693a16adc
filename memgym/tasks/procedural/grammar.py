"""A small text grammar: ``[a|b|]`` chooses, brackets nest, everything else is literal.

``"[I|we] like [red|[dark|light] blue] tea"`` has 2 x 3 expansions. Slots such as ``{v}`` stay as they are and are
filled afterwards by ``str.format_map``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import TypeVar

Item = TypeVar("Item")
# A node is a sequence of parts; a part is literal text or the alternatives of one choice, each again a node.
Node = tuple["str | tuple[Node, ...]", ...]


def pick(rng: Random, items: Sequence[Item]) -> Item:
    """One item, uniformly. Built on ``random()`` alone, whose stream is the same in every Python version."""
    return items[int(rng.random() * len(items))]


def shuffled(rng: Random, items: Sequence[Item]) -> list[Item]:
    """The items in random order (Fisher-Yates on ``random()`` alone, see ``pick``)."""
    result = list(items)
    for last in range(len(result) - 1, 0, -1):
        other = int(rng.random() * (last + 1))
        result[last], result[other] = result[other], result[last]
    return result


@cache
def compile_pattern(pattern: str) -> Node:
    """Parse a pattern once.

    Raises:
        ValueError: brackets do not balance.
    """
    node, end = _parse(pattern, 0, nested=False)
    if end != len(pattern):
        raise ValueError(f"pattern {pattern!r} has an unbalanced ']' at {end}")
    return node


def expand(rng: Random, pattern: str) -> str:
    """One expansion of a pattern; every choice is uniform and independent."""
    return _expand(compile_pattern(pattern), rng.random)


def _parse(pattern: str, start: int, *, nested: bool) -> tuple[Node, int]:
    parts: list[str | tuple[Node, ...]] = []
    text_from = at = start
    while at < len(pattern) and not (nested and pattern[at] in "|]"):
        if pattern[at] == "]":
            break
        if pattern[at] == "[":
            if at > text_from:
                parts.append(pattern[text_from:at])
            alternatives, at = _parse_choice(pattern, at)
            parts.append(alternatives)
            text_from = at
        else:
            at += 1
    if at > text_from:
        parts.append(pattern[text_from:at])
    return tuple(parts), at


def _parse_choice(pattern: str, start: int) -> tuple[tuple[Node, ...], int]:
    alternatives: list[Node] = []
    at = start
    while at == start or pattern[at] == "|":
        node, at = _parse(pattern, at + 1, nested=True)
        if at == len(pattern):
            raise ValueError(f"pattern {pattern!r} has an unbalanced '[' at {start}")
        alternatives.append(node)
    return tuple(alternatives), at + 1


def _expand(node: Node, random: Callable[[], float]) -> str:
    text = ""
    for part in node:
        text += part if isinstance(part, str) else _expand(part[int(random() * len(part))], random)
    return text
