"""Memories made beforehand: by rule, within a budget, and in a record."""

from dataclasses import replace

import pytest

from memgym.memory.bank import MemoryBank
from memgym.memory.budget import Budget
from memgym.tasks.episode import GoldMemory, PreparedMemory
from memgym.tasks.prepared import (
    Facts,
    bank_memories,
    current_facts,
    facts_within,
    fill_bank,
    verbatim_sentences,
    verbatim_turns,
)
from memgym.tasks.schema import from_record, to_record
from memgym.tasks.speakers import Speakers
from tests.scripted import make_chat, make_episode, tea_story

FACTS = (
    GoldMemory("Ann rents in Bern.", ("t0",), "2024-05-01"),
    GoldMemory("Ann rents in Basel.", ("t1",), "2024-05-02", supersedes=0),
    GoldMemory("Ann and Ines are sisters.", ("t0", "t2")),
    GoldMemory("Ann bought a house.", ("t3",), supersedes=1),
    GoldMemory("Nobody knows who said this.", ()),
)


def texts(memories) -> list[str]:
    return [memory.text for memory in memories]


# --- rules ---


def test_turns_become_dated_episodic_entries_of_their_own():
    (memories,) = verbatim_turns([tea_story(days=1)])
    assert memories == (
        PreparedMemory("Ann: I bought a red bicycle in Bern.", ("t0",), "2024-05-01T09:00", "episodic"),
        PreparedMemory("Ann: Lovely weather again.", ("t1",), "2024-05-01T09:00", "episodic"),
    )


def test_sentences_become_entries_of_their_own_with_the_id_and_time_of_their_turn():
    said = "I bought a red bicycle in the town of Bern. It is the fastest one that I have ever had."
    (memories,) = verbatim_sentences([make_episode([said])])
    assert memories == (
        PreparedMemory("Ann: I bought a red bicycle in the town of Bern.", ("t0",), "2024-05-01T09:00", "episodic"),
        PreparedMemory("Ann: It is the fastest one that I have ever had.", ("t0",), "2024-05-01T09:00", "episodic"),
    )


def test_facts_are_within_turns_when_all_their_turns_are():
    assert texts(facts_within(FACTS, ["t0", "t1"])) == ["Ann rents in Bern.", "Ann rents in Basel."]
    assert texts(facts_within(FACTS, ["t0", "t2"])) == ["Ann rents in Bern.", "Ann and Ines are sisters."]
    assert facts_within(FACTS, ["t9"]) == ()


def test_facts_within_turns_stay_linked_to_what_they_replace():
    assert [fact.supersedes for fact in facts_within(FACTS, ["t1", "t3"])] == [None, 0]
    assert [fact.supersedes for fact in facts_within(FACTS, ["t0", "t2", "t3"])] == [None, None, None]


@pytest.mark.parametrize(
    ("turns", "current"),
    [
        (["t0"], ["Ann rents in Bern."]),  # what replaces it lies ahead: an entry to update
        (["t0", "t1"], ["Ann rents in Basel."]),
        (["t0", "t1", "t3"], ["Ann bought a house."]),
        (["t0", "t3"], ["Ann rents in Bern.", "Ann bought a house."]),
    ],
)
def test_only_facts_that_hold_at_the_time_are_current(turns, current):
    assert texts(current_facts(facts_within(FACTS, turns))) == current


def test_facts_are_those_of_the_history_or_of_the_annotations_of_its_dialogue():
    history = replace(tea_story("a"), gold_memories=FACTS[:2])
    assert Facts()([history]) == [(PreparedMemory("Ann rents in Basel.", ("t1",), "2024-05-02", "semantic"),)]
    noted = {"a": (GoldMemory("Noted.", ("t4",)), GoldMemory("Of another turn.", ("t99",)))}
    assert Facts(noted)([history]) == [(PreparedMemory("Noted.", ("t4",), "", "semantic"),)]
    with pytest.raises(ValueError, match="there are no annotations of 'b', only of a"):
        Facts(noted)([replace(history, id="b")])


# --- banks ---

CHAT = [PreparedMemory("Ann sails", store="core"), *(PreparedMemory(f"word{n} two") for n in range(4))]


@pytest.mark.parametrize(
    ("budget", "kept"),
    [
        (Budget(), ["Ann sails", "word0 two", "word1 two", "word2 two", "word3 two"]),
        (Budget(total=5), ["word2 two", "word3 two"]),
        (Budget(episodic=4), ["word2 two", "word3 two"]),
        (Budget(core=1), ["word0 two", "word1 two", "word2 two", "word3 two"]),
        (Budget(total=1), []),
    ],
)
def test_under_a_budget_the_newest_that_fit_are_kept(budget, kept):
    bank = MemoryBank(budget=budget)
    fill_bank(bank, CHAT)
    assert texts(bank_memories(bank)) == kept


def test_what_a_bank_holds_comes_back_with_store_time_and_sources():
    memories = (
        PreparedMemory("Ann sails", (), "", "core"),
        PreparedMemory("Ann: Hello.", ("t0",), "2024-05-01", "episodic"),
        PreparedMemory("Ann has a boat.", ("t0", "t3"), "", "semantic"),
    )
    bank = MemoryBank()
    fill_bank(bank, memories)
    assert bank_memories(bank) == memories
    assert [row.status for row in bank.journal()] == ["ok"] * 3, "what was prepared is on the record"


def test_an_exact_repeat_is_stored_once():
    bank = MemoryBank()
    fill_bank(bank, [PreparedMemory("Thanks!"), PreparedMemory("Thanks!", store="semantic"), PreparedMemory("Thanks!")])
    assert [(entry.id, entry.store) for entry in bank.entries()] == [(1, "episodic"), (2, "semantic")]


# --- records ---


def test_a_prepared_memory_goes_through_a_record():
    episode = replace(tea_story(), memory=(PreparedMemory("Ann sails", ("x9",), "2024-04-30", "core"),))
    assert from_record(to_record(episode)) == episode


def test_a_record_may_give_the_text_alone():
    record = to_record(tea_story()) | {"memory": [{"text": "Ann sails"}]}
    assert from_record(record).memory == (PreparedMemory("Ann sails", (), "", "episodic"),)


# --- whose a memory is ---


@pytest.mark.parametrize(
    ("memory", "speaker"),
    [
        (PreparedMemory("Number 1", ("t1",)), "Per"),
        (PreparedMemory("Ulla sails", ("t1", "t3", "t0")), "Per"),  # most of its turns
        (PreparedMemory("Ulla sails", ("t1", "t0")), "Per"),  # of equals, the first
        (PreparedMemory("A boat of Per and Ulla"), "Per"),  # without known turns, the first name
        (PreparedMemory("Percy and Ulla", ("z9",)), "Ulla"),  # a whole name
        (PreparedMemory("A boat"), "Ulla"),  # the first of the stream
    ],
)
def test_a_memory_belongs_to_the_speaker_it_came_from(memory, speaker):
    speakers = Speakers(make_chat(4).turns)
    assert speakers.names == ("Ulla", "Per")
    assert speakers.of(memory) == speaker


def test_a_stream_without_speakers_has_one_nameless_side():
    speakers = Speakers(make_chat(3, speakers=[""]).turns)
    assert speakers.names == ("",)
    assert speakers.of(PreparedMemory("Number 1", ("t1",))) == ""
