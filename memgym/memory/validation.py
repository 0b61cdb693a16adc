"""What a bank accepts: programmer errors raise, a model's mistakes become a refusal with a reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from memgym.memory.operations import ENTRY_STORES, STORES, Operation, Store

MAX_SOURCES = 256  # source turns kept per entry, the latest ones, so that an entry rewritten for ever stays bounded

_QUOTED = 40  # characters of a model's text repeated in a reason
# The form of a day, or of a day and a time; ``is_timestamp`` also says whether there is such a day.
ISO_8601 = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"(?:T(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])?)?"
)


class RefusedError(Exception):
    """An operation may not be carried out; the bank turns it into a failed result."""

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        # A lone surrogate of the model's would be no text that SQLite, a log or a prompt can hold.
        self.reason = reason if reason.isascii() else reason.encode("utf-8", "backslashreplace").decode()
        super().__init__(self.reason)


def check_arguments(operation: Operation, sources: Sequence[str], timestamp: str) -> None:
    """Raise TypeError or ValueError for what only a programmer can get wrong."""
    if not isinstance(operation, Operation):
        raise TypeError(f"operation: expected an Operation, got {type(operation).__name__}")
    for name in ("kind", "store", "text", "timestamp"):
        value = getattr(operation, name)
        if not isinstance(value, str):
            raise TypeError(f"operation.{name}: expected a str, got {type(value).__name__}")
    for name in ("k", "quote"):
        if not isinstance(getattr(operation, name), int):
            raise TypeError(f"operation.{name}: expected an int, got {type(getattr(operation, name)).__name__}")
    if not isinstance(operation.entry_id, int | None):
        raise TypeError(f"operation.entry_id: expected an int or None, got {type(operation.entry_id).__name__}")
    if isinstance(sources, str) or not all(isinstance(source, str) for source in sources):
        raise TypeError(f"sources: expected a sequence of turn ids (str), got {quote(sources)}")
    if not isinstance(timestamp, str):
        raise TypeError(f"timestamp: expected a str, got {type(timestamp).__name__}")
    if timestamp and not is_timestamp(_with_t(timestamp)):
        raise ValueError(f'timestamp {quote(timestamp)}: expected ISO 8601, such as 2023-05-08T13:56, or ""')


def is_timestamp(text: str) -> bool:
    """Whether ``text`` is an ISO 8601 day of the calendar, or a time of one after a T."""
    if not ISO_8601.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:  # 31 February, or the year 0
        return False
    return True


def check_entry_store(store: str | None) -> None:
    """Raise ValueError unless ``store`` holds entries, or is None for both that do."""
    if store is not None and store not in ENTRY_STORES:
        raise ValueError(f"store {quote(store)}: expected one of {', '.join(ENTRY_STORES)}, or None for both")


def known_store(store: str) -> Store:
    """The store a model named.

    Raises:
        RefusedError: If there is no such store.
    """
    if store not in STORES:
        raise RefusedError("unknown_store", f"there is no store {quote(store)}: use one of {', '.join(STORES)}")
    return store


def clean_text(text: str) -> str:
    """The text to store, without surrounding white space.

    Raises:
        RefusedError: If nothing is left, or it is not valid Unicode.
    """
    text = text.strip()
    if not text:
        raise RefusedError("empty_text", "the text is empty")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            reason = f"character {error.start} of the text is half a surrogate pair: write whole characters"
            raise RefusedError("parse", reason) from None
    return text


def clean_timestamp(timestamp: str) -> str:
    """The time to store, "" for none; a space between day and time becomes the standard's T.

    Anything but ISO 8601 is refused: timestamps are outside the budget, so free text there would be free memory.

    Raises:
        RefusedError: If it is not ISO 8601.
    """
    cleaned = _with_t(timestamp)
    if cleaned and not is_timestamp(cleaned):
        raise RefusedError("parse", f"timestamp {quote(timestamp)} is not ISO 8601, such as 2023-05-08T13:56")
    return cleaned


def refuse_overflow(name: str, used: int, growth: int, limit: int | None) -> None:
    """Refuse what does not fit the budget called ``name``; all figures in tokens.

    Raises:
        RefusedError: If it does not fit; the reason says by how much.
    """
    if limit is not None and used + growth > limit:
        raise RefusedError(
            "over_budget",
            f"over the {name} budget by {used + growth - limit} tokens ({used} of {limit} used, {growth} more asked "
            "for): write less or delete something",
        )


def merge_sources(old: tuple[str, ...], new: Iterable[str]) -> tuple[str, ...]:
    """The union in order of appearance, cut to the last ``MAX_SOURCES``."""
    return tuple(dict.fromkeys((*old, *new)))[-MAX_SOURCES:]


def quote(value: object) -> str:
    """A short printable form of anything a model or a programmer may have passed."""
    if isinstance(value, int) and value.bit_length() > 64:
        return "with such a number"
    text = ascii(value[:_QUOTED] if isinstance(value, str) else value)
    return text if len(text) <= 2 * _QUOTED else text[: 2 * _QUOTED] + "..."


def _with_t(timestamp: str) -> str:
    return timestamp.strip().replace(" ", "T", 1)
