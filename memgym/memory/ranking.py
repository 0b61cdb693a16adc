"""Ranking entries from the BM25 scores of single words, kept while the entries stay as they are."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

import numpy as np

from memgym.memory.operations import ENTRY_STORES

MAX_KEPT = 1 << 20  # scores kept at most, over all terms: 16 MB

NEIGHBOUR_DECAY = 0.5  # what a word counts in the entry beside its own; half of that one further

_IDS = "SELECT id, store, timestamp FROM entries WHERE id > 0 ORDER BY id"
_SCORES = "SELECT rowid, -bm25(entries_index) FROM entries_index WHERE entries_index MATCH ? ORDER BY rowid"


class Ranking:
    """Ranks the entries of an unchanged bank for one question after another, as an exam asks them.

    FTS5 takes about a microsecond for every entry that shares a word with the question, which most do, if only "the".
    But BM25 is a sum over words, and questions have the frequent ones in common. So the scores of each word are kept.
    They are added up in the order in which FTS5 does it: scores are equal to the last bit.

    With ``neighbours``, a word also counts in the entries written around the one that has it, in the same store and at
    the same time: in dialogue, what answers a question is often found by the words of the turn before. An entry gets
    the most that a word gives it, from itself (1), beside it (1/2), two away (1/4) and so on.
    """

    def __init__(self, execute: Callable[..., sqlite3.Cursor], neighbours: int = 0) -> None:
        """Create a ranking over an open bank database.

        Args:
            execute: Of its connection.
            neighbours: Entries on either side in which a word counts.
        """
        self._execute = execute
        self.neighbours = neighbours
        self.forget()

    def forget(self) -> None:
        """To be called whenever an entry changes."""
        self._ids: np.ndarray | None = None  # (N,) ascending
        self._apart: list[tuple[np.ndarray, np.ndarray]] = []  # [d - 1]: pairs of positions, d entries apart, (M,) each
        self._in_store: dict[str, np.ndarray] = {}  # (N,) bool
        self._scores: dict[str, tuple[np.ndarray, np.ndarray]] = {}  # term -> positions in _ids, their scores
        self._kept = 0

    def best(self, terms: Sequence[str], store: str | None, k: int) -> list[tuple[int, float]]:
        """Ids and scores of the ``k`` best entries, best first, ties by id.

        Args:
            terms: Of the question, as ``query_terms`` gives them.
            store: "episodic" or "semantic"; None for both.
            k: Number of results, at least 1.
        """
        ids = self._load_ids()
        total = np.zeros(len(ids))
        for term in terms:
            positions, scores = self._term(term, ids)
            total[positions] += scores
        if store:
            total[~self._in_store[store]] = 0.0
        order = take_best(total, np.flatnonzero(total), k)
        return list(zip(ids[order].tolist(), total[order].tolist(), strict=True))

    def _load_ids(self) -> np.ndarray:
        if self._ids is None:
            rows = self._execute(_IDS).fetchall()
            stores = np.array([store for _, store, _ in rows])
            self._in_store = {name: stores == name for name in ENTRY_STORES}
            self._ids = np.array([id_ for id_, _, _ in rows], dtype=np.int64)
            times = np.array([timestamp for _, _, timestamp in rows])
            reach = min(self.neighbours, len(rows))
            self._apart = [self._pairs(times, distance) for distance in range(1, reach + 1)]
        return self._ids

    def _pairs(self, times: np.ndarray, distance: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the entries that are ``distance`` apart in one store and of the same time."""
        rows = [np.flatnonzero(mask) for mask in self._in_store.values()]
        first = np.concatenate([row[:-distance] for row in rows])
        second = np.concatenate([row[distance:] for row in rows])
        together = times[first] == times[second]
        return first[together], second[together]

    def _term(self, term: str, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        known = self._scores.get(term)
        if known is None:
            rows = self._execute(_SCORES, (term,)).fetchall()
            if self._kept + len(rows) > MAX_KEPT:
                self._scores, self._kept = {}, 0
            found = np.array([id_ for id_, _ in rows], dtype=np.int64)
            known = np.searchsorted(ids, found), np.array([score for _, score in rows])
            if self.neighbours:
                known = self._spread(*known)
            self._scores[term] = known
            self._kept += len(known[0])
        return known

    def _spread(self, positions: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One word's scores where it stands and around."""
        own = np.zeros(len(self._load_ids()))
        own[positions] = scores
        spread = own.copy()
        for distance, (first, second) in enumerate(self._apart, start=1):
            share = NEIGHBOUR_DECAY**distance
            spread[first] = np.maximum(spread[first], share * own[second])
            spread[second] = np.maximum(spread[second], share * own[first])
        found = np.flatnonzero(spread)
        return found, spread[found]


def take_best(scores: np.ndarray, candidates: np.ndarray, k: int) -> np.ndarray:
    """The ``k`` candidates with the highest scores, best first, ties by position.

    Args:
        scores: Of all positions, shape (N,).
        candidates: Positions to choose from, ascending, shape (M,).
        k: Number of results, at least 1.
    """
    if len(candidates) > k:
        candidates = candidates[scores[candidates] >= np.partition(scores[candidates], -k)[-k]]
    return candidates[np.argsort(-scores[candidates], kind="stable")][:k]
