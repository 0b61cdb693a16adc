import pytest

from agents.fact_pipeline import ExtractRequest, FactPipeline, Reply, UpdateRequest
from agents.facts import Note
from memgym.exam.reader import ReadingTask
from tests.scripted import FakeReader, make_episode
from train.adapter_metrics import (
    Asked,
    Extraction,
    HeldOutCalls,
    Revision,
    answer_quality,
    extract_quality,
    meteor_score,
    rouge_l_score,
    teacher_calls,
    update_quality,
)
from train.settings import EnvSettings
from train.setup import build_env
from train.teacher_log import GoldReader
from train.teachers import rule_teacher


class Replying(FactPipeline):
    """Gives these replies, in order."""

    def __init__(self, *replies):
        super().__init__("replying")
        self.replies = [reply if isinstance(reply, Reply) else Reply(reply) for reply in replies]

    def extract(self, requests):
        return self.replies[: len(requests)]

    update = extract


# --- Extraction ------------------------------------------------------------------------------------------------------


def extraction(index, *sources):
    """A chunk of three turns, and the turns of the teacher's facts."""
    chunks = make_episode(
        ["I bought a bicycle.", "Lovely weather.", "My cat is called Moss."], ["I ski in Bern.", "So.", "Hm."]
    ).chunks
    return Extraction(ExtractRequest(chunks[index].text, "", 0, index), chunks[index].turns, sources)


