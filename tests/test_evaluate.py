"""Summaries, comparisons and the table, against figures worked out by hand."""

import json

import pytest

from memgym.evaluate import (
    best_policy,
    compare,
    compare_all,
    format_categories,
    format_comparison,
    format_measures,
    format_table,
    summarise,
    summarise_all,
)
from memgym.rollout import Decision, Trajectory, TrajectoryStep
from memgym.statistics import bootstrap_ci, cluster_bootstrap_ci, paired_bootstrap_ci, paired_permutation


def answered(category: str, score: float, recall: float | None = None, *, question="Q?", said="no") -> dict:
    fields = {"question": question, "answers": ["red tea"], "prediction": said}
    return {"category": category, "score": score, "evidence_recall": recall, **fields}


def trajectory(episode: int, score: float, *answers: dict, statuses=("ok",), tokens: int = 10, **fields) -> Trajectory:
    operations = [{"status": status} for status in statuses]
    step = TrajectoryStep(0, Decision(()), operations, {}, 0.0, fields.pop("reward", score), {"total": tokens})
    exam = {"score": score, "answers": list(answers)}
    return Trajectory(episode, f"e{episode}", "p", [step], exam, stream_tokens=fields.pop("stream", 100))


def run(*scores: float) -> list[Trajectory]:
    return [trajectory(index, score, answered("x", score)) for index, score in enumerate(scores)]


def test_a_summary_is_the_mean_over_episodes_and_over_the_questions_of_each_category():
    trajectories = [
        trajectory(0, 0.5, answered("b", 1.0, 1.0), answered("a", 0.0, None), statuses=("ok", "failed"), tokens=10),
        trajectory(1, 1.0, answered("b", 1.0, 0.5), statuses=("ok", "ok", "ok"), tokens=20, reward=0.8, stream=300),
    ]
    summary = summarise(trajectories, floor=0.25, ceiling=1.0)
    assert summary.score == 0.75
    assert summary.question_score == pytest.approx(2 / 3)
    assert summary.normalised == pytest.approx((0.75 - 0.25) / 0.75)
    assert summary.reward == pytest.approx(0.65)
    assert (summary.memory_tokens, summary.stream_tokens) == (15.0, 200.0)
    assert summary.evidence_recall == 0.75
    assert summary.failed_operations == pytest.approx(1 / 5)
    assert (summary.episodes, summary.questions) == (2, 3)
    assert summary.categories == {"a": {"score": 0.0, "n": 1}, "b": {"score": 1.0, "n": 2}}
    assert list(summary.categories) == ["a", "b"]


def test_the_interval_is_the_bootstrap_over_episodes():
    scores = [0.1, 0.4, 0.4, 0.9]
    interval = bootstrap_ci(scores)
    assert summarise(run(*scores), floor=None, ceiling=None).ci95 == (interval.low, interval.high)


def test_questions_are_averaged_over_all_episodes_and_resampled_by_episode():
    trajectories = [
        trajectory(0, 0.5, answered("x", 1.0), answered("x", 0.0), answered("x", 0.5), answered("x", 0.5)),
        trajectory(1, 1.0, answered("x", 1.0)),
        trajectory(2, 0.0, answered("x", 0.0), answered("x", 0.0)),
    ]
    summary = summarise(trajectories, floor=None, ceiling=None)
    interval = cluster_bootstrap_ci([1.0, 0.0, 0.5, 0.5, 1.0, 0.0, 0.0], [0, 0, 0, 0, 1, 2, 2])
    assert summary.question_score == pytest.approx(3 / 7)
    assert summary.question_ci95 == (interval.low, interval.high)
    assert summary.score == 0.5


def test_one_episode_has_no_interval():
    summary = summarise(run(0.4), floor=None, ceiling=None)
    assert (summary.ci95, summary.question_ci95) == (None, None)
    assert compare(run(0.5), run(0.4))["ci95"] is None


def test_without_evidence_or_operations_there_is_no_recall_and_nothing_failed():
    summary = summarise([trajectory(0, 0.0, statuses=())], floor=None, ceiling=None)
    assert (summary.evidence_recall, summary.failed_operations, summary.categories) == (None, 0.0, {})


@pytest.mark.parametrize(("floor", "ceiling"), [(None, 1.0), (0.0, None), (0.5, 0.5)])
def test_without_a_floor_below_a_ceiling_nothing_is_normalised(floor, ceiling):
    assert summarise(run(0.5, 0.6), floor=floor, ceiling=ceiling).normalised is None


def test_no_trajectories_raise_one_line():
    with pytest.raises(ValueError, match="no trajectories to summarise: run at least one episode"):
        summarise([], floor=None, ceiling=None)


