from dataclasses import replace

import pytest

from memgym.attribution import Writers, credit_by_step
from memgym.exam.metrics import score
from memgym.memory.bank import MemoryBank
from memgym.memory.operations import Operation
from memgym.rollout import rollout
from memgym.tasks.episode import PreparedMemory
from tests.scripted import FakeReader, Scripted, make_episode, make_question, make_vector

LINES = (["The bike is red."], ["The cat is Moss.", "The tram is late."], ["The bike is blue now."])
BIKE = make_question("bike?", "blue", "t3")
CAT = make_question("cat?", "Moss", "t1")


def own_metric(question, prediction):
    return score(question.metric, prediction, question.answers)


def quote(number):
    return Operation("insert", "episodic", quote=number)


def recall(task):
    said = [entry.text for entry in task.context if task.question.rstrip("?") in entry.text]
    said += [task.core] if task.question.rstrip("?") in task.core else []
    answers = [word for word in ("blue", "red", "Moss") if any(word in text for text in said)]
    return answers[0] if answers else "no idea"


def credits(*script, questions=(BIKE, CAT), memory=(), **config):
    episode = replace(make_episode(*LINES, questions=questions), memory=tuple(memory))
    env = make_vector(episode, reader=FakeReader(recall), **config)
    (trajectory,) = rollout(env, Scripted(*script), [0])
    found = credit_by_step(env, trajectory, own_metric)
    assert sum(found) == pytest.approx(trajectory.score)
    return found


def test_each_question_is_credited_to_the_step_that_stored_its_evidence():
    assert credits([], [quote(1)], [quote(1)]) == [0.0, 0.5, 0.5]


def test_what_was_stored_but_answered_nothing_earns_nothing():
    assert credits([quote(1)], [quote(1), quote(2)], []) == [0.0, 0.5, 0.0]


def test_an_update_shares_with_the_step_that_brought_the_evidence():
    """The cat's entry is rewritten at the last step: half for having stored it, half for what the reader saw."""
    rewrite = Operation("update", "episodic", "Moss is the cat.", entry_id=1)
    assert credits([], [quote(1)], [rewrite], questions=(CAT,)) == [0.0, 0.5, 0.5]


def test_an_update_that_brings_the_evidence_itself_earns_all_of_it():
    rewrite = Operation("update", "episodic", "The bike is blue now.", entry_id=1)
    assert credits([quote(1)], [], [rewrite], questions=(BIKE,)) == [0.0, 0.0, 1.0]


def test_two_entries_with_the_evidence_share():
    """Both hold the cat: one quoted, one in other words, from the same turn; written by different steps."""
    again = Operation("insert", "semantic", "The cat is Moss.")
    episode = make_episode(
        ["The cat is Moss."], ["The cat is Moss."], questions=[make_question("cat?", "Moss", "t0", "t1")]
    )
    env = make_vector(episode, reader=FakeReader(recall))
    (trajectory,) = rollout(env, Scripted([again], [quote(1)]), [0])
    assert credit_by_step(env, trajectory, own_metric) == [0.5, 0.5]


def test_the_core_counts_as_read_for_every_question():
    core = Operation("update", "core", "The cat is Moss.")
    assert credits([], [core], [], questions=(CAT,)) == [0.0, 1.0, 0.0]


def test_an_answer_that_no_entry_explains_goes_to_all_steps():
    guess = make_question("sister?", "no idea")
    assert credits([], [quote(1)], [], questions=(guess, CAT)) == pytest.approx([1 / 6, 1 / 6 + 0.5, 1 / 6])


def test_what_was_in_the_memory_before_the_first_step_is_nobodys_work():
    prepared = PreparedMemory("The cat is Moss.", ("t1",))
    assert credits([], [], [], questions=(CAT,), memory=[prepared]) == pytest.approx([1 / 3] * 3)


def test_what_was_prepared_stays_nobodys_when_a_step_rewrites_it():
    prepared = PreparedMemory("The cat is Moss.", ("t1",))
    rewrite = Operation("update", "episodic", "Moss is the cat.", entry_id=1)
    assert credits([], [], [rewrite], questions=(CAT,), memory=[prepared]) == pytest.approx([1 / 3] * 3)


def test_evidence_that_a_step_adds_to_a_prepared_entry_is_its_own():
    prepared = PreparedMemory("The bike is red.", ("t0",))
    rewrite = Operation("update", "episodic", "The bike is blue now.", entry_id=1)
    assert credits([], [], [rewrite], questions=(BIKE,), memory=[prepared]) == [0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("prepared", "delete"),
    [
        (PreparedMemory("The bike is red.", ("t0",)), Operation("delete", entry_id=1)),
        (PreparedMemory("The bike is red.", ("t0",), store="core"), Operation("delete", "core")),
    ],
)
def test_what_was_prepared_can_be_deleted(prepared, delete):
    assert credits([delete], [quote(1)], [], questions=(CAT,), memory=[prepared]) == [0.0, 1.0, 0.0]


def test_a_core_that_was_cleared_starts_anew():
    bank = MemoryBank()
    for step, text in enumerate(["The cat is Moss.", "", "The cat is Moss."]):
        bank.step = step
        if text:
            bank.apply(Operation("update", "core", text), sources=("t1",))
        else:
            bank.apply(Operation("delete", "core"))
    assert Writers(bank.journal()).of(CAT, ()) == [2]


def test_failed_operations_and_searches_write_nothing():
    bank = MemoryBank()
    bank.apply(Operation("update", "episodic", "The cat is Moss.", entry_id=7), sources=("t1",))
    bank.apply(Operation("search", text="cat"))
    assert Writers(bank.journal()).of(CAT, (7, 1)) == []
