import pytest

from agents.facts import (
    Change,
    Note,
    read_changes,
    read_facts,
    says_nothing,
    to_operations,
    write_changes,
    write_facts,
)
from memgym.memory.operations import Operation

NOTES = (Note(17, "Mara lives in Bern."), Note(4, "Mara has a cat."))


@pytest.mark.parametrize(
    ("reply", "facts"),
    [
        ("Mara lives in Porto.\nMara has a dog.", ["Mara lives in Porto.", "Mara has a dog."]),
        ("- Mara lives in Porto.\n2) Mara has a dog.\n", ["Mara lives in Porto.", "Mara has a dog."]),
        ("Here are the facts:\n* Mara has a dog.", ["Mara has a dog."]),
        ("<think>hm</think>\nMara has a dog.", ["Mara has a dog."]),
        (".", []),
        ("None.", []),
        ("", []),
    ],
)
def test_facts_are_read_without_bullets_headings_and_thoughts(reply, facts):
    assert read_facts(reply) == facts


def test_a_reply_that_was_cut_off_loses_the_fact_it_was_cut_in():
    assert read_facts("Mara lives in Porto.\nMara has a", truncated=True) == ["Mara lives in Porto."]


def test_written_facts_are_read_again():
    facts = ["Mara lives in Porto.", "Mara: #3 is 'it'"]
    assert read_facts(write_facts(facts)) == facts
    assert read_facts(write_facts([])) == []


def test_saying_that_there_is_nothing_differs_from_saying_nothing():
    assert [says_nothing(reply) for reply in (".", "none", "", "Facts:")] == [True, True, False, False]


@pytest.mark.parametrize(
    ("reply", "changes"),
    [
        ("ADD", [Change("ADD")]),
        ("add: Mara has a dog.", [Change("ADD")]),
        ("UPDATE 2", [Change("UPDATE", 2)]),
        ("UPDATE 1 Mara lives in Porto.", [Change("UPDATE", 1, "Mara lives in Porto.")]),
        ("Update [1]: Mara lives in Porto.", [Change("UPDATE", 1, "Mara lives in Porto.")]),
        ("UPDATE 1 2 cats live here.", [Change("UPDATE", 1, "2 cats live here.")]),
        ("DELETE 2\nADD", [Change("DELETE", 2), Change("ADD")]),
        ("- NONE.", [Change("NONE")]),
        ("noop", [Change("NONE")]),
        ("Added it", [Change("INVALID", text="Added it")]),
        ("", [Change("INVALID")]),
    ],
)
def test_changes_are_read(reply, changes):
    assert read_changes(reply) == changes


def test_written_changes_are_read_again():
    changes = [
        Change("ADD"),
        Change("UPDATE", 2),
        Change("UPDATE", 1, "Mara moved."),
        Change("DELETE", 3),
        Change("NONE"),
    ]
    assert read_changes(write_changes(changes)) == changes


def test_changes_name_notes_by_their_place_and_operations_by_their_id():
    changes = [Change("UPDATE", 1), Change("UPDATE", 2, "Mara has two cats."), Change("DELETE", 1), Change("ADD")]
    assert to_operations(changes, "Mara lives in Porto.", NOTES, "semantic") == [
        Operation("update", text="Mara lives in Porto.", entry_id=17),
        Operation("update", text="Mara has two cats.", entry_id=4),
        Operation("delete", entry_id=17),
        Operation("insert", "semantic", "Mara lives in Porto."),
    ]
    assert to_operations([Change("NONE")], "Mara lives in Porto.", NOTES, "semantic") == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (Change("DELETE", 3), "there is no note 3, only 1 to 2"),
        (Change("UPDATE"), "there is no note 0, only 1 to 2"),
        (Change("INVALID", text="Added it"), "cannot read the line 'Added it'"),
    ],
)
def test_what_cannot_be_carried_out_becomes_an_operation_that_fails(change, reason):
    assert to_operations([change], "x", NOTES, "semantic") == [Operation("invalid", text=reason)]
