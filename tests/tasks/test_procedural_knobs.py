"""Procedural dialogues: each knob does what it says, and refuses what makes no sense."""

import dataclasses
from itertools import pairwise

import pytest

from memgym.tasks.procedural import CATEGORIES, TOPICS, DialogueConfig, DialogueGenerator


def dialogues(count=12, **knobs):
    generator = DialogueGenerator(**knobs)
    return [generator.dialogue(1, index) for index in range(count)]


def share(facts, change):
    return sum(fact.change in change for fact in facts) / len(facts)


@pytest.mark.parametrize(("chunks", "turns"), [(1, 1), (2, 3), (5, 10)])
def test_chunks_and_turns_set_the_size(chunks, turns):
    for dialogue in dialogues(4, chunks=chunks, turns_per_chunk=turns, questions=1):
        assert [len(chunk.turns) for chunk in dialogue.episode.chunks] == [turns] * chunks


@pytest.mark.parametrize("questions", [1, 5, 20])
def test_questions_sets_the_length_of_the_exam(questions):
    for dialogue in dialogues(6, questions=questions):
        assert len(dialogue.episode.questions) == questions


@pytest.mark.parametrize("noise", [0.0, 0.25, 0.75])
def test_noise_is_the_share_of_turns_without_a_fact(noise):
    for dialogue in dialogues(noise=noise):
        assert len(dialogue.facts) == 48 * (1 - noise)


def test_there_is_always_a_fact_however_noisy():
    for dialogue in dialogues(4, chunks=1, turns_per_chunk=2, noise=0.99, questions=1):
        assert len(dialogue.facts) == 1


def test_revision_rates_are_shares_of_the_fact_turns():
    long = {"chunks": 10, "turns_per_chunk": 10, "noise": 0.0}
    for dialogue in dialogues(6, **long, update_rate=0.3, contradiction_rate=0.2):
        assert share(dialogue.facts, {"update"}) == pytest.approx(0.3, abs=0.05)
        assert share(dialogue.facts, {"correction", "withdrawal"}) == pytest.approx(0.2, abs=0.05)


def test_without_revisions_every_slot_is_told_once():
    for dialogue in dialogues(update_rate=0, contradiction_rate=0, categories=("single", "event")):
        assert share(dialogue.facts, {"told"}) == 1
        slots = [fact.slot for fact in dialogue.facts if fact.attribute.kind != "event"]
        assert len(set(slots)) == len(slots)


def test_categories_limit_what_is_asked_but_not_what_is_told():
    drawn = dialogues(categories=("event", "update"))
    assert {q.category for d in drawn for q in d.episode.questions} == {"event", "update"}
    assert {fact.topic for d in drawn for fact in d.facts} == set(TOPICS)


@pytest.mark.parametrize("topics", [("pets",), ("work", "travel", "food")])
def test_only_facts_of_the_asked_topics_are_asked(topics):
    drawn = dialogues(asked_topics=topics, questions=8)
    for dialogue in drawn:
        by_turn = {fact.turn_id: fact for fact in dialogue.facts}
        for question in dialogue.episode.questions:
            assert all(by_turn[turn].topic in topics for turn in question.evidence)
    assert {fact.topic for d in drawn for fact in d.facts} == set(TOPICS)


def test_asked_share_sets_how_much_of_the_talk_matters():
    few, many = (
        [f.topic for d in dialogues(30, asked_topics=("food", "work"), asked_share=s, questions=4) for f in d.facts]
        for s in (0.2, 0.7)
    )
    assert sum(topic in ("food", "work") for topic in few) / len(few) == pytest.approx(0.2, abs=0.03)
    assert sum(topic in ("food", "work") for topic in many) / len(many) == pytest.approx(0.7, abs=0.03)


def test_days_between_sets_the_distance_of_sessions():
    for dialogue in dialogues(days_between=(2, 2), questions=2):
        days = [int(chunk.timestamp[8:10]) for chunk in dialogue.episode.chunks]
        assert all(later - earlier == 2 or later < earlier for earlier, later in pairwise(days))