def test_all_are_normalised_between_no_memory_and_oracle():
    runs = {"no_memory": run(0.1, 0.3), "trained": run(0.4, 0.4), "oracle": run(0.6, 1.0)}
    summaries = summarise_all(runs)
    assert list(summaries) == list(runs)
    assert [s.normalised for s in summaries.values()] == pytest.approx([0.0, 1 / 3, 1.0])
    assert summarise_all({"trained": runs["trained"]})["trained"].normalised is None


def test_a_summary_is_plain_json():
    row = summarise(run(0.2, 0.8), floor=0.0, ceiling=1.0).to_dict()
    assert json.loads(json.dumps(row))["categories"] == {"x": {"score": 0.5, "n": 2}}


def test_a_comparison_is_paired():
    first, second = [1.0, 0.5, 0.75, 0.5], [0.5, 0.5, 0.25, 0.25]
    interval = paired_bootstrap_ci(first, second)
    assert compare(run(*first), run(*second)) == {
        "mean": pytest.approx(0.3125),
        "ci95": [interval.low, interval.high],
        "p": paired_permutation(first, second),
        "episodes": 4,
    }


def test_other_episodes_are_no_pair():
    with pytest.raises(ValueError, match="needs the same episodes in the same order"):
        compare(run(0.5, 0.6), run(0.5, 0.6)[::-1])
    with pytest.raises(ValueError, match="needs the same episodes in the same order"):
        compare(run(0.5, 0.6), run(0.5))


def test_the_table_is_aligned_and_marks_what_is_missing():
    summaries = {
        "no_memory": summarise([trajectory(0, 0.0, tokens=0)], floor=0.0, ceiling=1.0),
        "oracle": summarise(
            [trajectory(n, 1.0, answered("x", 1.0, 1.0), statuses=("ok", "failed")) for n in range(2)],
            floor=0.0,
            ceiling=1.0,
        ),
    }
    assert format_table(summaries) == (
        "agent      score  95 % interval   per question  95 % interval   normalised  memory tokens  evidence recall  "
        "failed ops\n"
        "---------  -----  --------------  ------------  --------------  ----------  -------------  ---------------  "
        "----------\n"
        "no_memory  0.000  -               0.000         -               0.000       0 of 100       -                "
        "0.000\n"
        "oracle     1.000  [1.000, 1.000]  1.000         [1.000, 1.000]  1.000       10 of 100      1.000            "
        "0.500"
    )


def test_categories_are_a_table_of_their_own_with_their_names_and_numbers_of_questions():
    answers = [answered("2", 0.5), answered("10", 1.0), answered("2", 0.25)]
    summaries = {name: summarise([trajectory(0, 0.5, *answers)], floor=None, ceiling=None) for name in ("a", "b")}
    assert format_categories(summaries, {"2": "temporal"}) == (
        "questions by category  10 (1)  2 temporal (2)\n"
        "---------------------  ------  --------------\n"
        "a                      1.000   0.375\n"
        "b                      1.000   0.375"
    )


def test_a_single_category_needs_no_table():
    assert format_categories({"a": summarise(run(0.5, 0.6), floor=None, ceiling=None)}, {}) == ""


# --- Means over questions, tests against a baseline ------------------------------------------------------------------


def test_figures_per_question_have_an_interval_over_episodes_and_one_over_questions():
    trajectories = [
        trajectory(0, 0.5, answered("x", 1.0, 1.0, said="red tea"), answered("x", 0.0, said="a red")),
        trajectory(1, 0.25, answered("x", 0.25, 0.5)),
    ]
    measures = summarise(trajectories, floor=None, ceiling=None).measures
    assert list(measures) == ["score", "bleu1", "evidence_recall"]
    scores = [1.0, 0.0, 0.25]
    by_episode, by_question = cluster_bootstrap_ci(scores, [0, 0, 1]), bootstrap_ci(scores)
    assert measures["score"] == {
        "mean": pytest.approx(1.25 / 3),
        "ci95_episodes": (by_episode.low, by_episode.high),
        "ci95_questions": (by_question.low, by_question.high),
        "n": 3,
    }
    assert measures["bleu1"]["mean"] == pytest.approx((1.0 + 0.5 + 0.0) / 3)
    assert (measures["evidence_recall"]["mean"], measures["evidence_recall"]["n"]) == (0.75, 2)


def test_one_episode_has_an_interval_over_its_questions_alone():
    answers = [answered("x", 1.0), answered("x", 0.0)]
    figures = summarise([trajectory(0, 0.5, *answers)], floor=None, ceiling=None).measures
    assert figures["score"]["ci95_episodes"] is None
    assert figures["score"]["ci95_questions"] == (0.0, 1.0)
    assert "evidence_recall" not in figures


