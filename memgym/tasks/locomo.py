"""LoCoMo-10 (arXiv 2402.17753): ten long two-person chats, 1,986 questions, from a file the user brings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from memgym.tasks import record_check
from memgym.tasks.chunking import Chunking, parse_chunking
from memgym.tasks.episode import Episode, Question, Turn
from memgym.tasks.locomo_file import ATTRIBUTION, LOCOMO_LICENCE, LOCOMO_SHA256, field, read_records
from memgym.tasks.task import EpisodeList

LOCOMO_CATEGORIES = {"1": "multi-hop", "2": "temporal", "3": "open-domain", "4": "single-hop", "5": "adversarial"}
"""Category id -> name, as in the branches of the official scorer. Several papers swap the names: report by id."""

UNANSWERABLE = "No information available"
SPLITS = (*record_check.SPLITS, "all")

# Memory-R1 (arXiv 2508.19828) trains on 152 questions, validates on 81 and tests on 1,307: these conversations.
_SPLIT_OF = {"conv-26": "train", "conv-30": "validation"}
_ZERO_WIDTH_SPACE = "\u200b"
_SESSION_KEY = re.compile(r"session_(\d+)")
# "D8:6; D9:17", "D9:1 D4:4 D4:6", "D30:05" and "D:11:26" all occur.
_EVIDENCE_ID = re.compile(r"D:?(\d+):(\d+)")
_DATE = re.compile(r"(\d{1,2}):(\d{2}) (am|pm) on (\d{1,2}) ([A-Za-z]+), (\d{4})", re.IGNORECASE)
# Not strptime: its month names and am/pm depend on the locale.
_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip


class LoCoMo(EpisodeList):
    """The LoCoMo conversations as a task, one episode per conversation.

    The first load says once, on standard error, whose data it is and under which licence; another file than the
    published one is pointed out.

    What is fed to a memory is what the speakers said, plus the caption of a picture they shared (`` and shared
    <caption>``). The annotators' search text for pictures, the summaries and event lists of the file are not.

    Golds are the file's, cast to text, without zero-width spaces. Category 5 asks for something the chat does not
    hold: its gold is "No information available", and the file's plausible wrong answer is in ``traps`` only.

    Args:
        path: the JSON file or its folder; ``"hf:owner/name"`` for a data set of the Hugging Face hub in the same
            schema (needs the ``datasets`` package, which downloads it); None for
            ``$MEMGYM_DATA/locomo/locomo10.json``.
        split: "train" (conv-26), "validation" (conv-30) or "test" (the other eight), the split of Memory-R1
            (arXiv 2508.19828), or "all". Published numbers without training are on "all".
        chunking: see :func:`memgym.tasks.chunking.parse_chunking`.
        categories: ids of the questions to keep; "5" is out by default, since always abstaining scores 1.0 on it.
            Conversations without a question of these categories are left out.

    Attributes:
        arguments: path, split, chunking and categories.
        category_names: category id -> name, as in the official scorer.
        sha256: digest of the file, "" for a hub data set.
        verified: whether ``sha256`` is that of the published file; scores from any other file are not comparable.
        traps: question id -> wrong answer that category 5 fishes for; for the two-way prompt only, never an
            observation and never a gold.
        unresolved_evidence: question id -> what its evidence field names but the chat does not hold.

    Raises:
        FileNotFoundError: no file there.
        ModuleNotFoundError: a hub data set without the ``datasets`` package.
        ValueError: unknown split, category or chunking, no question left, or a file in another schema.
    """

    category_names = LOCOMO_CATEGORIES
    licence = LOCOMO_LICENCE
    attribution = ATTRIBUTION

    def __init__(
        self,
        path: str | Path | None = None,
        split: str = "test",
        chunking: str = "session",
        categories: Sequence[str] = ("1", "2", "3", "4"),
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f"LoCoMo split {split!r}: expected one of {', '.join(SPLITS)}")
        _check_categories(categories)
        cut = parse_chunking(chunking)
        records, where, self.sha256 = read_records(path)
        self.verified = self.sha256 == LOCOMO_SHA256
        chosen = {"split": split, "chunking": chunking, "categories": list(categories)}
        self.arguments = {"path": where, **chosen}
        self.traps: dict[str, str] = {}
        self.unresolved_evidence: dict[str, tuple[str, ...]] = {}
        episodes = []
        for row, record in enumerate(records):
            sample = field(record, "sample_id", str, f"{where} record {row}")
            if split in ("all", _SPLIT_OF.get(sample, "test")):
                episodes.append(self._episode(record, cut, categories, f"{where} {sample}"))
        episodes = [episode for episode in episodes if episode.questions]
        if not episodes:
            raise ValueError(f"{where}: no question of categories {', '.join(categories)} in split {split!r}")
        super().__init__("locomo", episodes)

    def _episode(self, record: Mapping[str, Any], cut: Chunking, categories: Sequence[str], where: str) -> Episode:
        sessions = read_sessions(field(record, "conversation", dict, where), where)
        known = {turn.id for session in sessions for turn in session}
        questions = []
        for index, raw in enumerate(field(record, "qa", list, where)):
            category = str(raw.get("category")) if isinstance(raw, dict) else ""
            if category not in LOCOMO_CATEGORIES:
                raise ValueError(f"{where} qa[{index}]: category {category!r}, expected 1 to 5")
            if category in categories:
                # Numbered over all categories, so that an id means the same whatever was selected.
                questions.append(
                    self._question(raw, category, f"{record['sample_id']}-q{index}", known, f"{where} qa[{index}]")
                )
        return Episode(
            id=record["sample_id"],
            source="locomo",
            split=_SPLIT_OF.get(record["sample_id"], "test"),
            chunks=cut(sessions),
            questions=tuple(questions),
            licence=LOCOMO_LICENCE,
        )

    def _question(self, raw: dict[str, Any], category: str, id_: str, known: set[str], where: str) -> Question:
        evidence, unresolved = resolve_evidence(raw.get("evidence") or (), known)
        if unresolved:
            self.unresolved_evidence[id_] = unresolved
        if category == "5" and raw.get("adversarial_answer") is not None:
            self.traps[id_] = _clean(raw["adversarial_answer"])
        return Question(
            id=id_,
            text=field(raw, "question", str, where),
            answers=(UNANSWERABLE if category == "5" else _gold(raw, where),),
            category=category,
            evidence=evidence,
            metric=f"locomo_{category}",
            answerable=category != "5",
        )


def parse_locomo_date(text: str) -> str:
    """The file's ``1:56 pm on 8 May, 2023`` as ISO 8601 in minutes, ``2023-05-08T13:56``.

    Raises:
        ValueError: text in another form, or no such date.
    """
    match = _DATE.fullmatch(text.strip())
    if match is None or match[5].lower() not in _MONTHS or not 1 <= int(match[1]) <= 12:
        raise ValueError(f"LoCoMo date {text!r}: expected the form '1:56 pm on 8 May, 2023'")
    hour = int(match[1]) % 12 + (12 if match[3].lower() == "pm" else 0)
    month = _MONTHS.index(match[5].lower()) + 1
    moment = datetime(int(match[6]), month, int(match[4]), hour, int(match[2]))
    return moment.isoformat(timespec="minutes")


def resolve_evidence(raw: Sequence[str], known: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Turn ids that a question's evidence field means.

    Strings that hold several ids are split, ``D30:05`` and ``D:11:26`` read as D30:5 and D11:26, repeats dropped.

    Args:
        raw: the field as it stands in the file.
        known: ids of the turns of the conversation.

    Returns:
        The ids that exist, in order, and what does not: ids of no turn, and strings without an id.
    """
    found: dict[str, None] = {}
    unresolved: list[str] = []
    for text in raw:
        ids = [f"D{int(session)}:{int(turn)}" for session, turn in _EVIDENCE_ID.findall(text)]
        found.update(dict.fromkeys(id_ for id_ in ids if id_ in known))
        unresolved.extend([id_ for id_ in ids if id_ not in known] if ids else [text])
    return tuple(found), tuple(unresolved)


