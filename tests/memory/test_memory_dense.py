"""Dense and hybrid search: closed-form scores, how it is chosen, and what is encoded when."""

import sqlite3
import sys
from types import ModuleType

import numpy as np
import pytest

from memgym.memory import MemoryBank, Operation
from memgym.memory import dense as dense_module
from memgym.memory.encoder import choose_retrieval, load_encoder
from memgym.memory.fusion import fuse_ranks
from tests.bag_of_words import BagOfWords, bank_of, found, vectors_stored

# --- scores ---


def test_dense_scores_are_cosines_best_first_and_equal_ones_by_id():
    bank = bank_of("tea milk", "water", "tea tea", "noon", "tea", retrieval="dense")
    assert found(bank, "Tea") == [("tea tea", 1), ("tea", 1), ("tea milk", 0.707107), ("water", 0), ("noon", 0)]
    assert found(bank, "Tea", k=2) == [("tea tea", 1), ("tea", 1)]


def test_hybrid_scores_are_sums_of_reciprocal_ranks():
    bank = bank_of("tea milk", "espresso", "coffee noon")
    # By words: coffee noon alone. By vectors: espresso (1), coffee noon (.71), tea milk (0).
    expected = {"coffee noon": 1 / 61 + 1 / 62, "espresso": 1 / 61, "tea milk": 1 / 63}
    assert found(bank, "coffee") == [(text, pytest.approx(score, abs=1e-15)) for text, score in expected.items()]


def test_fusion_adds_reciprocal_ranks_and_nothing_for_what_a_ranking_leaves_out():
    scores = fuse_ranks([np.array([2, 0]), np.array([0, 1, 2]), np.array([], dtype=int)], count=4)
    assert scores.tolist() == pytest.approx([1 / 62 + 1 / 61, 1 / 62, 1 / 61 + 1 / 63, 0])


@pytest.mark.parametrize("retrieval", ["dense", "hybrid"])
def test_scores_of_one_store_are_those_among_both(retrieval):
    bank = bank_of("tea", "tea milk", retrieval=retrieval)
    bank.insert("episodic", "tea noon water")
    bank.insert("episodic", "coffee")
    both = bank.search_scored("tea water", k=9)
    assert len(both) == 4
    for store in ("semantic", "episodic"):
        assert bank.search_scored("tea water", store=store) == [pair for pair in both if pair[0].store == store]


def test_a_query_without_a_known_word_ranks_by_id_and_a_blank_one_finds_nothing():
    bank, empty = bank_of("tea", "milk"), bank_of()
    assert found(bank, "?!") == [("tea", pytest.approx(1 / 61)), ("milk", pytest.approx(1 / 62))]
    assert found(bank, " \n") == found(bank, "tea", k=0) == found(empty, "tea") == []
    assert [each._storage._encoder.calls for each in (bank, empty)] == [[["tea", "milk", "?!"]], []]


@pytest.mark.parametrize("query", ["\ud800 tea", "\0", '"tea', "tea " * 5000, "NEAR(tea milk)"])
def test_no_query_raises(query):
    bank = bank_of("tea", "milk")
    result = bank.apply(Operation("search", text=query, k=10**30))
    assert result.ok
    assert sorted(entry.id for entry in result.found) == [1, 2]
    assert bank.journal()[-1].found == tuple(entry.id for entry in bank.search(query))


def test_every_entry_of_a_large_bank_can_be_asked_for():
    bank = bank_of(*(f"tea {number}" for number in range(250)), retrieval="dense")
    bank._storage._database.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 200)  # of one statement
    assert [entry.id for entry in bank.search("tea", k=10**30)] == list(range(1, 251))


# --- the choice ---


def test_an_encoder_means_hybrid_and_none_means_bm25():
    assert [choose_retrieval(encoder, None) for encoder in (BagOfWords(), None)] == ["hybrid", "bm25"]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"retrieval": "dense"}, ValueError, "retrieval='dense' needs an encoder: pass encoder=..."),
        ({"retrieval": "best"}, ValueError, "retrieval='best': expected one of bm25, dense, hybrid"),
        ({"encoder": "minilm"}, TypeError, r"expected an object with name, dimension and encode\(texts\), got str"),
    ],
)
def test_a_search_that_cannot_be_is_refused(settings, error, message):
    with pytest.raises(error, match=message):
        MemoryBank(**settings)