def test_measures_are_a_table_under_the_name_of_the_score():
    runs = {
        "no_memory": [trajectory(0, 0.0, answered("x", 0.0), tokens=0)],
        "full": [trajectory(n, 1.0, answered("x", 1.0, 1.0, said="red tea"), tokens=7) for n in range(2)],
    }
    assert format_measures(summarise_all(runs), "LoCoMo F1") == (
        "agent      LoCoMo F1  by episode      by question     BLEU-1  by episode      by question     "
        "evidence recall  by episode      by question     memory tokens\n"
        "---------  ---------  --------------  --------------  ------  --------------  --------------  "
        "---------------  --------------  --------------  -------------\n"
        "no_memory  0.000      -               -               0.000   -               -               "
        "-                -               -               0\n"
        "full       1.000      [1.000, 1.000]  [1.000, 1.000]  1.000   [1.000, 1.000]  [1.000, 1.000]  "
        "1.000            [1.000, 1.000]  [1.000, 1.000]  7"
    )


def asked(*scores: tuple[float, float]) -> list[Trajectory]:
    """One episode per pair; its two questions score as told."""
    return [
        trajectory(number, sum(pair) / 2, *(answered("x", one, question=f"q{i}") for i, one in enumerate(pair)))
        for number, pair in enumerate(scores)
    ]


def test_every_policy_is_tested_against_the_baseline_over_questions_and_over_episodes():
    base, better, equal = asked((0, 0), (0, 0), (0, 0)), asked((1, 1), (1, 1), (1, 0)), asked((0, 0), (0, 0), (0, 0))
    comparison = compare_all({"better": better, "base": base, "equal": equal}, "base")
    assert (comparison["baseline"], comparison["questions"], comparison["episodes"]) == ("base", 6, 3)
    rows = comparison["agents"]
    assert list(rows) == ["better", "equal"]
    assert rows["better"]["mean"] == pytest.approx(5 / 6)
    assert rows["better"]["ci95"] == [0.5, 1.0]
    assert (
        rows["better"]["p_questions"] == 4 / 2**6
    )  # five differences of 1: all signs alike, the equal pair either way
    assert rows["better"]["p_episodes"] == 2 / 2**3
    assert (rows["better"]["holm_questions"], rows["better"]["holm_episodes"]) == (2 * 4 / 2**6, 2 * 2 / 2**3)
    assert (rows["equal"]["mean"], rows["equal"]["p_questions"], rows["equal"]["holm_questions"]) == (0.0, 1.0, 1.0)
    assert json.loads(json.dumps(comparison)) == comparison


def test_a_question_asked_twice_counts_once():
    twice = [trajectory(0, 1.0, answered("x", 1.0), answered("x", 1.0), answered("y", 1.0))]
    never = [trajectory(0, 0.0, answered("x", 0.0), answered("x", 0.0), answered("y", 0.0))]
    comparison = compare_all({"a": twice, "b": never}, "b")
    assert comparison["questions"] == 2
    assert comparison["agents"]["a"]["p_questions"] == 2 / 2**2
    assert comparison["agents"]["a"]["ci95"] is None, "one episode has no spread"


def test_other_questions_are_no_pair():
    with pytest.raises(ValueError, match="a was asked other questions than b: a paired test needs the same"):
        compare_all({"a": asked((1, 1)), "b": asked((1, 1), (0, 0))}, "b")


def test_a_baseline_alone_has_nothing_to_be_tested():
    assert compare_all({"a": asked((1, 1))}, "a")["agents"] == {}


def test_tests_are_a_table():
    comparison = compare_all({"new": asked((1, 1), (1, 1)), "old": asked((0, 0), (0, 0))}, "old")
    assert format_comparison(comparison) == (
        "4 questions of 2 episodes, paired; Holm's correction for 1 tests; "
        "so few episodes allow no p by episode below 0.5000\n"
        "minus old  difference  95 % interval     p by question  Holm    p by episode  Holm\n"
        "---------  ----------  ----------------  -------------  ------  ------------  ------\n"
        "new        +1.000      [+1.000, +1.000]  0.1250         0.1250  0.5000        0.5000"
    )


def test_the_best_policy_is_that_with_the_best_mean_over_questions_and_of_equals_the_first():
    summaries = summarise_all({"low": asked((0, 1)), "b": asked((1, 1)), "a": asked((1, 1)), "out": asked((1, 1))})
    assert best_policy(summaries, ["low", "b", "a"]) == "b"
