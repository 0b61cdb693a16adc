"""Your own data: episodes from a JSON or JSONL file in the schema of ``docs/custom-data.md``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memgym.tasks.episode import Episode
from memgym.tasks.record_check import SPLITS, check_record
from memgym.tasks.schema import build_episode
from memgym.tasks.task import EpisodeList


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file of episodes."""

    file: str
    row: int | None  # JSONL: line, from 1; JSON: index in the list, from 0; None: the file as a whole
    field: str  # e.g. "questions[0].answers"; "" for a whole row
    message: str

    def __str__(self) -> str:
        unit = "line" if self.file.lower().endswith(".jsonl") else "record"
        place = self.file if self.row is None else f"{self.file} {unit} {self.row}"
        return ": ".join(part for part in (place, self.field, self.message) if part)


class Custom(EpisodeList):
    """The episodes of a file as a task; arguments and errors are those of :func:`load_custom`.

    Attributes:
        arguments: path and split.
        sha256: digest of the file.
    """

    def __init__(self, path: str | Path, split: str | None = None) -> None:
        super().__init__("custom", load_custom(path, split))
        self.arguments = {"path": str(path), "split": split}
        self.sha256 = hashlib.sha256(Path(path).read_bytes()).hexdigest()


def load_custom(path: str | Path, split: str | None = None) -> list[Episode]:
    """Read the episodes of a file.

    Args:
        path: ``.jsonl`` (one record a line) or ``.json`` (a list of records, or one record); UTF-8, with or without a
            byte order mark, any line ends.
        split: keep only the episodes of this split; None keeps all.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a problem in the file (the message names the first; :func:`validate_custom` lists all), an unknown
            split, or a split without episodes.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(f"split {split!r}: expected one of {', '.join(SPLITS)}, or None for all")
    records, problems = _scan(Path(path))
    if problems:
        raise ValueError(f"{problems[0]} (1 of {len(problems)} problems; validate_custom lists all)")
    episodes = [build_episode(record) for record in records]
    kept = [episode for episode in episodes if split in (None, episode.split)]
    if not kept:
        present = ", ".join(sorted({episode.split for episode in episodes}))
        raise ValueError(f"{path}: no episode in split {split!r}; the file has {present}")
    return kept


def validate_custom(path: str | Path) -> list[Problem]:
    """All problems of a file of episodes, in file order; empty when :func:`load_custom` can read it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file name that ends in neither ``.json`` nor ``.jsonl``.
    """
    return _scan(Path(path))[1]


def _scan(path: Path) -> tuple[list[Any], list[Problem]]:
    """Decoded records and all problems of the file."""
    if path.suffix.lower() not in (".json", ".jsonl"):
        raise ValueError(f"{path}: expected a file that ends in .json or .jsonl")
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: expected episodes in .json or .jsonl")
    name = str(path)
    try:
        # The "-sig" codec drops a byte order mark; reading as text makes all line ends "\n".
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        return [], [Problem(name, None, "", f"not UTF-8 at byte {error.start}: save the file as UTF-8")]
    rows = list(_lines(name, text) if path.suffix.lower() == ".jsonl" else _list_items(name, text))
    if not rows:
        return [], [Problem(name, None, "", "the file holds no episode")]
    return [row for _, row in rows if not isinstance(row, Problem)], list(_problems(name, rows))


def _lines(name: str, text: str) -> Iterator[tuple[int | None, Any]]:
    # Not splitlines(): JSON strings may hold U+2028 and its like unescaped.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, _decode(name, number, line)


def _list_items(name: str, text: str) -> Iterator[tuple[int | None, Any]]:
    if not text.strip():
        return
    decoded = _decode(name, None, text)
    if isinstance(decoded, Problem):
        yield None, decoded
    else:
        yield from enumerate(decoded if isinstance(decoded, list) else [decoded])


def _decode(name: str, row: int | None, text: str) -> Any:
    """The decoded value, or the problem that keeps it from being one."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"column {error.colno}" if row is not None else f"line {error.lineno} column {error.colno}"
        return Problem(name, row, "", f"bad JSON at {place}: {error.msg}")
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or nesting as deep
        return Problem(name, row, "", f"bad JSON: {error}")


def _problems(name: str, rows: list[tuple[int | None, Any]]) -> Iterator[Problem]:
    seen: dict[str, int | None] = {}
    for row, value in rows:
        if isinstance(value, Problem):
            yield value
            continue
        yield from (Problem(name, row, field, message) for field, message in check_record(value))
        id_ = value.get("id") if isinstance(value, dict) else None
        if isinstance(id_, str) and seen.setdefault(id_, row) != row:
            yield Problem(name, row, "id", f"{id_!r}: also the id of the episode in row {seen[id_]}")
