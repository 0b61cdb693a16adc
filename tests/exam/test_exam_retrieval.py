"""An exam takes what the bank's own search gives, and has its questions encoded in one batch."""

import numpy as np
import pytest

from memgym.exam.exam import Exam, Paper
from memgym.memory.bank import MemoryBank
from tests.scripted import FakeReader, make_question, tea_story


class Letters:
    """One dimension per letter: "tea" and "eat" mean the same."""

    name, dimension = "letters", 26

    def __init__(self):
        self.calls = []

    def encode(self, texts):
        self.calls.append(list(texts))
        return np.array([[text.lower().count(chr(ord("a") + i)) for i in range(26)] for text in texts])


def graded(retrieval, *, context="memory"):
    encoder = Letters()
    bank = MemoryBank(encoder=encoder, retrieval=retrieval)
    for store, text in (("semantic", "ate"), ("episodic", "tea and more"), ("semantic", "xyz")):
        bank.insert(store, text)
    questions = (make_question("tea", "x"), make_question("yxz", "x"))
    (result,) = Exam(FakeReader(), context=context).grade([Paper(bank, questions, tea_story().chunks)])
    return [answer.retrieved for answer in result.answers], encoder.calls


@pytest.mark.parametrize(
    ("retrieval", "retrieved"),
    [("bm25", [(2,), ()]), ("dense", [(1, 2, 3), (3, 1, 2)]), ("hybrid", [(2, 1, 3), (3, 1, 2)])],
)
def test_the_reader_is_given_what_the_bank_s_search_finds_over_both_stores(retrieval, retrieved):
    assert graded(retrieval)[0] == retrieved


def test_all_questions_of_a_paper_and_its_entries_are_encoded_in_one_call():
    assert graded("hybrid")[1] == [["ate", "tea and more", "xyz", "tea", "yxz"]]
    assert graded("bm25")[1] == []


def test_the_stream_exam_encodes_nothing():
    assert graded("dense", context="stream")[1] == []
