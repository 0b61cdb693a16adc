"""Which turns a text is taken to come from."""

import pytest

from memgym.memory.provenance import attribute_sources, content_words, coverage
from memgym.tasks.episode import Turn

TURNS = (
    Turn("t0", "Ann", "I bought a red bicycle in Bern."),
    Turn("t1", "Bo", "My sister Ines works as a baker."),
    Turn("t2", "Ann", "Ines sold me the bicycle."),
    Turn("t3", "Bo", "So it goes."),
)


def test_content_words_are_lower_cased_and_without_function_words():
    assert content_words("The RED bicycle, and it is in Bern's café") == {"red", "bicycle", "bern", "s", "café"}
    assert content_words("so it is") == frozenset()


@pytest.mark.parametrize(
    ("text", "source", "share"),
    [
        ("red bicycle", "a red bicycle", 1.0),
        ("red bicycle", "Red wine", 0.5),
        ("red bicycle", "", 0.0),
        ("red red red bicycle", "red", 0.5),
        ("so it is", "so it is", 0.0),
        ("", "anything", 0.0),
    ],
)
def test_coverage_is_the_share_of_the_text_s_content_words(text, source, share):
    assert coverage(text, source) == share


@pytest.mark.parametrize("turn", TURNS, ids=lambda turn: turn.id)
def test_a_verbatim_copy_comes_from_its_own_turn_alone(turn):
    assert attribute_sources(turn.line, TURNS) == (turn.id,)


def test_a_text_of_two_turns_has_both_in_their_order():
    assert attribute_sources("Ines, a baker and sister of Bo, sold a bicycle", TURNS) == ("t1", "t2")


def test_a_text_that_copies_several_turns_has_each_of_them_however_short():
    remark = "And a long remark about the weather, dinner, trains and politics."
    text = "\n".join([TURNS[0].line, TURNS[1].line, remark])
    assert attribute_sources(text, TURNS) == ("t0", "t1")
    long = [Turn(str(i), "Ann", f"word{i} thing{i}") for i in range(40)]  # no turn explains a fifth of them all
    assert len(attribute_sources("\n".join(turn.line for turn in long), long)) == 40


def test_words_that_several_turns_say_come_from_all_of_them():
    assert attribute_sources("bicycle of Ann", TURNS) == ("t0", "t2")


def test_a_turn_that_explains_less_than_half_of_what_the_best_does_is_no_source():
    # t0 explains red, bicycle, Bern, bought (4 of 5); t2 the bicycle alone (1 of 5).
    assert attribute_sources("bought red bicycle Bern yesterday", TURNS) == ("t0",)


def test_an_unrelated_text_has_no_source():
    assert attribute_sources("Zoe sails around Iceland", TURNS) == ()
    assert attribute_sources("Zoe sails around cold Iceland with red sails hoisted quickly", TURNS) == ()


def test_without_words_or_turns_there_is_no_source():
    assert attribute_sources("", TURNS) == ()
    assert attribute_sources("the", TURNS) == ()
    assert attribute_sources("red bicycle", ()) == ()
