"""From any text to a full-text query that SQLite accepts."""

from __future__ import annotations

import re

MAX_TERMS = 256  # distinct terms; a longer query is cut, so that its cost stays bounded

# Letters and digits, with the combining accents that the unicode61 tokenizer folds into them.
_TERM = re.compile(r"[^\W_](?:[^\W_]|[\u0300-\u0331])*")


def query_terms(text: str) -> list[str]:
    """FTS5 expressions for the words of ``text``, at most ``MAX_TERMS`` distinct ones in order of appearance.

    Every word is quoted, so operators, quotes, NUL bytes and lone surrogates in ``text`` have no effect. Joined by
    " OR " they find the entries that share at least one word with ``text``.
    """
    terms: dict[str, None] = {}
    for match in _TERM.finditer(text):
        terms[f'"{match.group().lower()}"'] = None
        if len(terms) == MAX_TERMS:
            break
    return list(terms)
