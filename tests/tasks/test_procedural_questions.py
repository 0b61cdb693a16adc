"""Procedural dialogues: every question follows from its evidence, and from nothing less."""

import re
from collections import Counter

import pytest

from memgym.exam.metrics import METRICS
from memgym.tasks.procedural import CATEGORIES, DialogueGenerator
from memgym.tasks.procedural.catalog import ATTRIBUTES
from memgym.tasks.procedural.questions import NO_ANSWER, accepted, leaks

DURATION = re.compile(r"\d+ days?")


@pytest.fixture(scope="module")
def dialogues():
    full = DialogueGenerator(chunks=10, turns_per_chunk=8, questions=14, contradiction_rate=0.12)
    return [full.dialogue(11, index) for index in range(60)]


@pytest.fixture(scope="module")
def asked(dialogues):
    """(dialogue, question, facts told in its evidence turns)"""
    rows = []
    for dialogue in dialogues:
        by_turn = {fact.turn_id: fact for fact in dialogue.facts}
        rows += [(dialogue, q, [by_turn[turn] for turn in q.evidence]) for q in dialogue.episode.questions]
    return rows


def heads(dialogue):
    """Slot -> latest fact, events left out."""
    return {fact.slot: fact for fact in dialogue.facts if fact.attribute.kind != "event"}


def of(asked, category):
    rows = [row for row in asked if row[1].category == category]
    assert len(rows) >= 30
    return rows


def test_every_category_is_asked_in_every_long_episode(dialogues):
    for dialogue in dialogues:
        assert {question.category for question in dialogue.episode.questions} == set(CATEGORIES)
        assert len(dialogue.episode.questions) == 14


@pytest.mark.parametrize("category", CATEGORIES)
def test_each_category_can_be_asked_alone(category):
    generator = DialogueGenerator(categories=(category,), questions=3)
    for index in range(5):
        assert [q.category for q in generator.episode(2, index).questions] == [category] * 3


def test_answers_are_in_the_evidence_or_follow_from_its_dates(asked):
    for dialogue, question, facts in asked:
        if not question.answerable:
            continue
        texts = {turn.id: turn.text for turn in dialogue.episode.turns}
        stated = any(answer in texts[turn] for turn in question.evidence for answer in question.answers)
        dates = {fact.when.resolved for fact in facts if fact.when is not None}
        assert stated or question.answers[0] in dates or DURATION.fullmatch(question.answers[0])


def test_no_question_contains_its_answer_or_is_asked_twice(dialogues):
    for dialogue in dialogues:
        texts = [question.text for question in dialogue.episode.questions]
        assert len(set(texts)) == len(texts)
        for question in dialogue.episode.questions:
            assert question.text.endswith("?") and question.text[0].isupper()
            for answer in question.answers:
                assert not re.search(rf"\b{re.escape(answer)}\b", question.text, re.IGNORECASE)


def test_answers_are_short_and_graded_by_known_metrics(asked):
    for _, question, _ in asked:
        assert question.metric in METRICS
        assert question.answers and all(1 <= len(answer.split()) <= 5 for answer in question.answers)


def test_current_value_questions_are_answered_by_the_last_told_value(asked):
    for category, change in (("single", "told"), ("update", "update"), ("contradiction", "correction")):
        for dialogue, question, facts in of(asked, category):
            (fact,) = facts
            assert fact.change == change
            assert heads(dialogue)[fact.slot] == fact
            assert question.answers[0] == fact.value


def test_events_are_asked_for_their_absolute_date(asked):
    for _, question, facts in of(asked, "event"):
        assert facts[0].when is not None
        assert question.answers == facts[0].when.answers
        assert facts[0].value in question.text


def test_multi_hop_needs_the_name_turn_and_the_fact_turn(asked):
    for dialogue, question, facts in of(asked, "multi_hop"):
        naming, fact = facts
        assert naming.attribute.kind == "relation" and naming.value == fact.subject.name
        assert fact.subject.name not in question.text
        assert f"{naming.told_by}'s {naming.attribute.relation}" in question.text
        if fact.when is None:
            assert heads(dialogue)[fact.slot] == fact


