"""The memory bank: three stores, a hard budget and a journal, in one SQLite database."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from types import TracebackType
from typing import Any, NamedTuple, Self

from memgym.dates import with_calendar_dates
from memgym.memory.budget import Budget, TokenCounter, count_lexical_tokens
from memgym.memory.database import IN_MEMORY, open_database
from memgym.memory.encoder import Encoder, Retrieval, choose_retrieval
from memgym.memory.journal import JournalRow, hash_entries
from memgym.memory.operations import STORES, Entry, Operation, OperationResult, Store
from memgym.memory.storage import CORE_ID, MAX_INTEGER, Storage
from memgym.memory.transfer import read_jsonl, write_jsonl
from memgym.memory.validation import (
    RefusedError,
    check_arguments,
    check_entry_store,
    clean_text,
    clean_timestamp,
    known_store,
    merge_sources,
    quote,
    refuse_overflow,
)

MAX_RESULTS = 100  # entries one search operation may return, whatever k a model asks for


class _Change(NamedTuple):
    """What a permitted operation does to the bank."""

    before: Entry | None = None
    after: Entry | None = None
    tokens: int = 0  # by which the store grows
    found: tuple[Entry, ...] = ()


class MemoryBank:
    """The whole memory of one episode. Nothing in it changes except by an operation, an undo or a restore.

    ``core`` is one paragraph; ``episodic`` and ``semantic`` hold entries. Every operation is one transaction and one
    journal row. An operation that may not be carried out is journaled as failed and changes nothing.

    Args:
        path: ":memory:", or a file that is created, or opened with what it holds. A file is locked while open.
        budget: Token limits. They belong to the caller, not to the file.
        count_tokens: Length of a text in the budget's unit.
        encoder: Makes the vectors of dense retrieval; they are kept in the bank's database.
        retrieval: "bm25" (words), "dense" (cosines) or "hybrid" (both); None: "hybrid" with an encoder, else "bm25".
        neighbours: Entries on either side, of the same store and time, in which a word of an entry counts as well
            (``memgym.memory.ranking``).
        calendar_dates: Write the calendar date behind every relative one, "yesterday (7 May 2023)", by the timestamp of
            what is written. It counts against the budget and is found like any other words.

    Attributes:
        budget: The token limits.
        count_tokens: The token counter.
        calendar_dates: Whether calendar dates are written.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If the file cannot be opened or is no memgym bank, or the search asked for needs an encoder.
    """

    def __init__(
        self,
        path: str | PathLike[str] = IN_MEMORY,
        budget: Budget = Budget(),  # noqa: B008 - frozen
        count_tokens: TokenCounter = count_lexical_tokens,
        encoder: Encoder | None = None,
        retrieval: Retrieval | None = None,
        neighbours: int = 0,
        calendar_dates: bool = False,
    ) -> None:
        if not isinstance(budget, Budget):
            raise TypeError(f"budget: expected a Budget, got {type(budget).__name__}")
        if not callable(count_tokens):
            raise TypeError(f"count_tokens: expected a function of a text, got {type(count_tokens).__name__}")
        if not isinstance(neighbours, int) or isinstance(neighbours, bool) or neighbours < 0:
            raise ValueError(f"neighbours={neighbours!r}: expected a whole number of at least 0")
        if not isinstance(calendar_dates, bool):
            raise ValueError(f"calendar_dates={calendar_dates!r}: expected True or False")
        self.budget = budget
        self.count_tokens = count_tokens
        self.calendar_dates = calendar_dates
        chosen = choose_retrieval(encoder, retrieval)
        self._storage = Storage(open_database(path), encoder, chosen, neighbours)
        self._load()

    @property
    def step(self) -> int:
        """The step that entries and journal rows are marked with; a reopened bank is at the last one journaled."""
        return self._step

    @step.setter
    def step(self, step: int) -> None:
        if not isinstance(step, int) or isinstance(step, bool):
            raise TypeError(f"step: expected an int, got {type(step).__name__}")
        if not self._last_step <= step <= MAX_INTEGER:
            raise ValueError(f"step {step}: the journal is at step {self._last_step} already; use undo to go back")
        self._step = step

    @property
    def core(self) -> str:
        """The core paragraph, "" while there is none."""
        entry = self._storage.get(CORE_ID)
        return entry.text if entry else ""

    # Operations

    def apply(self, operation: Operation, *, sources: Sequence[str] = (), timestamp: str = "") -> OperationResult:
        """Carry out one operation, or say why not. Never raises on what a model may write.

        Args:
            operation: The request. ``store`` "" means the entry's own store for update and delete, and both stores
                for search.
            sources: Ids of the turns being read, kept with what is written (an update adds them to the entry's own).
            timestamp: ISO 8601 time of what is written when the operation gives none.

        Returns:
            The result; a failed one has a code of ``FAILURE_CODES`` and a reason the agent can act on.

        Raises:
            TypeError: If an argument or a field of the operation has the wrong type.
            ValueError: If ``timestamp`` is not ISO 8601.
        """
        check_arguments(operation, sources, timestamp)
        try:
            change = self._decide(operation, sources, timestamp)
            result = OperationResult(operation, "ok", before=change.before, after=change.after, found=change.found)
        except RefusedError as refusal:
            change = _Change()
            result = OperationResult(operation, "failed", refusal.reason, refusal.code)
        self._storage.record(self._step, result)
        self._settle(change)
        return result

    def insert(self, store: str, text: str, *, timestamp: str = "", sources: Sequence[str] = ()) -> OperationResult:
        """Add an entry to ``episodic`` or ``semantic``; see ``apply``."""
        return self.apply(Operation("insert", store, text, timestamp=timestamp), sources=sources)

    def update(
        self, store: str, text: str, *, entry_id: int | None = None, timestamp: str = "", sources: Sequence[str] = ()
    ) -> OperationResult:
        """Rewrite core (no ``entry_id``) or an entry; see ``apply``."""
        return self.apply(Operation("update", store, text, entry_id, timestamp), sources=sources)

    def delete(self, store: str, *, entry_id: int | None = None) -> OperationResult:
        """Clear core (no ``entry_id``) or remove an entry; see ``apply``."""
        return self.apply(Operation("delete", store, entry_id=entry_id))

    def noop(self) -> OperationResult:
        """Do nothing, on the record."""
        return self.apply(Operation("noop"))

    def undo(self, to_step: int) -> None:
        """Go back to the state at the end of step ``to_step``.

        The journal is cut there and the id counter goes back with it, as if the later steps had never been: replaying
        them gives the same ids again.

        Args:
            to_step: A step up to the current one; -1 empties the bank.

        Raises:
            TypeError: If it is not an int.
            ValueError: If it lies ahead.
        """
        if not isinstance(to_step, int) or isinstance(to_step, bool):
            raise TypeError(f"undo: expected a step (int), got {type(to_step).__name__}")
        if not -1 <= to_step <= self._step:
            raise ValueError(f"undo to step {to_step}: expected -1 to {self._step}, the current step")
        self._storage.undo(to_step)
        self._load()
        self._step = max(to_step, 0)

    # Reading

    def get(self, entry_id: int) -> Entry | None:
        """The entry with this id, None if there is none."""
        return self._storage.get(entry_id) if entry_id > CORE_ID else None

    def entries(self, store: str | None = None, *, newest: int | None = None) -> list[Entry]:
        """Entries in the order of their ids.

        Args:
            store: "episodic" or "semantic"; None for both.
            newest: Only this many, the last written ones (by step of insertion or update, then id).

        Raises:
            ValueError: If ``store`` holds no entries or ``newest`` is negative.
        """
        check_entry_store(store)
        if newest is None:
            return self._storage.entries(store)
        if newest < 0:
            raise ValueError(f"newest={newest}: expected a number of entries, 0 or more")
        return self._storage.newest(store, newest)

    def search(self, query: str, *, store: str | None = None, k: int = 5) -> list[Entry]:
        """The entries that match ``query`` best; see ``search_scored``."""
        return [entry for entry, _ in self.search_scored(query, store=store, k=k)]

    def search_scored(self, query: str, *, store: str | None = None, k: int = 5) -> list[tuple[Entry, float]]:
        """The entries that match ``query`` best and their scores, best first.

        Reading is not an operation: it leaves no trace in the journal. "bm25" finds entries that share a word stem
        with the query (k1 = 1.2, b = 0.75); "dense" and "hybrid" rank all entries, by cosine and by the sum of
        1 / (60 + rank). Word statistics and ranks are those of both stores.

        Args:
            query: Any text; its words are alternatives, punctuation has no meaning.
            store: "episodic" or "semantic"; None for both.
            k: Number of results; none for 0 or less.

        Returns:
            At most ``k`` pairs, higher scores first, equal ones by id.

        Raises:
            ValueError: If ``store`` holds no entries.
        """
        check_entry_store(store)
        return self._storage.search(query, store, k)

    def prepare(self, queries: Sequence[str]) -> None:
        """Encode these queries and all entries not encoded yet in one batch; nothing without dense retrieval."""
        self._storage.prepare(queries)

    def tokens(self, store: str | None = None) -> int:
        """Tokens of the texts of one store ("core", "episodic" or "semantic"), or of all three.

        Raises:
            ValueError: If there is no such store.
        """
        if store is None:
            return sum(self._tokens.values())
        if store not in STORES:
            raise ValueError(f"store {quote(store)}: expected one of {', '.join(STORES)}, or None for all")
        return self._tokens[store]

    def wording(self, text: str, timestamp: str) -> str:
        """``text`` as it is stored when it is written with this timestamp."""
        return with_calendar_dates(text, timestamp) if self.calendar_dates else text

    def budget_left(self) -> dict[str, int | None]:
        """Tokens that still fit, by "core", "episodic", "semantic" and "total"; None where there is no limit."""
        return self.budget.left(self._tokens)

    def journal(self, *, since_step: int = 0) -> list[JournalRow]:
        """What was done from step ``since_step`` on, in order, failed operations included."""
        return list(self._storage.journal(since_step))

    def state_hash(self) -> str:
        """SHA-256 (hex) over core and all entries; the journal has no part in it."""
        return hash_entries(self._storage.entries(None, core=True))

    # Copies

    def fork(self) -> MemoryBank:
        """An independent in-memory copy, journal included."""
        bank = object.__new__(MemoryBank)
        bank.budget, bank.count_tokens, bank.calendar_dates = self.budget, self.count_tokens, self.calendar_dates
        bank._storage = self._storage.copy()
        bank._tokens = dict(self._tokens)
        bank._next_id, bank._step, bank._last_step = self._next_id, self._step, self._last_step
        return bank

    def snapshot(self) -> bytes:
        """The whole bank, journal included, as the bytes of a SQLite file."""
        return self._storage.serialize()

    def restore(self, data: bytes) -> None:
        """Become the bank that ``snapshot`` saw; the step is the last one journaled.

        Raises:
            TypeError: If ``data`` is not bytes.
            ValueError: If it is no snapshot, is damaged or has a newer schema. The bank is then as it was.
        """
        self._storage.restore(data)
        self._load()

    def export_jsonl(self, path: str | PathLike[str]) -> None:
        """Write entries and journal as JSON lines, without loss."""
        write_jsonl(self._storage, path)

    @classmethod
    def import_jsonl(cls, path: str | PathLike[str], /, **kwargs: Any) -> Self:
        """A bank with what ``export_jsonl`` wrote.

        Args:
            path: The exported file.
            **kwargs: Arguments of ``MemoryBank``; a ``path`` among them must be a new bank.

        Raises:
            ValueError: If the file is no export of this schema, is not whole, or the target bank is not empty.
        """
        entries, journal = read_jsonl(path)
        bank = cls(**kwargs)
        try:
            bank._storage.load(entries, journal)
        except ValueError:
            bank.close()
            raise
        bank._load()
        return bank

    def close(self) -> None:
        """Close the database; a file bank can be opened again."""
        self._storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # Rules

    def _decide(self, operation: Operation, sources: Sequence[str], timestamp: str) -> _Change:
        """What the operation will change; raises ``RefusedError`` if it may not."""
        match operation.kind:
            case "insert":
                return self._decide_insert(operation, sources, timestamp)
            case "update":
                return self._decide_update(operation, sources, timestamp)
            case "delete":
                return self._decide_delete(operation)
            case "search":
                return self._decide_search(operation)
            case "noop":
                return _Change()
            case "invalid":
                raise RefusedError("parse", operation.text or "unreadable operation")
            case _:
                raise RefusedError("parse", f"unknown operation {quote(operation.kind)}")

    def _decide_insert(self, operation: Operation, sources: Sequence[str], timestamp: str) -> _Change:
        store = known_store(operation.store)
        if store == "core":
            raise RefusedError("wrong_store", "core takes no insert: rewrite its whole text with update")
        text = clean_text(operation.text)
        written = clean_timestamp(operation.timestamp or timestamp)
        text = self.wording(text, written)
        self._refuse_duplicate(store, text, CORE_ID)
        tokens = self.count_tokens(text)
        self._refuse_overflow(store, tokens)
        after = Entry(self._next_id, store, text, written, merge_sources((), sources), self._step, self._step)
        return _Change(after=after, tokens=tokens)

    def _decide_update(self, operation: Operation, sources: Sequence[str], timestamp: str) -> _Change:
        before = self._target(operation)
        old = before or Entry(CORE_ID, "core", "", "", (), self._step, self._step)  # core before its first update
        text = clean_text(operation.text)
        written = clean_timestamp(operation.timestamp or timestamp) or old.timestamp
        text = self.wording(text, written)
        self._refuse_duplicate(old.store, text, old.id)
        tokens = self.count_tokens(text) - self.count_tokens(old.text)
        self._refuse_overflow(old.store, tokens)
        merged = merge_sources(old.sources, sources)
        return _Change(before, Entry(old.id, old.store, text, written, merged, old.created_step, self._step), tokens)

    def _decide_delete(self, operation: Operation) -> _Change:
        before = self._target(operation)
        if before is None:
            raise RefusedError("unknown_id", "there is nothing to delete: core is empty")
        return _Change(before=before, tokens=-self.count_tokens(before.text))

    def _decide_search(self, operation: Operation) -> _Change:
        store = known_store(operation.store) if operation.store else None
        if store == "core":
            raise RefusedError("wrong_store", "core is always shown, search looks in episodic and semantic")
        if not operation.text.strip():
            raise RefusedError("empty_text", "search needs a query")
        return _Change(found=tuple(self.search(operation.text, store=store, k=max(1, min(operation.k, MAX_RESULTS)))))

    def _target(self, operation: Operation) -> Entry | None:
        """The entry that an update or delete is about; None for an empty core."""
        if operation.store == "core":
            return self._storage.get(CORE_ID)
        store = known_store(operation.store) if operation.store else None
        if operation.entry_id is None:
            raise RefusedError("unknown_id", f"{operation.kind} needs the id of an entry")
        entry = self.get(operation.entry_id)
        if entry is None:
            raise RefusedError("unknown_id", f"there is no entry {quote(operation.entry_id)}")
        if store is not None and store != entry.store:
            raise RefusedError("unknown_id", f"{store} has no entry {entry.id}: it is in {entry.store}")
        return entry

    def _refuse_duplicate(self, store: str, text: str, itself: int) -> None:
        entry_id = self._storage.find_text(store, text)
        if entry_id is not None and entry_id != itself:
            raise RefusedError("duplicate", f"entry {entry_id} of {store} already has exactly this text")

    def _refuse_overflow(self, store: Store, growth: int) -> None:
        if growth > 0:  # shrinking is always allowed
            refuse_overflow(store, self._tokens[store], growth, self.budget.limit(store))
            refuse_overflow("total", self.tokens(), growth, self.budget.total)

    # Totals, kept so that no operation looks at the whole bank

    def _load(self) -> None:
        self._last_step, last_id = self._storage.last_marks()
        self._step = self._last_step
        self._next_id = last_id + 1
        self._tokens: dict[str, int] = dict.fromkeys(STORES, 0)
        for entry in self._storage.entries(None, core=True):
            self._tokens[entry.store] += self.count_tokens(entry.text)

    def _settle(self, change: _Change) -> None:
        self._last_step = self._step
        written = change.after or change.before
        if written is not None:
            self._tokens[written.store] += change.tokens
            self._next_id = max(self._next_id, written.id + 1)
