"""The published LoCoMo file: counts, splits and reference figures. Skipped where the file is not at hand."""

import json
import os
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from memgym.exam.metrics import METRICS
from memgym.tasks.locomo import LOCOMO_CATEGORIES, LoCoMo, duplicate_questions

REAL = Path(os.environ.get("MEMGYM_DATA") or Path(__file__).parents[3] / "shared" / "data") / "locomo" / "locomo10.json"
pytestmark = pytest.mark.skipif(not REAL.is_file(), reason="the LoCoMo file is not at hand")

# conversation: sessions, turns, questions, then questions of categories 1 to 5
COUNTS = {
    "conv-26": (19, 419, 199, 32, 37, 13, 70, 47),
    "conv-30": (19, 369, 105, 11, 26, 0, 44, 24),
    "conv-41": (32, 663, 193, 31, 27, 8, 86, 41),
    "conv-42": (29, 629, 260, 37, 40, 11, 111, 61),
    "conv-43": (29, 680, 242, 31, 26, 14, 107, 64),
    "conv-44": (28, 675, 158, 30, 24, 7, 62, 35),
    "conv-47": (31, 689, 190, 20, 34, 13, 83, 40),
    "conv-48": (30, 681, 239, 21, 42, 10, 118, 48),
    "conv-49": (25, 509, 196, 37, 33, 13, 73, 40),
    "conv-50": (30, 568, 204, 32, 32, 7, 87, 46),
}
# Distinct turns that are evidence for a question of categories 1 to 4.
EVIDENCE_TURNS = (133, 74, 128, 180, 168, 126, 132, 168, 186, 133)


@pytest.fixture(scope="module")
def real() -> LoCoMo:
    return LoCoMo(REAL, split="all", categories=tuple(LOCOMO_CATEGORIES))


def test_the_published_file_has_its_published_counts(real):
    found = {}
    for episode in real:
        per_category = Counter(question.category for question in episode.questions)
        sizes = (len(episode.chunks), len(episode.turns), len(episode.questions))
        found[episode.id] = (*sizes, *(per_category[id_] for id_ in LOCOMO_CATEGORIES))
    assert real.verified
    assert found == COUNTS
    assert [sum(column) for column in zip(*found.values(), strict=True)] == [272, 5882, 1986, 282, 321, 96, 841, 446]


def test_the_published_file_is_split_as_in_memory_r1():
    sizes = {split: [len(e.questions) for e in LoCoMo(REAL, split=split)] for split in ("train", "validation", "test")}
    assert (sizes["train"], sizes["validation"]) == ([152], [81])
    assert (len(sizes["test"]), sum(sizes["test"])) == (8, 1307)
    assert sum(len(e.questions) for e in LoCoMo(REAL, split="all")) == 1540


def test_the_published_evidence_resolves_but_for_three_ids(real):
    assert real.unresolved_evidence == {
        "conv-42-q58": ("D10:19",),
        "conv-42-q88": ("D",),
        "conv-47-q38": ("D4:36",),
    }
    assert sum(bool(question.evidence) for episode in real for question in episode.questions) == 1982
    asked = [[q for q in episode.questions if q.category != "5"] for episode in real]
    assert tuple(len({id_ for q in questions for id_ in q.evidence}) for questions in asked) == EVIDENCE_TURNS


def test_the_published_traps_are_kept_apart_and_repeats_are_found(real):
    assert len(real.traps) == 446
    assert {episode.id: len(duplicate_questions(episode)) for episode in real if duplicate_questions(episode)} == {
        "conv-48": 11
    }
    assert all("\u200b" not in answer for e in real for q in e.questions for answer in q.answers)


def test_the_published_turns_are_one_line_each_with_the_caption_of_their_picture(real):
    said = {}
    for record in json.loads(REAL.read_bytes()):
        for turns in record["conversation"].values():
            for turn in turns if isinstance(turns, list) else ():
                said[record["sample_id"], turn["dia_id"]] = (turn["text"], turn.get("blip_caption"))
    assert sum(caption is not None for _, caption in said.values()) == 1226
    expected = {
        key: " ".join(f"{text} and shared {caption}".split() if caption else text.split())
        for key, (text, caption) in said.items()
    }
    assert {(e.id, turn.id): " ".join(turn.text.split()) for e in real for turn in e.turns} == expected
    assert all(len(turn.text.splitlines()) == 1 for e in real for turn in e.turns)


def test_the_published_sessions_strictly_increase_in_time(real):
    for episode in real:
        assert all(before.timestamp < after.timestamp for before, after in pairwise(episode.chunks))


def test_constant_abstention_scores_what_the_published_golds_imply(real):
    scores: dict[str, list[float]] = {id_: [] for id_ in LOCOMO_CATEGORIES}
    for episode in real:
        for question in episode.questions:
            scores[question.category].append(METRICS[question.metric]("No information available", question.answers))
    means = [round(sum(values) / len(values), 6) for values in scores.values()]
    assert means == [0.007092, 0.001558, 0.035023, 0.00107, 1.0]
    assert round(sum(map(sum, scores.values())) / 1986, 6) == 0.227977
