"""Opening the SQLite database of a memory bank, and refusing what is not one."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from os import PathLike, fspath

APPLICATION_ID = 0x6D656D67  # "memg"
SCHEMA_VERSION = 1
IN_MEMORY = ":memory:"

_FILE_MAGIC = b"SQLite format 3\0"
_CACHED_STATEMENTS = 128


def open_database(path: str | PathLike[str]) -> sqlite3.Connection:
    """Open the bank at ``path``, or create it.

    A file is locked for as long as it is open, and its write-ahead log is synced on every commit: what was committed
    outlives the process and a power cut. Once closed it is one file; after a crash keep the "-wal" file beside it. An
    in-memory bank trades durability for speed; rollback works in both.

    Args:
        path: A file, or ":memory:".

    Raises:
        TypeError: If ``path`` is not a path.
        ValueError: If the file cannot be opened, is locked, is no memgym bank or has a newer schema.
    """
    if not isinstance(path, str | PathLike):
        raise TypeError(f"bank path {path!r}: expected a str or a Path, got {type(path).__name__}")
    name = fspath(path)
    if not name or "\0" in name:
        raise ValueError(f'bank path {name!r}: expected a file name or ":memory:"')
    try:
        database = sqlite3.connect(name, timeout=0, isolation_level=None, cached_statements=_CACHED_STATEMENTS)
    except sqlite3.Error as error:
        raise ValueError(f"cannot open bank {name!r}: {error}; check that its folder exists and is writable") from None
    try:
        _prepare(database, name)
    except sqlite3.OperationalError as error:
        database.close()
        raise ValueError(f"cannot open bank {name!r}: {error}; {_hint(str(error))}") from None
    except sqlite3.DatabaseError as error:
        database.close()
        raise ValueError(f"{name!r} is not a memgym bank: {error}; give another path") from None
    except ValueError:
        database.close()
        raise
    return database


def open_blank() -> sqlite3.Connection:
    """An in-memory database without a schema, to copy another bank into."""
    database = sqlite3.connect(IN_MEMORY, isolation_level=None, cached_statements=_CACHED_STATEMENTS)
    _tune_in_memory(database)
    return database


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Everything in the block happens, or nothing of it."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:  # SQLite has rolled back by itself when, say, the disk is full
            database.execute("ROLLBACK")
        raise


def take_snapshot(database: sqlite3.Connection) -> bytes:
    """The bytes of a database file with the present state.

    Bytes 18 and 19 are set to 1 (rollback journal): SQLite does not deserialize what is marked as having a write-ahead
    log (https://sqlite.org/c3ref/deserialize.html).
    """
    data = database.serialize()
    return data[:18] + b"\x01\x01" + data[20:]


def open_snapshot(data: bytes) -> sqlite3.Connection:
    """Open the bytes of a snapshot as an in-memory database.

    Raises:
        TypeError: If ``data`` is not bytes.
        ValueError: If they are no memgym bank, are damaged or have a newer schema.
    """
    if not isinstance(data, bytes):
        raise TypeError(f"snapshot: expected bytes, got {type(data).__name__}")
    if not data.startswith(_FILE_MAGIC):
        raise ValueError("snapshot is no SQLite database; use bytes that snapshot() returned")
    database = sqlite3.connect(IN_MEMORY, isolation_level=None)
    try:
        database.deserialize(data)
        _check_identity(database, "snapshot")
        verdict = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        verdict = str(error)
    except ValueError:
        database.close()
        raise
    if verdict != "ok":
        database.close()
        raise ValueError(f"snapshot is damaged or not a memgym bank: {verdict}; use bytes that snapshot() returned")
    return database


def _prepare(database: sqlite3.Connection, name: str) -> None:
    if name == IN_MEMORY:
        _tune_in_memory(database)
    else:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("BEGIN EXCLUSIVE")  # a second opener learns of the lock here, not at its first write
        database.execute("COMMIT")
    if _is_blank(database):
        database.executescript(_schema())
    else:
        _check_identity(database, repr(name))


def _tune_in_memory(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA journal_mode = MEMORY")
    database.execute("PRAGMA synchronous = OFF")


def _hint(error: str) -> str:
    if "locked" in error:
        return "close it where it is open, a bank file has one user at a time"
    if "fts5" in error:
        return "use a Python whose SQLite has FTS5"
    return "check that the file and its folder are writable"


def _is_blank(database: sqlite3.Connection) -> bool:
    tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return tables == 0 and database.execute("PRAGMA application_id").fetchone()[0] == 0


def _check_identity(database: sqlite3.Connection, name: str) -> None:
    if database.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise ValueError(f"{name} is a SQLite database but not a memgym bank; give another path")
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise ValueError(
            f"{name} has bank schema {version}, this memgym reads up to {SCHEMA_VERSION}; upgrade memgym to open it"
        )


@functools.cache
def _schema() -> str:
    """The schema as one transaction, so that a crash while creating a file leaves no half-made bank."""
    tables = resources.files("memgym.memory").joinpath("schema.sql").read_text(encoding="utf-8")
    marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
    return f"BEGIN;\n{marks}\n{tables}\nCOMMIT;"
