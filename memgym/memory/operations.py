"""Operations: the only way a policy changes or reads a memory bank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Store = Literal["core", "episodic", "semantic"]
OperationKind = Literal["insert", "update", "delete", "search", "noop", "invalid"]
Status = Literal["ok", "failed"]

STORES: tuple[Store, ...] = get_args(Store)
ENTRY_STORES: tuple[Store, ...] = ("episodic", "semantic")
OPERATION_KINDS: tuple[OperationKind, ...] = get_args(OperationKind)


@dataclass(frozen=True, slots=True)
class Entry:
    """One item of a bank."""

    id: int  # counter, unique in the bank over all stores, never reused
    store: Store
    text: str
    timestamp: str  # ISO 8601; "" when undated
    sources: tuple[str, ...]  # ids of the turns it came from
    created_step: int
    updated_step: int


@dataclass(frozen=True, slots=True)
class Operation:
    """One request of a policy.

    ``invalid`` is what a codec makes of text it cannot read: applying it always fails, changes nothing and gives
    ``text`` back as the reason.
    """

    kind: OperationKind
    store: str = ""  # not a Store on purpose: a model may write anything, the bank answers with a failed result
    text: str = ""  # insert, update: the content; search: the query; invalid: the reason
    entry_id: int | None = None  # update, delete on episodic and semantic
    timestamp: str = ""  # insert, update; "" means the time of the chunk being read
    k: int = 5  # search: number of results
    quote: int = 0  # insert: store this line of the chunk, from 1, word for word instead of ``text``; 0 = no quote


@dataclass(frozen=True, slots=True)
class OperationResult:
    """What an operation did. A failed one left the bank as it was."""

    operation: Operation
    status: Status
    reason: str = ""  # why it failed, in words the agent can act on; "" when ok
    code: str = ""  # why it failed, to count: see FAILURE_CODES; "" when ok
    before: Entry | None = None  # update, delete
    after: Entry | None = None  # insert, update
    found: tuple[Entry, ...] = ()  # search, best first

    @property
    def ok(self) -> bool:
        """Whether the operation was carried out."""
        return self.status == "ok"


FAILURE_CODES = (
    "parse",  # the codec could not read the text
    "unknown_store",
    "wrong_store",  # e.g. insert into core
    "unknown_id",
    "empty_text",
    "duplicate",  # the store already holds exactly this text
    "over_budget",
    "unknown_line",  # a quote of a line that the chunk does not have
    "limit",  # more operations or searches in one step than the environment allows
)
