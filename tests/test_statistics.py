"""Golden values of intervals, tests and corrections."""

import numpy as np
import pytest

from memgym import statistics as stats

A = [1, 1, 1, 0, 1, 1, 0, 1]
B = [0, 1, 0, 0, 1, 0, 0, 1]


def test_permutation_is_exact_for_few_units():
    assert stats.paired_permutation(A, B) == 64 / 256


def test_permutation_is_symmetric_and_one_for_equal_systems():
    assert stats.paired_permutation(B, A) == 64 / 256
    assert stats.paired_permutation(A, A) == 1.0


def test_permutation_counts_fractional_ties_as_extreme():
    # 0.1 + 0.2 - 0.3 is not 0 in floating point: all patterns tie with the observed sum only within rounding
    assert stats.paired_permutation([0.1, 0.2, 0.0], [0.0, 0.0, 0.3]) == 1.0


def test_sampled_permutation_approaches_the_exact_tail():
    # 13 differences of 1: only the two constant patterns are as extreme, 2 / 2**13
    p = stats.paired_permutation([1] * 13, [0] * 13, draws=4000, seed=1)
    assert 1 / 4001 <= p < 0.003
    assert p == stats.paired_permutation([1] * 13, [0] * 13, draws=4000, seed=1)


def test_sampled_permutation_agrees_with_the_exact_one_on_padded_units():
    padded = stats.paired_permutation(A + [0] * 8, B + [0] * 8, draws=4000)  # equal pairs change no sum
    assert padded == pytest.approx(0.25, abs=0.03)


def test_holm_keeps_the_order_given():
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_adjusted_p_values_stop_at_one():
    assert stats.holm([0.9, 0.8]) == [1.0, 1.0]


def test_bootstrap_brackets_the_mean_and_follows_the_seed():
    interval = stats.bootstrap_ci(A, draws=2000, seed=3)
    assert interval.estimate == 0.75
    assert interval.low < 0.75 < interval.high
    assert interval == stats.bootstrap_ci(A, draws=2000, seed=3)


def test_bootstrap_matches_the_normal_interval_on_many_units():
    values = np.random.default_rng(0).normal(2.0, 1.0, size=400)
    interval = stats.bootstrap_ci(values, draws=4000)
    half = 1.96 * values.std(ddof=1) / 20
    assert interval.low == pytest.approx(values.mean() - half, abs=0.02)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.02)


def test_bootstrap_of_a_constant_has_no_width():
    assert stats.bootstrap_ci([0.5] * 6, draws=100) == (0.5, 0.5, 0.5)


def test_a_higher_level_is_wider():
    narrow, wide = (stats.bootstrap_ci(A, level=level, draws=2000) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_clusters_make_the_interval_wider_when_questions_agree_inside_them():
    values = [1.0] * 20 + [0.0] * 20
    by_question = stats.bootstrap_ci(values, draws=1000)
    by_cluster = stats.cluster_bootstrap_ci(values, ["a"] * 20 + ["b"] * 20, draws=1000)
    assert (by_cluster.low, by_cluster.high) == (0.0, 1.0)
    assert by_question.high - by_question.low < 0.5


def test_cluster_bootstrap_estimates_the_mean_over_questions():
    interval = stats.cluster_bootstrap_ci([1, 1, 1, 0], ["a", "a", "a", "b"], draws=50)
    assert interval.estimate == 0.75


def test_paired_bootstrap_cancels_what_the_systems_share():
    hard = np.random.default_rng(1).random(50)
    interval = stats.paired_bootstrap_ci(hard + 0.1, hard, draws=200)
    assert interval == pytest.approx((0.1, 0.1, 0.1))


def test_paired_bootstrap_resamples_clusters_when_given():
    interval = stats.paired_bootstrap_ci([1, 1, 0, 0], [0, 0, 0, 0], ["a", "a", "b", "b"], draws=500)
    assert interval == (0.5, 0.0, 1.0)


def test_a_paired_test_over_clusters_weighs_them_by_their_questions():
    a, clusters = [1, 1, 1, 0, 0], ["x", "x", "x", "y", "z"]
    test = stats.paired_test(a, [0, 0, 0, 1, 0], clusters)
    assert test.difference == stats.paired_bootstrap_ci(a, [0, 0, 0, 1, 0], clusters)
    assert test.difference.estimate == pytest.approx(0.4)
    assert test.p_questions == 20 / 32  # |s1 + s2 + s3 - s4| >= 2: 10 of 16 patterns, the equal pair either way
    assert test.p_clusters == 1.0  # |3 s1 - s2| >= 2 always


def test_resampling_in_blocks_draws_what_one_row_at_a_time_would():
    values, generator = np.random.default_rng(2).random(3000), np.random.default_rng(0)
    means = [values[generator.integers(values.size, size=values.size)].mean() for _ in range(200)]
    interval = stats.bootstrap_ci(values, draws=200)
    assert (interval.low, interval.high) == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=1e-12)


@pytest.mark.parametrize(("values", "mean"), [([], 0.0), ([0.25, 0.75], 0.5), ([True, False, True, True], 0.75)])
def test_a_mean_of_nothing_is_zero(values, mean):
    assert stats.mean_or_zero(values) == mean


@pytest.mark.parametrize(
    ("score", "floor", "ceiling", "expected"),
    [(0.5, 0.2, 0.8, 0.5), (0.2, 0.2, 0.8, 0.0), (0.9, 0.0, 0.6, 1.5), (0.5, 0.5, 0.5, None), (0.5, 0.6, 0.5, None)],
)
def test_normalised_score(score, floor, ceiling, expected):
    assert stats.normalised_score(score, floor, ceiling) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.bootstrap_ci([]), "at least|N >= 1"),
        (lambda: stats.bootstrap_ci([float("nan")]), "NaN"),
        (lambda: stats.bootstrap_ci([[1.0]]), "shape"),
        (lambda: stats.bootstrap_ci([1.0], level=95), "level=95"),
        (lambda: stats.bootstrap_ci([1.0], draws=0), "draws=0"),
        (lambda: stats.cluster_bootstrap_ci([1.0, 2.0], ["a"]), "one for each"),
        (lambda: stats.paired_permutation([1.0], [1.0, 2.0]), "same units"),
        (lambda: stats.holm([1.5]), "outside"),
    ],
)
def test_wrong_input_is_refused_with_a_reason(call, message):
    with pytest.raises(ValueError, match=message):
        call()
