"""From any text to a full-text query that SQLite accepts."""

from __future__ import annotations

import re

MAX_TERMS = 256  # distinct terms; a longer query is cut, so that its cost stays bounded

# Letters and digits, with the combining accents that the unicode61 tokenizer folds into them.
_TERM = re.compile(r"[^\W_](?:[^\W_]|[\u0300-\u0331])*")


def match_expression(text: str) -> str:
    """An FTS5 expression for entries that share at least one word with ``text``.

    Every word is quoted, so operators, quotes, NUL bytes and lone surrogates in ``text`` have no effect.

    Returns:
        The words joined by OR, at most ``MAX_TERMS`` distinct ones in order of appearance; "" without any word.
    """
    terms: dict[str, None] = {}
    for match in _TERM.finditer(text):
        terms[match.group().lower()] = None
        if len(terms) == MAX_TERMS:
            break
    return " OR ".join(f'"{term}"' for term in terms)