def test_short_turns_are_bare_and_full_turns_are_chatty():
    words = {}
    for verbosity in ("short", "full"):
        turns = [turn for d in dialogues(30, verbosity=verbosity) for turn in d.episode.turns]
        words[verbosity] = sum(len(turn.text.split()) for turn in turns) / len(turns)
    assert 7 <= words["short"] <= 10
    assert 15 <= words["full"] <= 25


def test_one_session_of_short_turns_still_supports_an_exam():
    for dialogue in dialogues(20, chunks=3, turns_per_chunk=4, questions=4, verbosity="short"):
        assert len(dialogue.episode.questions) == 4


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"chunks": 0}, "chunks=0: expected a whole number of at least 1"),
        ({"chunks": "3"}, "chunks='3': expected a whole number of at least 1"),
        ({"questions": True}, "questions=True: expected a whole number"),
        ({"noise": "x"}, "noise='x': expected a share"),
        ({"update_rate": None}, "update_rate=None: expected a share"),
        ({"contradiction_rate": [0.1]}, r"contradiction_rate=\[0.1\]: expected a share"),
        ({"asked_share": False}, "asked_share=False: expected a share"),
        ({"days_between": 3}, "days_between=3: expected .fewest, most., whole numbers"),
        ({"days_between": (1, 2, 3)}, "days_between=.1, 2, 3.: expected .fewest, most."),
        ({"days_between": ("1", "2")}, "days_between=.'1', '2'.: expected .fewest, most."),
        ({"categories": 3}, "categories=3: expected a non-empty tuple"),
        ({"asked_topics": "pets"}, "asked_topics='pets': expected a non-empty tuple"),
        ({"turns_per_chunk": 2.5}, "turns_per_chunk=2.5: expected a whole number"),
        ({"questions": -1}, "questions=-1: expected"),
        ({"noise": 1.0}, "noise=1.0: expected a share"),
        ({"update_rate": -0.1}, "update_rate=-0.1: expected a share"),
        ({"contradiction_rate": 1.5}, "contradiction_rate=1.5: expected a share"),
        ({"update_rate": 0.5, "contradiction_rate": 0.5}, "update_rate . contradiction_rate = 1: expected at most 0.8"),
        ({"categories": ()}, "categories=.*: expected a non-empty tuple"),
        ({"categories": "single"}, "categories='single': expected a non-empty tuple"),
        ({"categories": ("single", "riddle")}, "categories has 'riddle': expected names out of single, event"),
        ({"categories": ("single", "single")}, "a name is repeated"),
        ({"asked_topics": ("sports",)}, "asked_topics has 'sports': expected names out of work, home"),
        ({"asked_share": 0.0}, "asked_share=0.0: expected a share"),
        ({"days_between": (5, 2)}, "days_between=.*: expected .fewest, most."),
        ({"verbosity": "long"}, "verbosity='long': expected one of full, short"),
    ],
)
def test_a_knob_out_of_range_is_refused_with_one_clear_line(knobs, message):
    with pytest.raises(ValueError, match=message) as caught:
        DialogueGenerator(**knobs)
    assert "\n" not in str(caught.value)


def test_a_knob_that_does_not_exist_is_refused():
    with pytest.raises(TypeError, match="noisiness"):
        DialogueGenerator(noisiness=0.5)


def test_knobs_that_leave_nothing_to_ask_are_refused():
    with pytest.raises(ValueError, match="these knobs leave nothing to ask"):
        DialogueGenerator(chunks=1, turns_per_chunk=1, categories=("multi_hop",)).episode(0, 0)


def test_the_config_is_frozen_and_asks_everything_by_default():
    config = DialogueConfig()
    assert config.categories == CATEGORIES and config.asked_topics is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.noise = 0.9
