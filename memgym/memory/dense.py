"""Ranking entries by the vectors of their texts, which are kept in the bank's own database."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from memgym.memory.database import transaction
from memgym.memory.encoder import Encoder
from memgym.memory.fusion import fuse_ranks
from memgym.memory.operations import ENTRY_STORES
from memgym.memory.query import query_terms
from memgym.memory.ranking import Ranking, take_best

MAX_QUERIES = 1024  # vectors of queries kept at most, unless an exam has more questions
DECIMALS = 6  # of a cosine; what is below depends on the order in which a processor adds, and would break ties

# Made when a bank is first searched by vectors; the bank of one that never is has no such table. What is in it is
# derived from the entries and may be lost at any time. The triggers see to it that no vector outlives its text, even
# where the file is opened without an encoder.
_CREATE = (
    """CREATE TABLE IF NOT EXISTS vectors (
        id INTEGER PRIMARY KEY,  -- of the entry
        encoder TEXT NOT NULL,   -- its name
        vector BLOB NOT NULL     -- little-endian float32, of length 1
    )""",
    """CREATE TRIGGER IF NOT EXISTS vectors_delete AFTER DELETE ON entries BEGIN
        DELETE FROM vectors WHERE id = old.id;
    END""",
    """CREATE TRIGGER IF NOT EXISTS vectors_update AFTER UPDATE OF text ON entries WHEN new.text <> old.text BEGIN
        DELETE FROM vectors WHERE id = old.id;
    END""",
)
_SELECT = """
    SELECT e.id, e.store, v.vector, CASE WHEN v.id IS NULL THEN e.text END
    FROM entries AS e LEFT JOIN vectors AS v ON v.id = e.id AND v.encoder = ? AND length(v.vector) = ?
    WHERE e.id > 0 ORDER BY e.id"""
_INSERT = "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)"
_FLOAT = np.dtype("<f4")


class _Index(NamedTuple):
    """The entries as they are, in the order of their ids."""

    ids: np.ndarray  # (N,)
    in_store: dict[str, np.ndarray]  # positions of the entries of each store
    vectors: np.ndarray  # (N, D)


class DenseRanking:
    """Ranks entries by the cosine of their vectors with a query's, alone or fused with their BM25 ranks.

    Search is exact: a bank is small. Entries written since the last search are encoded at the next one, all of them
    and the query in one call of the encoder.
    """

    def __init__(self, database: sqlite3.Connection, encoder: Encoder, lexical: Ranking | None) -> None:
        """Create a ranking over an open bank database.

        Args:
            database: Of the bank; vectors are read from and written to it.
            encoder: Makes the vectors.
            lexical: The BM25 ranking to fuse with; None ranks by vectors alone.
        """
        self._database = database
        self._encoder = encoder
        self._lexical = lexical
        self._queries: dict[str, np.ndarray] = {}  # query -> vector (D,)
        self.forget()

    def forget(self) -> None:
        """To be called whenever an entry changes."""
        self._index: _Index | None = None

    def prepare(self, queries: Sequence[str]) -> None:
        """Encode what has no vector yet, entries and ``queries`` alike, in one call of the encoder."""
        self._prepare(queries)

    def best(self, query: str, store: str | None, k: int) -> list[tuple[int, float]]:
        """Ids and scores of the ``k`` best entries, best first, ties by id.

        A score is a cosine, or the sum of reciprocal ranks. Ranks are those among the entries of both stores, so that
        scores of one store can be compared with those of the other.

        Args:
            query: Any text; a blank one finds nothing.
            store: "episodic" or "semantic"; None for both.
            k: Number of results; none for 0 or less.
        """
        if not query.strip() or k <= 0:
            return []
        index = self._prepare([query])
        if not len(index.ids):
            return []
        everywhere = np.arange(len(index.ids))
        scores = np.round((index.vectors @ self._queries[query]).astype(np.float64), DECIMALS)
        if self._lexical is not None:
            by_vector = take_best(scores, everywhere, len(everywhere))
            scores = fuse_ranks([self._by_words(query, index.ids, self._lexical), by_vector], len(everywhere))
        candidates = index.in_store[store] if store else everywhere
        order = take_best(scores, candidates, min(k, len(everywhere)))
        return list(zip(index.ids[order].tolist(), scores[order].tolist(), strict=True))

    def _prepare(self, queries: Sequence[str]) -> _Index:
        index, unread = self._read() if self._index is None else (self._index, {})
        new = [query for query in dict.fromkeys(queries) if query not in self._queries] if len(index.ids) else []
        if unread or new:
            vectors = self._encode([*unread.values(), *new])
            self._store(index, list(unread), vectors[: len(unread)])
            self._keep(new, vectors[len(unread) :].copy())  # a view would keep the vectors of the entries alive
        self._index = index
        return index

    @staticmethod
    def _by_words(query: str, ids: np.ndarray, lexical: Ranking) -> np.ndarray:
        """Positions of the entries that share a word with ``query``, best BM25 score first."""
        ranked = lexical.best(query_terms(query), None, len(ids))
        return np.searchsorted(ids, np.array([id_ for id_, _ in ranked], dtype=np.int64))

    def _read(self) -> tuple[_Index, dict[int, str]]:
        """The entries with the vectors there are, and position -> text of those without: their rows are zeros."""
        for statement in _CREATE:
            self._database.execute(statement)
        width = self._encoder.dimension * _FLOAT.itemsize
        rows = self._database.execute(_SELECT, (self._encoder.name, width)).fetchall()
        stores = np.array([store for _, store, _, _ in rows])
        stored = bytearray(b"".join(vector or bytes(width) for _, _, vector, _ in rows))
        index = _Index(
            ids=np.array([id_ for id_, _, _, _ in rows], dtype=np.int64),
            in_store={name: np.flatnonzero(stores == name) for name in ENTRY_STORES},
            vectors=np.frombuffer(stored, dtype=_FLOAT).reshape(len(rows), self._encoder.dimension),
        )
        return index, {position: text for position, (_, _, _, text) in enumerate(rows) if text is not None}

    def _encode(self, texts: list[str]) -> np.ndarray:
        """Vectors of length 1, shape (N, D); that of a text in which the encoder sees nothing stays zero."""
        name, shape = self._encoder.name, (len(texts), self._encoder.dimension)
        # Half a surrogate pair, which a model may write into a query, is no text to a tokenizer.
        vectors = np.asarray(self._encoder.encode([text.encode("utf-8", "replace").decode() for text in texts]), _FLOAT)
        if vectors.shape != shape:
            raise ValueError(f"encoder {name!r} gave an array of shape {vectors.shape}: expected (texts, D) = {shape}")
        if not np.isfinite(vectors).all():
            raise ValueError(f"encoder {name!r} gave a vector that is not finite: expected finite numbers only")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(lengths > 0, lengths, 1)

    def _store(self, index: _Index, positions: list[int], vectors: np.ndarray) -> None:
        """Complete the index and the database."""
        if not positions:
            return
        index.vectors[positions] = vectors
        rows = zip(index.ids[positions].tolist(), vectors, strict=True)
        with transaction(self._database):
            self._database.executemany(_INSERT, ((id_, self._encoder.name, row.tobytes()) for id_, row in rows))

    def _keep(self, queries: list[str], vectors: np.ndarray) -> None:
        if len(self._queries) + len(queries) > MAX_QUERIES:
            self._queries = {}
        self._queries.update(zip(queries, vectors, strict=True))
