import math
import random

import pytest

from memgym.memory import MemoryBank, Operation
from memgym.memory.bank import MAX_RESULTS
from memgym.memory.query import MAX_TERMS, query_terms


@pytest.fixture
def bank():
    with MemoryBank() as bank:
        yield bank


def test_search_scores_are_bm25():
    bank = MemoryBank()
    texts = ["tea tea water", "coffee", "milk and sugar and honey", "water", "bread"]
    for text in texts:
        bank.insert("semantic", text)

    def bm25(frequency, length, having):
        idf = math.log((5 - having + 0.5) / (having + 0.5))
        return idf * frequency * 2.2 / (frequency + 1.2 * (0.25 + 0.75 * length / (11 / 5)))

    found = bank.search_scored("tea or water?")
    assert [entry.id for entry, _ in found] == [1, 4]
    assert [score for _, score in found] == pytest.approx([bm25(2, 3, 1) + bm25(1, 3, 2), bm25(1, 1, 2)])


def test_search_stems_and_ignores_case_and_accents(bank):
    bank.insert("semantic", "Anna visited several cafés")
    bank.insert("semantic", "nothing of the kind")
    for query in ("VISITS", "cafe", "cafe\u0301s", "Café?"):
        assert [entry.id for entry in bank.search(query)] == [1], query


def test_equal_scores_are_in_the_order_of_ids(bank):
    for letter in "edcba":
        bank.insert("semantic", f"tea {letter}")
    assert [entry.id for entry in bank.search("tea", k=3)] == [1, 2, 3]


def test_search_can_be_limited_to_one_store(bank):
    bank.insert("semantic", "tea a")
    bank.insert("episodic", "tea b")
    bank.insert("semantic", "tea c")
    assert [entry.id for entry in bank.search("tea", store="semantic")] == [1, 3]
    assert [entry.id for entry in bank.search("tea", store="episodic")] == [2]
    assert [entry.id for entry in bank.search("tea")] == [1, 2, 3]


def test_search_sees_updates_and_deletions_and_never_core(bank):
    bank.update("core", "tea")
    bank.insert("semantic", "tea")
    bank.update("semantic", "milk", entry_id=1)
    assert bank.search("tea") == []
    assert [entry.id for entry in bank.search("milk")] == [1]
    bank.delete("semantic", entry_id=1)
    assert bank.search("milk") == []


@pytest.mark.parametrize(
    "query",
    [
        *("", " ", '"', '""', "\0", "tea\0milk", "\ud800", "NEAR(tea milk)", "tea AND", "NOT", "*", "^tea", "text:tea"),
        *("(", "tea*", "_", "\u0301", "½", "x" * 100_000, "tea " * 25_000, '"tea', "{a b}: c", ";--", "tea OR OR", "-"),
    ],
)
def test_no_query_raises(bank, query):
    bank.insert("semantic", "tea and milk")
    bank.insert("semantic", "water")
    found = bank.search(query)
    assert [entry.id for entry in found] == ([1] if "tea" in query else [])
    assert bank.apply(Operation("search", text=query)).found == tuple(found)


def test_words_of_operators_are_words(bank):
    bank.insert("semantic", "neither near nor far")
    assert [entry.id for entry in bank.search("NEAR(")] == [1]


def test_a_long_query_is_cut_to_its_first_distinct_words():
    words = [f"w{i}" for i in range(MAX_TERMS + 1)]
    assert query_terms(" ".join(words + words)) == [f'"{word}"' for word in words[:-1]]
    assert query_terms("Tea, tea - TEA!") == ['"tea"']


@pytest.mark.parametrize(("k", "count"), [(-5, 1), (0, 1), (1, 1), (7, 7), (10**30, MAX_RESULTS)])
def test_number_of_results_a_model_asks_for_is_clamped(bank, k, count):
    for number in range(MAX_RESULTS + 5):
        bank.insert("semantic", f"tea {number}")
    result = bank.apply(Operation("search", text="tea", k=k))
    assert len(result.found) == count


def test_number_of_results_of_a_reader_is_not_clamped(bank):
    for number in range(MAX_RESULTS + 5):
        bank.insert("semantic", f"tea {number}")
    assert len(bank.search("tea", k=10**30)) == MAX_RESULTS + 5
    assert bank.search("tea", k=0) == []


def test_newest_are_the_last_written_in_the_order_of_ids(bank):
    for step, (store, text) in enumerate([("semantic", "a"), ("episodic", "b"), ("semantic", "c"), ("semantic", "d")]):
        bank.step = step
        bank.insert(store, text)
    bank.step = 9
    bank.update("semantic", "A", entry_id=1)
    assert [entry.id for entry in bank.entries(newest=2)] == [1, 4]
    assert [entry.id for entry in bank.entries("episodic", newest=2)] == [2]
    assert [entry.id for entry in bank.entries("semantic", newest=2)] == [1, 4]
    assert bank.entries(newest=0) == []
    assert [entry.id for entry in bank.entries(newest=10**30)] == [1, 2, 3, 4]


@pytest.mark.parametrize("entry_id", [0, -1, 2, 2**63, 10**30])
def test_get_of_an_unknown_id_is_none(bank, entry_id):
    bank.update("core", "core is no entry")
    bank.insert("semantic", "a")
    assert bank.get(entry_id) is None


@pytest.mark.parametrize("seed", range(20))
def test_searching_an_unchanged_bank_again_gives_the_same_to_the_last_bit(bank, seed):
    rng = random.Random(seed)
    words = ["tea", "teas", "water", "the", "the", "a", "wait", "waiting", "naïve", "x-ray", "go", "went", "2023"]
    for number in range(rng.randrange(60)):
        text = " ".join(rng.choices(words, k=rng.randrange(1, 12)))
        match rng.randrange(4):
            case 0:
                bank.delete("", entry_id=rng.randrange(1, number + 2))
            case 1:
                bank.update("", f"{text} {number}", entry_id=rng.randrange(1, number + 2))
            case _:
                bank.insert(rng.choice(["episodic", "semantic"]), f"{text} {number}")
    for _ in range(20):
        query = " ".join(rng.choices([*words, "nowhere", "_", "\x00"], k=rng.randrange(6)))
        store, k = rng.choice([None, "episodic", "semantic"]), rng.choice([1, 2, 5, 100, 1000])
        with bank.fork() as unsearched:
            assert bank.search_scored(query, store=store, k=k) == unsearched.search_scored(query, store=store, k=k)


@pytest.mark.parametrize(
    "change",
    [
        lambda bank: bank.insert("semantic", "tea for two"),
        lambda bank: bank.update("", "tea for two", entry_id=2),
        lambda bank: bank.delete("", entry_id=1),
        lambda bank: bank.undo(0),
        lambda bank: bank.restore(MemoryBank().snapshot()),
    ],
)
def test_a_change_between_searches_is_seen(bank, change):
    bank.insert("semantic", "tea")
    bank.step = 1
    bank.insert("semantic", "more tea")
    before = [bank.search_scored("tea") for _ in range(3)]
    change(bank)
    after = [bank.search_scored("tea") for _ in range(3)]
    assert before[0] == before[1] == before[2] != after[0]
    assert after[0] == after[1] == after[2]
