"""Golden values of evidence recall."""

import pytest

from memgym.exam.retrieval_metrics import evidence_recall


@pytest.mark.parametrize(
    ("found", "evidence", "expected"),
    [
        (["D1:1", "D2:4"], ["D1:1"], 1.0),
        (["D1:1", "D1:1"], ["D1:1", "D3:2"], 0.5),
        ([], ["D1:1"], 0.0),
        (["D1:1"], ["D2:1", "D2:1"], 0.0),
    ],
)
def test_evidence_recall(found, evidence, expected):
    assert evidence_recall(found, evidence) == expected


def test_a_question_without_evidence_has_no_recall():
    assert evidence_recall(["D1:1"], []) is None
