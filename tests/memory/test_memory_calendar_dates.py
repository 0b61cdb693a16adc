"""Relative dates are stored with the calendar date behind them, if a bank is asked to."""

import pytest

from memgym.memory import MemoryBank
from memgym.memory.budget import Budget
from memgym.memory.operations import Operation
from memgym.tasks.episode import PreparedMemory
from memgym.tasks.prepared import bank_memories, fill_bank

SAID = "Ann: I ran yesterday."
STORED = "Ann: I ran yesterday (7 May 2023)."
DAY = "2023-05-08T13:56"


def test_what_is_inserted_or_rewritten_is_stored_with_calendar_dates():
    bank = MemoryBank(calendar_dates=True)
    entry = bank.insert("episodic", SAID, timestamp=DAY).after
    assert entry.text == STORED
    later = bank.apply(Operation("update", text="Ann ran today.", entry_id=entry.id), timestamp="2023-06-01").after
    assert (later.text, later.timestamp) == ("Ann ran today (1 June 2023).", "2023-06-01")
    core = bank.apply(Operation("update", "core", "Ann ran last month."), timestamp=DAY).after
    assert core.text == "Ann ran last month (April 2023)."


def test_an_entry_that_is_rewritten_in_its_own_words_keeps_its_date():
    bank = MemoryBank(calendar_dates=True)
    entry = bank.insert("episodic", SAID, timestamp=DAY).after
    rewritten = bank.apply(Operation("update", text=f"{STORED} Far.", entry_id=entry.id), timestamp="2024-01-01").after
    assert rewritten.text == f"{STORED} Far."


def test_without_a_time_or_without_being_asked_nothing_is_added():
    assert MemoryBank(calendar_dates=True).insert("episodic", SAID).after.text == SAID
    assert MemoryBank().insert("episodic", SAID, timestamp=DAY).after.text == SAID


def test_a_calendar_date_is_found_and_counts_against_the_budget():
    bank = MemoryBank(calendar_dates=True, budget=Budget(episodic=11))
    assert bank.insert("episodic", SAID, timestamp=DAY).ok
    assert bank.tokens() == bank.count_tokens(STORED) == 11
    assert [entry.text for entry in bank.search("May 2023")] == [STORED]
    tight = MemoryBank(calendar_dates=True, budget=Budget(episodic=10))
    assert tight.insert("episodic", SAID, timestamp=DAY).code == "over_budget"


def test_the_same_words_of_another_day_are_no_duplicate():
    bank = MemoryBank(calendar_dates=True)
    assert bank.insert("episodic", SAID, timestamp=DAY).ok
    assert bank.insert("episodic", SAID, timestamp=DAY).code == "duplicate"
    assert bank.insert("episodic", SAID, timestamp="2023-05-09").ok


def test_a_copy_dates_as_its_original_does():
    assert MemoryBank(calendar_dates=True).fork().insert("episodic", SAID, timestamp=DAY).after.text == STORED


def test_prepared_memories_are_dated_once_and_fit_as_they_are_stored():
    memories = (PreparedMemory("Ann: Hello.", timestamp=DAY), PreparedMemory(SAID, timestamp=DAY))
    bank = MemoryBank(calendar_dates=True, budget=Budget(episodic=11))
    fill_bank(bank, memories)
    assert [entry.text for entry in bank.entries()] == [STORED]
    again = MemoryBank(calendar_dates=True)
    fill_bank(again, bank_memories(bank))
    assert [entry.text for entry in again.entries()] == [STORED]


@pytest.mark.parametrize("value", [1, None, "yes"])
def test_what_is_neither_true_nor_false_is_refused(value):
    with pytest.raises(ValueError, match=r"calendar_dates=.*: expected True or False"):
        MemoryBank(calendar_dates=value)
