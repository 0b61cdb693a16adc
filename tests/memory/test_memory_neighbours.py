"""A word counts around the entry that has it."""

import pytest

from memgym.memory import MemoryBank

TALK = ("What pet do you have", "a cat", "the weather is fine", "we went home", "it was late", "good night")


def filled(neighbours, **kwargs):
    bank = MemoryBank(neighbours=neighbours, **kwargs)
    for text in TALK:
        assert bank.insert("episodic", text, timestamp="2024-05-01").ok
    return bank


def scores(bank, query):
    return {entry.id: score for entry, score in bank.search_scored(query, k=10)}


def test_a_word_counts_half_beside_its_entry_and_a_quarter_two_away():
    own = scores(filled(0), "pet")[1]
    assert scores(filled(2), "pet") == {1: own, 2: own / 2, 3: own / 4}
    assert scores(filled(1), "weather").keys() == {2, 3, 4}


def test_an_entry_gets_the_most_a_word_gives_it_and_words_add_up():
    alone = filled(0)
    cat, pet, late = (scores(alone, word) for word in ("cat", "pet", "late"))
    both = scores(filled(1), "pet cat late")
    assert both[2] == pytest.approx(cat[2] + pet[1] / 2)
    assert both[5] == late[5]
    bank = filled(1)
    bank.insert("episodic", "a pet again, and nothing but a pet", timestamp="2024-05-01")
    best = scores(bank, "pet")
    assert best[6] == best[7] / 2


def test_words_do_not_count_across_stores_or_times():
    bank = filled(3)
    bank.insert("semantic", "pets are fun", timestamp="2024-05-01")
    bank.insert("episodic", "another day, another pet", timestamp="2024-05-02")
    found = scores(bank, "another")
    assert found.keys() == {8}
    assert scores(bank, "fun").keys() == {7}


def test_any_number_will_do():
    assert scores(filled(10**12), "pet") == scores(filled(5), "pet")
    assert MemoryBank(neighbours=10**12).search("pet") == []


def test_neighbours_are_those_that_are_left():
    bank = filled(1)
    bank.delete("episodic", entry_id=2)
    assert scores(bank, "pet").keys() == {1, 3}


def test_first_and_later_searches_agree_and_forks_keep_the_setting():
    bank = filled(2)
    assert scores(bank, "pet cat") == scores(bank, "pet cat") == scores(bank.fork(), "pet cat")
    bank.restore(filled(0).snapshot())
    assert len(scores(bank, "pet")) == 3


@pytest.mark.parametrize("neighbours", [-1, 1.5, True, None])
def test_a_number_that_is_none_is_refused(neighbours):
    with pytest.raises(ValueError, match=r"neighbours=.*expected a whole number of at least 0"):
        MemoryBank(neighbours=neighbours)