def test_a_fact_counts_by_the_turns_it_comes_from():
    """Of three facts two are of the right turns; of the teacher's three, two are found."""
    calls = [extraction(0, ("t0",), ("t2",)), extraction(1, ("t3",))]
    policy = Replying("Ann bought a red bicycle.\nThe weather is lovely.", "Ann skis, and it is in Bern that Ann skis.")
    quality = extract_quality(policy, calls)
    assert quality == pytest.approx({"readable": 1.0, "precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3})


def test_a_fact_of_several_turns_is_found_by_any_of_them():
    quality = extract_quality(Replying("Ann's cat is called Moss."), [extraction(0, ("t0", "t2"))])
    assert quality == {"readable": 1.0, "precision": 1.0, "recall": 1.0, "f1": 1.0}


def test_facts_of_no_turn_and_facts_where_there_are_none_cost_precision():
    calls = [extraction(0, ("t0",)), extraction(1)]
    quality = extract_quality(Replying("Zebras gallop.", "Ann skis in Bern."), calls)
    assert quality == {"readable": 1.0, "precision": 0.0, "recall": 0.0, "f1": 0.0}


def test_nothing_said_is_readable_where_it_is_said_and_half_a_line_is_not():
    calls = [extraction(0), extraction(0), extraction(0, ("t0",)), extraction(1)]
    cut = Reply("Ann bought a bicycle.\nAnn's cat is cal", truncated=True)
    quality = extract_quality(Replying(".", "", cut, "Facts:"), calls)
    assert quality == {"readable": 0.25, "precision": 1.0, "recall": 1.0, "f1": 1.0}


# --- Updates ---------------------------------------------------------------------------------------------------------


def revision(*kinds, notes=2):
    return Revision(UpdateRequest("Ann skis.", tuple(Note(n, "x") for n in range(notes)), "", 0, 0), kinds)


def test_kinds_are_compared_with_the_teachers():
    """ADD: 2 of 3 and 2 of 2, UPDATE: 1 of 1 and 1 of 2, NONE: 0 of 0 and 0 of 1; DELETE is not used."""
    calls = [revision("ADD"), revision("UPDATE"), revision("UPDATE"), revision("NONE"), revision("ADD")]
    quality = update_quality(Replying("ADD", "UPDATE 1", "ADD", "DELETE 2", "ADD"), calls)
    assert quality["accuracy"] == 3 / 5
    assert quality["macro_f1"] == pytest.approx((4 / 5 + 2 / 3 + 0 + 0) / 4)
    assert (quality["readable"], quality["valid_ids"]) == (1.0, 1.0)


def test_several_changes_are_right_together():
    calls = [revision("DELETE", "ADD"), revision("DELETE", "ADD")]
    quality = update_quality(Replying("ADD\nDELETE 1", "ADD"), calls)
    assert quality["accuracy"] == 0.5
    assert quality["macro_f1"] == pytest.approx((1.0 + 2 / 3) / 2)


def test_replies_that_cannot_be_read_or_name_a_note_that_was_not_shown_are_told_apart():
    calls = [revision("ADD"), revision("ADD"), revision("DELETE"), revision("UPDATE", notes=1)]
    quality = update_quality(Replying("perhaps", "UPDATE 2", "DELETE", "UPDATE 2"), calls)
    assert quality == {
        "readable": 0.75,
        "valid_ids": 0.25,
        "accuracy": 0.5,
        "macro_f1": pytest.approx((0 + 2 / 3 + 1) / 3),
    }


# --- Answers ---------------------------------------------------------------------------------------------------------


def test_answers_are_held_against_the_best_gold():
    calls = [Asked(ReadingTask(f"q{n}", "", ()), golds) for n, golds in enumerate([("a red bicycle", "red"), ("x",)])]
    quality = answer_quality(FakeReader(lambda task: {"q0": "red", "q1": "green"}[task.question]), calls)
    assert quality == {"squad_f1": 0.5, "bleu1": 0.5, "rouge_l": 0.5, "meteor": 0.25, "lexical_mean": 1.75 / 4}


@pytest.mark.parametrize(
    ("prediction", "gold", "expected"),
    [
        ("police killed the gunman", "police kill the gunman", 0.75),
        ("the gunman kill police", "police kill the gunman", 0.5),
        ("In May", "in may 2023", 0.8),
        ("", "x", 0.0),
        ("x", "", 0.0),
    ],
)
def test_rouge_l_follows_the_order_of_words(prediction, gold, expected):
    """The first two are the example of the paper, with F1 for its recall-weighted F."""
    assert rouge_l_score(prediction, gold) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("prediction", "gold", "expected"),
    [
        ("on 7 May 2023", "on 7 May 2023", 1 - 0.5 / 4**3),
        ("she hiked", "hikes", 0.5 * (0.5 / (0.9 * 0.5 + 0.1))),  # one stem of two words: P = 1/2, R = 1
        ("2023 May", "May 2023", 1 - 0.5),  # two chunks of one word
        ("", "x", 0.0),
        ("green", "red", 0.0),
    ],
)
def test_meteor_matches_words_and_stems_and_punishes_fragments(prediction, gold, expected):
    assert meteor_score(prediction, gold) == pytest.approx(expected)


# --- The calls -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calls_and_env():
    dialogue = {"chunks": 4, "turns_per_chunk": 4, "questions": 3, "verbosity": "short", "update_rate": 0.4}
    settings = EnvSettings(kwargs={"split": "validation", "dialogue": dialogue})
    task = build_env(settings, 1).task
    teacher = rule_teacher("oracle", task)
    env = build_env(settings, 2, {**teacher.env_overrides, "reader": GoldReader()})
    return teacher_calls(env, teacher, range(3)), task


def test_the_teachers_own_facts_and_kinds_are_noted(calls_and_env):
    calls, task = calls_and_env
    assert [(c.request.episode, c.request.index) for c in calls.extract if c.request.episode == 2] == [
        (2, n) for n in range(4)
    ]
    for call in calls.extract:
        assert call.turns == task.episode(call.request.episode).chunks[call.request.index].turns
        assert {id_ for source in call.sources for id_ in source} <= {turn.id for turn in call.turns}
    assert {kind for call in calls.update for kind in call.kinds} <= {"ADD", "UPDATE", "DELETE", "NONE"}
    questions = [question for index in range(3) for question in task.episode(index).questions]
    assert [call.golds for call in calls.answer] == [question.answers for question in questions]


def test_a_policy_that_does_as_the_teacher_is_right_in_everything(calls_and_env):
    calls, task = calls_and_env
    teacher = rule_teacher("oracle", task)
    assert extract_quality(teacher, calls.extract) == {"readable": 1.0, "precision": 1.0, "recall": 1.0, "f1": 1.0}
    quality = update_quality(teacher, calls.update)
    assert quality == {"readable": 1.0, "valid_ids": 1.0, "accuracy": 1.0, "macro_f1": 1.0}


def test_a_limit_takes_calls_from_everywhere(calls_and_env):
    calls, _ = calls_and_env
    few = calls.at_most(3)
    assert few.extract == [calls.extract[0], calls.extract[4], calls.extract[8]]
    assert calls.at_most(10_000) == calls
    assert HeldOutCalls().at_most(3) == HeldOutCalls()