@pytest.mark.parametrize("encoder", [None, BagOfWords()])
def test_search_by_words_alone_encodes_nothing_and_stores_nothing(encoder):
    with MemoryBank(encoder=encoder, retrieval="bm25") as bank, MemoryBank() as plain:
        for each in (bank, plain):
            each.insert("semantic", "tea")
            each.prepare(["tea"])
            each.search("tea")
        assert bank.snapshot() == plain.snapshot()
        assert bank.search_scored("tea") == plain.search_scored("tea")
    assert encoder is None or encoder.calls == []


def test_an_encoder_by_path_is_made_once(monkeypatch):
    module = ModuleType("somebodys_encoders")
    module.Words = BagOfWords
    monkeypatch.setitem(sys.modules, "somebodys_encoders", module)
    assert isinstance(load_encoder("somebodys_encoders:Words"), BagOfWords)
    assert load_encoder("somebodys_encoders:Words") is load_encoder("somebodys_encoders:Words")


def test_an_encoder_by_path_is_made_with_the_name_that_is_given(monkeypatch):
    module = ModuleType("named_encoders")
    module.Words = BagOfWords
    monkeypatch.setitem(sys.modules, "named_encoders", module)
    assert load_encoder("named_encoders:Words").name == "words"
    assert load_encoder("named_encoders:Words@hub/id").name == "hub/id"
    assert load_encoder("named_encoders:Words@/a folder/C:@1").name == "/a folder/C:@1"
    assert load_encoder("named_encoders:Words@hub/id") is load_encoder("named_encoders:Words@hub/id")


@pytest.mark.parametrize(
    "path",
    ["words", ":Words", "nowhere:Words", "json:Words", "json:dumps", "json:dumps@", "@json:dumps", "json:dump@x"],
)
def test_a_path_without_an_encoder_raises_one_line(path):
    with pytest.raises(ValueError, match=f"encoder '?{path}'?: expected MODULE:CLASS of an encoder"):
        load_encoder(path)


# --- what is encoded, and when ---


def test_a_stream_of_inserts_costs_one_call():
    bank = bank_of("tea", "milk")
    bank.insert("episodic", "water")
    encoder = bank._storage._encoder
    assert encoder.calls == []
    bank.search("noon")
    bank.search("noon", store="episodic")
    assert encoder.calls == [["tea", "milk", "water", "noon"]]
    bank.insert("semantic", "coffee")
    bank.search("noon")
    assert encoder.calls[1:] == [["coffee"]]


def test_prepared_queries_cost_one_call_together_and_change_no_result():
    bank, unprepared = bank_of("tea", "milk"), bank_of("tea", "milk")
    bank.prepare(["tea", "milk noon", "tea"])
    assert [found(bank, query) for query in ("tea", "milk noon")] == [
        found(unprepared, query) for query in ("tea", "milk noon")
    ]
    assert bank._storage._encoder.calls == [["tea", "milk", "tea", "milk noon"]]


def test_the_vectors_of_queries_that_are_kept_are_bounded(monkeypatch):
    monkeypatch.setattr(dense_module, "MAX_QUERIES", 3)
    bank = bank_of("tea")
    for query in ("a", "b", "c", "d", "d", "c"):
        bank.search(query)
    assert bank._storage._encoder.encoded == ["tea", "a", "b", "c", "d", "c"]


def test_an_update_that_keeps_the_text_keeps_the_vector():
    bank = bank_of("tea")
    bank.search("tea")
    bank.update("semantic", "tea", entry_id=1, sources=["D1:1"])
    bank.search("tea")
    assert bank._storage._encoder.encoded == ["tea", "tea"]  # entry and query, once each


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.zeros((2, 4)), r"encoder 'words' gave an array of shape \(2, 4\): expected \(texts, D\) = \(2, 5\)"),
        (np.full((2, 5), np.nan), "encoder 'words' gave a vector that is not finite"),
    ],
)
def test_an_encoder_that_fails_is_named_and_leaves_the_bank_as_it_was(monkeypatch, answer, message):
    bank = bank_of("tea")
    with monkeypatch.context() as patched:
        patched.setattr(BagOfWords, "encode", lambda self, texts: answer)
        with pytest.raises(ValueError, match=message):
            bank.search("tea")
    assert vectors_stored(bank) == 0
    assert found(bank, "tea") == [("tea", pytest.approx(2 / 61))]
