"""The tables of a memory bank: entries, their full-text index and the journal; only here are they changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from memgym.memory.database import open_blank, open_snapshot, take_snapshot, transaction
from memgym.memory.dense import DenseRanking
from memgym.memory.encoder import Encoder, Retrieval
from memgym.memory.journal import (
    JournalRow,
    entry_from_values,
    entry_values,
    journal_row_from_values,
    journal_values,
)
from memgym.memory.operations import ENTRY_STORES, Entry, OperationResult
from memgym.memory.query import query_terms
from memgym.memory.ranking import Ranking

CORE_ID = 0  # the entry that is core; the ids of all others are positive
MAX_INTEGER = 2**63 - 1  # of SQLite
MAX_RANKED = 100  # results up to which searches of an unchanged bank go through ``Ranking``, and are read one by one

_COLUMNS = "e.id, e.store, e.text, e.timestamp, e.sources, e.created_step, e.updated_step"
_SELECT = f"SELECT {_COLUMNS} FROM entries AS e"
_SELECT_ONE = f"{_SELECT} WHERE e.id = ?"
_SELECT_ALL = f"{_SELECT} WHERE e.id >= ? ORDER BY e.id"
_SELECT_STORE = f"{_SELECT} WHERE e.store = ? ORDER BY e.id"
_SELECT_NEWEST = f"{_SELECT} WHERE e.store = ? ORDER BY e.updated_step DESC, e.id DESC LIMIT ?"
_SEARCH_ALL = f"""
    SELECT {_COLUMNS}, hit.score FROM (
        SELECT rowid AS id, -bm25(entries_index) AS score
        FROM entries_index WHERE entries_index MATCH ? ORDER BY score DESC, id LIMIT ?
    ) AS hit JOIN entries AS e ON e.id = hit.id ORDER BY hit.score DESC, hit.id"""
_SEARCH_STORE = f"""
    SELECT {_COLUMNS}, -bm25(entries_index) AS score
    FROM entries_index JOIN entries AS e ON e.id = entries_index.rowid
    WHERE entries_index MATCH ? AND e.store = ? ORDER BY score DESC, e.id LIMIT ?"""
_FIND_TEXT = "SELECT id FROM entries WHERE store = ? AND text = ?"
_INSERT = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)"
_UPDATE = "UPDATE entries SET text = ?, timestamp = ?, sources = ?, created_step = ?, updated_step = ? WHERE id = ?"
_DELETE = "DELETE FROM entries WHERE id = ?"

_JOURNAL = "step, operation, status, code, reason, entry_id, before, after, found"
_INSERT_JOURNAL = f"INSERT INTO journal ({_JOURNAL}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SELECT_JOURNAL = f"SELECT {_JOURNAL} FROM journal WHERE step >= ? ORDER BY step, seq"


class Storage:
    """Typed access to one open bank database. It stores what it is told; the rules of a bank are the bank's."""

    def __init__(
        self,
        database: sqlite3.Connection,
        encoder: Encoder | None = None,
        retrieval: Retrieval = "bm25",
        neighbours: int = 0,
    ) -> None:
        self._database = database
        self._encoder, self._retrieval = encoder, retrieval
        self._execute = database.execute
        # What searches have learned since an entry last changed.
        self._ranking = Ranking(database.execute, neighbours)
        self._dense: DenseRanking | None = None
        if encoder is not None and retrieval != "bm25":
            self._dense = DenseRanking(database, encoder, self._ranking if retrieval == "hybrid" else None)
        self._read: dict[int, Entry] = {}
        self._searched = False

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    # Entries

    def get(self, entry_id: int) -> Entry | None:
        """The entry with this id, None if there is none."""
        if not CORE_ID <= entry_id <= MAX_INTEGER:
            return None
        row = self._execute(_SELECT_ONE, (entry_id,)).fetchone()
        return entry_from_values(row) if row else None

    def find_text(self, store: str, text: str) -> int | None:
        """Id of the entry of ``store`` that holds exactly ``text``."""
        row = self._execute(_FIND_TEXT, (store, text)).fetchone()
        return row[0] if row else None

    def entries(self, store: str | None, *, core: bool = False) -> list[Entry]:
        """Entries of one store, or of both entry stores (after core, if asked for), by id."""
        first = CORE_ID if core else CORE_ID + 1
        rows = self._execute(_SELECT_STORE, (store,)) if store else self._execute(_SELECT_ALL, (first,))
        return [entry_from_values(row) for row in rows]

    def newest(self, store: str | None, count: int) -> list[Entry]:
        """The ``count`` entries written last, by id."""
        found = [
            entry_from_values(row)
            for name in ((store,) if store else ENTRY_STORES)
            for row in self._execute(_SELECT_NEWEST, (name, min(count, MAX_INTEGER)))
        ]
        found.sort(key=lambda entry: (-entry.updated_step, -entry.id))
        return sorted(found[:count], key=lambda entry: entry.id)

    def search(self, query: str, store: str | None, k: int) -> list[tuple[Entry, float]]:
        """The ``k`` best entries for ``query`` with their scores, best first, ties by id."""
        if self._dense is not None:
            return self._read_ranked(self._dense.best(query, store, k))
        terms = query_terms(query)
        if not terms or k <= 0:
            return []
        if self._ranking.neighbours or (self._searched and k <= MAX_RANKED):
            return self._read_ranked(self._ranking.best(terms, store, k))
        self._searched = True  # a bank that is searched again before it changes is worth preparing for it
        expression, k = " OR ".join(terms), min(k, MAX_INTEGER)
        if store:
            rows = self._execute(_SEARCH_STORE, (expression, store, k))
        else:
            rows = self._execute(_SEARCH_ALL, (expression, k))
        return [(entry_from_values(row[:-1]), row[-1]) for row in rows]

    def prepare(self, queries: Sequence[str]) -> None:
        """Encode entries and queries that have no vector yet, in one call; nothing without an encoder."""
        if self._dense is not None:
            self._dense.prepare(queries)

    def _read_ranked(self, ranked: list[tuple[int, float]]) -> list[tuple[Entry, float]]:
        unread = [id_ for id_, _ in ranked if id_ not in self._read]
        if len(unread) > MAX_RANKED:
            self._read = {entry.id: entry for entry in self.entries(None)}
        elif unread:
            rows = self._execute(f"{_SELECT} WHERE e.id IN ({','.join('?' * len(unread))})", unread)
            self._read.update((row[0], entry_from_values(row)) for row in rows)
        return [(self._read[id_], score) for id_, score in ranked]

    # Journal

    def record(self, step: int, result: OperationResult) -> None:
        """Do what ``result`` says and journal it, in one transaction."""
        with transaction(self._database):
            self._replace(result.before, result.after)
            self._execute(_INSERT_JOURNAL, journal_values(JournalRow.of(step, result)))

    def journal(self, since_step: int) -> Iterator[JournalRow]:
        """Journal rows from a step on, in order."""
        return map(journal_row_from_values, self._execute(_SELECT_JOURNAL, (since_step,)))

    def last_marks(self) -> tuple[int, int]:
        """The last step and the largest entry id in the journal, 0 when there is none."""
        return self._execute("SELECT coalesce(max(step), 0), coalesce(max(entry_id), 0) FROM journal").fetchone()

    def undo(self, to_step: int) -> None:
        """Take back what was done after ``to_step`` and cut it off the journal."""
        rows = list(self.journal(to_step + 1))
        with transaction(self._database):
            for row in reversed(rows):
                self._replace(row.after, row.before)
            self._execute("DELETE FROM journal WHERE step > ?", (to_step,))

    # Copies

    def copy(self) -> Storage:
        """An independent in-memory copy."""
        database = open_blank()
        self._database.backup(database)
        return Storage(database, self._encoder, self._retrieval, self._ranking.neighbours)

    def serialize(self) -> bytes:
        """The database as the bytes of a SQLite file."""
        return take_snapshot(self._database)

    def restore(self, data: bytes) -> None:
        """Become the database that ``serialize`` gave; raises like ``open_snapshot``."""
        saved = open_snapshot(data)
        try:
            saved.backup(self._database)
            self._forget_searches()
        finally:
            saved.close()

    def load(self, entries: list[Entry], journal: list[JournalRow]) -> None:
        """Fill an empty database, in one transaction.

        Raises:
            ValueError: If it is not empty, or the rows are no bank.
        """
        if self._execute("SELECT 1 FROM journal UNION ALL SELECT 1 FROM entries").fetchone():
            raise ValueError("cannot import into a bank that already holds something; give a new path")
        try:
            with transaction(self._database):
                self._database.executemany(_INSERT, map(entry_values, entries))
                self._database.executemany(_INSERT_JOURNAL, map(journal_values, journal))
                self._forget_searches()
        except sqlite3.Error as error:
            raise ValueError(f"the rows to import are no memory bank: {error}") from None

    # Inside

    def _forget_searches(self) -> None:
        self._ranking.forget()
        if self._dense is not None:
            self._dense.forget()
        self._read.clear()
        self._searched = False

    def _replace(self, before: Entry | None, after: Entry | None) -> None:
        if before is not None or after is not None:
            self._forget_searches()
        if after is None:
            if before is not None:
                self._execute(_DELETE, (before.id,))
        elif before is None:
            self._execute(_INSERT, entry_values(after))
        else:
            entry_id, _, *values = entry_values(after)
            self._execute(_UPDATE, (*values, entry_id))
