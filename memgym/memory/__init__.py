"""Memory banks, the operations that change them, and the formats in which models write operations."""

from memgym.memory.bank import MemoryBank
from memgym.memory.budget import UNLIMITED, Budget, TokenCounter, count_lexical_tokens
from memgym.memory.codecs import CODECS, Codec, get_codec
from memgym.memory.encoder import RETRIEVALS, Encoder, Retrieval
from memgym.memory.journal import JournalRow
from memgym.memory.operations import (
    ENTRY_STORES,
    FAILURE_CODES,
    OPERATION_KINDS,
    STORES,
    Entry,
    Operation,
    OperationKind,
    OperationResult,
    Status,
    Store,
)

__all__ = [
    "CODECS",
    "ENTRY_STORES",
    "FAILURE_CODES",
    "OPERATION_KINDS",
    "RETRIEVALS",
    "STORES",
    "UNLIMITED",
    "Budget",
    "Codec",
    "Encoder",
    "Entry",
    "JournalRow",
    "MemoryBank",
    "Operation",
    "OperationKind",
    "OperationResult",
    "Retrieval",
    "Status",
    "Store",
    "TokenCounter",
    "count_lexical_tokens",
    "get_codec",
]
