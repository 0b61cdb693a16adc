"""Hard token budgets of a memory bank."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

TokenCounter = Callable[[str], int]

_LEXICAL = re.compile(r"\w+|[^\w\s]")


def count_lexical_tokens(text: str) -> int:
    """Length of ``text`` in lexical tokens: runs of word characters and single punctuation marks.

    The default unit of every budget. It needs no vocabulary and no download, and gives the same figure on every
    machine. English text has about 0.8 lexical tokens per token of a 50k BPE vocabulary.
    """
    return len(_LEXICAL.findall(text))


def first_lexical_tokens(text: str, limit: int) -> str:
    """The longest beginning of ``text`` that has at most ``limit`` lexical tokens."""
    for number, token in enumerate(_LEXICAL.finditer(text)):
        if number == limit:
            return text[: token.start()].rstrip()
    return text


@dataclass(frozen=True, slots=True)
class Budget:
    """Token limits per store and in total; None means no limit.

    Entry ids and timestamps are not counted, only texts. The default core limit is Mem-alpha's 512 (arXiv 2509.25911).
    """

    core: int | None = 512  # tokens
    episodic: int | None = None  # tokens
    semantic: int | None = None  # tokens
    total: int | None = None  # tokens, over the three stores

    def __post_init__(self) -> None:
        for name in ("core", "episodic", "semantic", "total"):
            limit = getattr(self, name)
            if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
                raise ValueError(
                    f"budget {name}={limit!r}: expected a non-negative int in tokens, or None for no limit"
                )

    def limit(self, store: str) -> int | None:
        """Limit of one store, in tokens."""
        return {"core": self.core, "episodic": self.episodic, "semantic": self.semantic}[store]


UNLIMITED = Budget(core=None)
