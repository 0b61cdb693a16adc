"""The knobs of the dialogue generator, checked when they are set."""

from __future__ import annotations

from dataclasses import dataclass

SPLITS: tuple[str, ...] = ("train", "validation", "test")
CATEGORIES: tuple[str, ...] = (
    "single",
    "event",
    "update",
    "contradiction",
    "multi_hop",
    "temporal",
    "unanswerable",
)
TOPICS: tuple[str, ...] = (
    "work",
    "home",
    "family",
    "pets",
    "food",
    "hobbies",
    "travel",
    "health",
    "possessions",
    "plans",
)
VERBOSITIES: tuple[str, ...] = ("full", "short")


@dataclass(frozen=True, slots=True)
class DialogueConfig:
    """Difficulty and shape of the generated dialogues.

    Attributes:
        chunks: sessions of an episode; each is one chunk with its own date.
        turns_per_chunk: turns of one session, alternating between the two speakers.
        questions: questions asked after the last chunk. An episode too small to support that many is filled up with
            unanswerable ones, which an empty memory answers; without that category it has fewer.
        noise: share of all turns that are chit-chat and deserve no memory, in [0, 1).
        update_rate: share of the fact turns that give a slot told earlier its new value (a new job, a move).
        contradiction_rate: share of the fact turns that correct or withdraw an earlier statement.
        categories: which question categories are asked, a subset of ``CATEGORIES``; they take turns.
        asked_topics: only facts of these topics are ever asked about, everything else is a distractor;
            None asks about all of ``TOPICS``.
        asked_share: with ``asked_topics``, the share of the fact turns that belongs to them, in (0, 1].
        days_between: fewest and most days from one session to the next, both included.
        verbosity: "full" gives chatty turns of about 18 words, "short" one bare clause of about 8.

    Raises:
        ValueError: a knob is out of range; the message says which and what is allowed.
    """

    chunks: int = 8
    turns_per_chunk: int = 6
    questions: int = 10
    noise: float = 0.3
    update_rate: float = 0.15
    contradiction_rate: float = 0.08
    categories: tuple[str, ...] = CATEGORIES
    asked_topics: tuple[str, ...] | None = None
    asked_share: float = 0.4
    days_between: tuple[int, int] = (3, 21)
    verbosity: str = "full"

    def __post_init__(self) -> None:
        for name in ("chunks", "turns_per_chunk", "questions"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name}={value!r}: expected a whole number of at least 1")
        if not (_is_number(self.noise) and 0 <= self.noise < 1):
            raise ValueError(f"noise={self.noise!r}: expected a share in [0, 1), some turns must hold facts")
        self._check_revisions()
        _check_names("categories", self.categories, CATEGORIES)
        if self.asked_topics is not None:
            _check_names("asked_topics", self.asked_topics, TOPICS)
        if not (_is_number(self.asked_share) and 0 < self.asked_share <= 1):
            raise ValueError(f"asked_share={self.asked_share!r}: expected a share in (0, 1]")
        if not _is_range(self.days_between):
            raise ValueError(
                f"days_between={self.days_between!r}: expected (fewest, most), whole numbers with 1 <= fewest <= most"
            )
        if self.verbosity not in VERBOSITIES:
            raise ValueError(f"verbosity={self.verbosity!r}: expected one of {', '.join(VERBOSITIES)}")

    def _check_revisions(self) -> None:
        for name in ("update_rate", "contradiction_rate"):
            value = getattr(self, name)
            if not (_is_number(value) and 0 <= value <= 1):
                raise ValueError(f"{name}={value!r}: expected a share in [0, 1]")
        total = self.update_rate + self.contradiction_rate
        if total > 0.8:
            raise ValueError(f"update_rate + contradiction_rate = {total:g}: expected at most 0.8, lower one of them")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_range(value: object) -> bool:
    """Whether ``value`` is a pair of whole numbers, 1 <= first <= second."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    return all(type(days) is int for days in value) and 1 <= value[0] <= value[1]


def _check_names(knob: str, given: tuple[str, ...], allowed: tuple[str, ...]) -> None:
    """Refuse an empty list, what is no list of names, repeats and unknown names."""
    if not isinstance(given, list | tuple) or not given:
        raise ValueError(f"{knob}={given!r}: expected a non-empty tuple out of {', '.join(allowed)}")
    for name in given:
        if name not in allowed:
            raise ValueError(f"{knob} has {name!r}: expected names out of {', '.join(allowed)}")
    if len(set(given)) < len(given):
        raise ValueError(f"{knob}={given!r}: a name is repeated, list each once")
