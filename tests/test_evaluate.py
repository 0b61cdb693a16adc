"""Summaries, comparisons and the table, against figures worked out by hand."""

import json

import pytest

from memgym.evaluate import compare, format_categories, format_table, summarise, summarise_all
from memgym.rollout import Decision, Trajectory, TrajectoryStep
from memgym.statistics import bootstrap_ci, cluster_bootstrap_ci, paired_bootstrap_ci, paired_permutation


def answered(category: str, score: float, recall: float | None = None) -> dict:
    return {"category": category, "score": score, "evidence_recall": recall}


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