def test_a_question_for_the_value_before_is_answered_by_what_was_replaced(asked):
    found = 0
    for dialogue, question, facts in of(asked, "temporal"):
        if facts[0].attribute.kind != "state":
            continue
        found += 1
        new, old = facts
        assert new.change == "update" and dialogue.facts[new.replaces] == old
        assert question.answers[0] == old.value
    assert found >= 10


def test_durations_count_the_days_between_two_events(asked):
    found = 0
    for _, question, facts in of(asked, "temporal"):
        if DURATION.fullmatch(question.answers[0]):
            found += 1
            one, other = facts
            assert question.answers[0].split()[0] == str(abs((one.when.first - other.when.first).days))
    assert found >= 10


def test_first_and_last_are_decided_by_the_dates_of_all_events_of_the_kind(asked):
    found = 0
    for dialogue, question, facts in of(asked, "temporal"):
        if facts[0].attribute.kind == "event" and re.search(r" (first|last)( of all)?\?$", question.text):
            found += 1
            same = [fact for fact in dialogue.facts if fact.slot == facts[0].slot]
            assert {fact.turn_id for fact in same} == set(question.evidence)
            order = sorted(same, key=lambda fact: fact.when.first)
            assert question.answers[0] == order[0 if " first" in question.text else -1].value
    assert found >= 5


def test_unanswerable_means_never_told_or_taken_back(asked):
    withdrawn = 0
    for dialogue, question, facts in of(asked, "unanswerable"):
        assert (question.answers, question.metric, question.answerable) == ((NO_ANSWER,), "abstain", False)
        told = [fact for fact in dialogue.facts if fact.slot == slot_of(dialogue, question)]
        if facts:
            withdrawn += 1
            assert facts[0].change == "withdrawal" and told[-1] == facts[0]
        else:
            assert not told
    assert withdrawn >= 5


def test_an_unanswerable_event_names_something_that_did_not_happen_to_that_subject(asked):
    found = 0
    for dialogue, question, _ in of(asked, "unanswerable"):
        subject, _ = slot_of(dialogue, question)
        if question.text.startswith("When"):
            found += 1
            own = [fact for fact in dialogue.facts if fact.subject.name == subject and fact.when is not None]
            assert not any(fact.value in question.text for fact in own)
    assert found >= 10


def test_the_slot_of_a_question_is_the_one_its_last_evidence_fills(asked):
    for dialogue, question, facts in asked:
        if facts:
            assert slot_of(dialogue, question) == facts[-1].slot


def slot_of(dialogue, question):
    return dialogue.slots[int(question.id[1:]) - 1]


def test_evidence_names_turns_of_the_episode_and_each_once(asked):
    for dialogue, question, _ in asked:
        assert len(set(question.evidence)) == len(question.evidence)
        assert set(question.evidence) <= {turn.id for turn in dialogue.episode.turns}


def test_questions_spread_over_the_facts(dialogues):
    for dialogue in dialogues:
        points = Counter(q.evidence[-1] for q in dialogue.episode.questions if q.evidence)
        assert max(points.values()) <= 2


def test_golds_accept_the_other_natural_forms():
    by_pool = {attribute.pool: attribute for attribute in ATTRIBUTES}
    assert accepted(by_pool["employer"], "Kestrel & Sons") == ("Kestrel & Sons", "Kestrel and Sons")
    assert accepted(by_pool["doctor"], "Dr. Novak") == ("Dr. Novak", "Novak")
    assert accepted(by_pool["birthday"], "14 March") == ("14 March", "March 14")
    assert accepted(by_pool["late"], "9:20") == ("9:20", "9:20 pm")
    assert accepted(by_pool["town"], "Kelbrook") == ("Kelbrook",)


def test_a_leak_is_a_whole_word():
    assert leaks("Which baker works at Baker & Sons?", ("baker",))
    assert leaks("Where does Mara go in May 2023?", ("5 May 2023", "May 2023"))
    assert not leaks("Who bakes at Bakers Lane?", ("baker",))
