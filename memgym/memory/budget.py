"""Hard token budgets of a memory bank."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

TokenCounter = Callable[[str], int]

MAX_WORD = 16  # characters of a word that one token pays for; few English words are longer

# Scripts written without blanks between words, by block: South-East Asian, Tibetan, Chinese, Japanese, Tangut. The
# Vedic signs (1CD0) are here because the word index takes some of them for blanks.
_UNSPACED = (
    r"\u0e00-\u109f\u1780-\u17ff\u1950-\u1b7f\u1cd0-\u1cff\u2e80-\u2fff\u3005-\u312f\u31a0-\u9fff\ua980-\ua9ff"
    r"\uaa60-\uaadf\uf900-\ufaff\uff66-\uff9f\U00016fe0-\U00018d8f\U0001aff0-\U0001b2ff\U00020000-\U0003ffff"
)
_LEXICAL = re.compile(rf"[^\W_{_UNSPACED}]{{1,{MAX_WORD}}}|\S")
_LEXICAL_ASCII = re.compile(rf"[A-Za-z0-9]{{1,{MAX_WORD}}}|\S")  # the same for ASCII, several times faster


def count_lexical_tokens(text: str) -> int:
    """Length of ``text`` in lexical tokens, the default unit of every budget.

    A word (a run of letters and digits) is one token for every 16 characters begun, a punctuation mark or symbol is
    one, and so is each character of a script without blanks between words, such as Chinese. ``_`` is a mark that ends
    a word, as it is for the search: whatever separates words for search and reader costs at least what a blank does.

    The unit needs no vocabulary and no download, and gives the same figure on every machine. English text has about
    0.8 lexical tokens per token of a 50k BPE vocabulary.
    """
    return len(_pattern(text).findall(text))


def first_lexical_tokens(text: str, limit: int) -> str:
    """The longest beginning of ``text`` that has at most ``limit`` lexical tokens; it may end inside a long word."""
    for number, token in enumerate(_pattern(text).finditer(text)):
        if number == limit:
            return text[: token.start()].rstrip()
    return text


def _pattern(text: str) -> re.Pattern[str]:
    return _LEXICAL_ASCII if text.isascii() else _LEXICAL


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

    def left(self, used: Mapping[str, int]) -> dict[str, int | None]:
        """Tokens that still fit, by "core", "episodic", "semantic" and "total"; None where there is no limit.

        Args:
            used: Tokens used in each of the three stores.
        """
        left = {store: _difference(self.limit(store), tokens) for store, tokens in used.items()}
        return left | {"total": _difference(self.total, sum(used.values()))}


def _difference(limit: int | None, used: int) -> int | None:
    return None if limit is None else max(0, limit - used)


UNLIMITED = Budget(core=None)