def duplicate_questions(episode: Episode) -> dict[str, str]:
    """Questions asked twice: id of the repeat -> id of the first, same text, category and golds (11 in conv-48).

    Paired significance tests must not count them twice. The text that conv-30 asks once as category 4 and once as
    category 5 is no repeat: the golds differ.
    """
    first: dict[tuple[str, str, tuple[str, ...]], str] = {}
    repeats = {}
    for question in episode.questions:
        original = first.setdefault((question.text, question.category, question.answers), question.id)
        if original != question.id:
            repeats[question.id] = original
    return repeats


def _check_categories(categories: Sequence[str]) -> None:
    listed = isinstance(categories, list | tuple) and all(isinstance(id_, str) for id_ in categories)
    if not listed or not categories or any(id_ not in LOCOMO_CATEGORIES for id_ in categories):
        raise ValueError(f"LoCoMo categories {categories!r}: expected some of '1' to '5', e.g. ('1', '2', '3', '4')")


def _clean(answer: object) -> str:
    """Golds stay as they are but for their type (six are ints) and zero-width spaces (eight in one answer)."""
    return str(answer).replace(_ZERO_WIDTH_SPACE, "")


def _gold(raw: Mapping[str, Any], where: str) -> str:
    if raw.get("answer") is None:
        raise ValueError(f"{where}: no 'answer', expected one in every question of categories 1 to 4")
    return _clean(raw["answer"])


def read_sessions(conversation: Mapping[str, Any], where: str) -> list[list[Turn]]:
    """Turns by session, in the order of the session numbers.

    Only ``session_<n>`` keys count: conv-26 has dates for 16 sessions that do not exist, and hub tables fill the
    sessions a conversation lacks with None.
    """
    numbers = sorted(
        int(match[1]) for key, value in conversation.items() if value and (match := _SESSION_KEY.fullmatch(key))
    )
    sessions = []
    for number in numbers:
        place = f"{where} session_{number}"
        date = conversation.get(f"session_{number}_date_time")
        timestamp = parse_locomo_date(date) if date else ""
        turns = field(conversation, f"session_{number}", list, where)
        sessions.append([_turn(raw, timestamp, f"{place}[{index}]") for index, raw in enumerate(turns)])
    return sessions


def _turn(raw: Any, timestamp: str, where: str) -> Turn:
    text = field(raw, "text", str, where)
    # A caption may come without an image address; ``query`` is search text of the annotators and says what no one said.
    if raw.get("blip_caption"):
        text = f"{text} and shared {raw['blip_caption']}"
    # A chunk has one line per turn, so a turn has no line breaks.
    text = " ".join(line.strip() for line in text.splitlines() if line.strip())
    return Turn(field(raw, "dia_id", str, where), field(raw, "speaker", str, where), text, timestamp)
