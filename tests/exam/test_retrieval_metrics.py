"""Golden values of evidence recall and of the two nDCG variants."""

import pytest

from memgym.exam.retrieval_metrics import evidence_recall, ndcg, ndcg_lme


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


@pytest.mark.parametrize(
    ("relevance", "k", "lme", "standard"),
    [
        ([0, 1, 1, 0], 4, 0.815465, 0.693426),
        ([0, 1, 0, 0], 4, 1.0, 0.630930),
        ([0, 0, 0, 1], 4, 0.5, 0.430677),
        ([0, 1, 0, 1, 0], 3, 0.5, 0.386853),
        ([0, 0, 1, 1], 2, 0, 0),
        ([0, 0], 2, 0, 0),
    ],
)
def test_ndcg_variants(relevance, k, lme, standard):
    assert ndcg_lme(relevance, k) == pytest.approx(lme, abs=1e-6)
    assert ndcg(relevance, k) == pytest.approx(standard, abs=1e-6)


def test_a_cut_below_one_document_is_refused():
    with pytest.raises(ValueError, match="k=0"):
        ndcg([1], 0)
