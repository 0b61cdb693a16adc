"""What is wrong with a fact or a change that a teacher wrote, by rule and without knowing the truth."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from agents.facts import Change, Note
from memgym.dates import MONTHS, WEEKDAYS, find_dates
from memgym.exam.metrics import porter_stem
from memgym.memory.provenance import content_words

MIN_SUPPORT = 0.5  # share of a fact's content words that two neighbouring lines of its chunk must hold

_CAPITALISED = re.compile(r"\b[A-Z]\w+")
_PRONOUNS = "someone somebody everyone everybody anyone anybody nobody they these those nothing something everything"
_NO_NAMES = frozenset([*_PRONOUNS.split(), *(name.lower() for name in (*MONTHS, *WEEKDAYS))])
_ENDS_SOMETHING = re.compile(
    r"\b(?:no longer|not|never|cancel|cancelled|called off|took back|gave up|stopped|quit|left|lost|sold|instead|"
    r"used to|changed|replaced|ended|broke up|moved)\b|n't\b",
    re.IGNORECASE,
)


def fact_fault(fact: str, chunk: str, others: Sequence[str]) -> str:
    """Why an extracted fact is rejected: "duplicate_fact", "nobody", "unsupported"; "" if it is not.

    Args:
        fact: One statement.
        chunk: What it was extracted from, one line per turn.
        others: Facts of the same chunk that have been accepted.
    """
    if _bare(fact) in map(_bare, others):
        return "duplicate_fact"
    if not _names(fact) & _names(chunk):
        return "nobody"
    return "" if support(fact, chunk) >= MIN_SUPPORT else "unsupported_fact"


def support(fact: str, chunk: str) -> float:
    """Share of the content words of ``fact``, dates aside, in the two neighbouring lines of ``chunk`` that have most.

    Two lines, because a fact is often told in an answer to a question. Words are compared by their stems. Dates do
    not count: a teacher is asked to turn "yesterday" into one.
    """
    wanted = _stems(_without_dates(fact))
    if not wanted:
        return 0.0
    lines = [_stems(line) for line in chunk.split("\n")]
    pairs = [first | second for first, second in pairwise(lines)] or lines
    return max(len(wanted & pair) for pair in pairs) / len(wanted)


def change_fault(change: Change, fact: str, notes: Sequence[Note]) -> str:
    """Why a change is rejected: "unknown_id", "unchanged", "unjustified_delete"; "" if it is not.

    Args:
        change: Of an update reply; INVALID ones are not judged here.
        fact: The new fact.
        notes: That were shown with it.
    """
    if change.kind not in ("UPDATE", "DELETE"):
        return ""
    if not 1 <= change.number <= len(notes):
        return "unknown_id"
    note = notes[change.number - 1].text
    if change.kind == "UPDATE":
        return "unchanged" if _bare(change.text or fact) == _bare(note) else ""
    return "" if contradicts(fact, note) else "unjustified_delete"


def contradicts(fact: str, note: str) -> bool:
    """Whether ``fact`` may take back ``note``: about the same somebody, and the same thing or the end of one.

    A cheap test that errs on the side of keeping memories.
    """
    shared = _names(fact) & _names(note)
    if not shared:
        return False
    same_thing = (content_words(fact) & content_words(note)) - {name.lower() for name in shared} - {"s"}
    return bool(same_thing) or _ENDS_SOMETHING.search(fact) is not None


def _names(text: str) -> set[str]:
    """Words with a capital letter that may name somebody; a sentence's first word may be none, but often is."""
    return {word for word in _CAPITALISED.findall(text) if content_words(word) and word.lower() not in _NO_NAMES}


def _stems(text: str) -> set[str]:
    return {porter_stem(word) for word in content_words(text)}


def _without_dates(text: str) -> str:
    for mention in reversed(find_dates(text)):
        text = text[: mention.start] + text[mention.end :]
    return text


def _bare(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))
