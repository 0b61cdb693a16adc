"""Cutting a stream of turns into the chunks a policy reads one by one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal, get_args

from memgym.memory.budget import TokenCounter, count_lexical_tokens
from memgym.tasks.episode import Chunk, Turn

ChunkUnit = Literal["session", "turns", "tokens"]

_SPEC = re.compile(r"session|(turns|tokens):([0-9]+)(:across)?")


def _numbered(groups: Iterable[Sequence[Turn]]) -> tuple[Chunk, ...]:
    """Chunks with indices from 0; groups without turns give none."""
    return tuple(Chunk(index, tuple(group)) for index, group in enumerate(group for group in groups if group))


def _check_size(name: str, size: int, unit: str) -> None:
    if isinstance(size, bool) or not isinstance(size, int):
        raise TypeError(f"{name}={size!r}: expected a whole number of {unit}")
    if size < 1:
        raise ValueError(f"{name}={size}: expected at least 1 ({unit} per chunk)")


def chunk_by_sessions(sessions: Sequence[Sequence[Turn]]) -> tuple[Chunk, ...]:
    """One chunk per session; empty sessions are skipped."""
    return _numbered(sessions)


def chunk_by_turns(turns: Sequence[Turn], n: int) -> tuple[Chunk, ...]:
    """Chunks of ``n`` turns each, the last one shorter where ``n`` does not divide the length.

    Args:
        turns: the stream, or one session of it to keep sessions apart.
        n: turns per chunk, at least 1.

    Raises:
        ValueError: ``n`` below 1.
        TypeError: ``n`` is no int.
    """
    _check_size("n", n, "turns")
    return _numbered(turns[start : start + n] for start in range(0, len(turns), n))


def chunk_by_tokens(
    turns: Sequence[Turn], max_tokens: int, count_tokens: TokenCounter = count_lexical_tokens
) -> tuple[Chunk, ...]:
    """Greedy chunks of whole turns whose text has at most ``max_tokens`` tokens.

    A turn is never split: one that is longer than the limit becomes a chunk of its own, over the limit.

    Args:
        turns: the stream, or one session of it to keep sessions apart.
        max_tokens: limit on ``count_tokens(chunk.text)``, at least 1.
        count_tokens: length of a text in tokens.

    Raises:
        ValueError: ``max_tokens`` below 1.
        TypeError: ``max_tokens`` is no int.
    """
    _check_size("max_tokens", max_tokens, "tokens")
    groups: list[list[Turn]] = []
    text = ""
    for turn in turns:
        # The joined text is counted, not the sum over turns: a subword tokenizer may merge across the line break.
        joined = f"{text}\n{turn.line}"
        if groups and count_tokens(joined) <= max_tokens:
            groups[-1].append(turn)
            text = joined
        else:
            groups.append([turn])
            text = turn.line
    return _numbered(groups)


@dataclass(frozen=True, slots=True)
class Chunking:
    """How to cut sessions into chunks; made from text by :func:`parse_chunking`."""

    unit: ChunkUnit
    size: int = 1  # sessions, turns or tokens per chunk
    across: bool = False  # whether a chunk may hold turns of two sessions

    def __post_init__(self) -> None:
        if self.unit not in get_args(ChunkUnit):
            raise ValueError(f"chunking unit {self.unit!r}: expected one of {', '.join(get_args(ChunkUnit))}")
        _check_size("size", self.size, self.unit)
        if self.unit == "session" and (self.size != 1 or self.across):
            raise ValueError("chunking by session takes neither a size nor across: a chunk is exactly one session")

    def __call__(
        self, sessions: Sequence[Sequence[Turn]], count_tokens: TokenCounter = count_lexical_tokens
    ) -> tuple[Chunk, ...]:
        """Cut ``sessions``; chunks stay inside a session unless ``across``. Indices run over the whole stream."""
        streams = [list(chain.from_iterable(sessions))] if self.across else sessions
        return _numbered(chunk.turns for stream in streams for chunk in self._cut(stream, count_tokens))

    def _cut(self, turns: Sequence[Turn], count_tokens: TokenCounter) -> tuple[Chunk, ...]:
        if self.unit == "turns":
            return chunk_by_turns(turns, self.size)
        if self.unit == "tokens":
            return chunk_by_tokens(turns, self.size, count_tokens)
        return chunk_by_sessions([turns])


def parse_chunking(spec: str) -> Chunking:
    """Read a chunking from text, as written in configs and on the command line.

    Args:
        spec: ``"session"``, ``"turns:N"`` or ``"tokens:N"`` (at most N lexical tokens). Chunks end with their session;
            ``"turns:N:across"`` and ``"tokens:N:across"`` let them run on into the next one.

    Raises:
        ValueError: any other text, or N = 0.
        TypeError: ``spec`` is no string.
    """
    if not isinstance(spec, str):
        raise TypeError(f"chunking {spec!r}: expected text such as 'session', 'turns:8' or 'tokens:512'")
    match = _SPEC.fullmatch(spec)
    if match is None or (match[2] is not None and int(match[2]) == 0):
        raise ValueError(
            f"chunking {spec!r}: expected 'session', 'turns:N' or 'tokens:N' with N >= 1, optionally with ':across'"
        )
    if match[1] is None:
        return Chunking("session")
    return Chunking("turns" if match[1] == "turns" else "tokens", int(match[2]), across=match[3] is not None)
