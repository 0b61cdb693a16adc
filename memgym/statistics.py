"""Uncertainty of scores: intervals, paired tests, the correction for many comparisons.

A *unit* is what is independent of the others: a question of a single-document task, a whole conversation or session of
a cross-session task. Every comparison is paired: position i of both systems is the same unit.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 10_000
EXACT_UNITS = 12  # up to 2**12 sign patterns are enumerated instead of sampled
_BLOCK = 1 << 18  # numbers drawn at once: a (draws, C) table would be large for many units
_TOLERANCE = 1e-12  # sums of the same numbers in another order must still compare equal


class Interval(NamedTuple):
    """An estimate and its confidence interval, in the unit of the score."""

    estimate: float
    low: float
    high: float


def mean_or_zero(values: Sequence[float | bool]) -> float:
    """Mean of numbers or shares of truths; 0 for none, as what is not there adds nothing to a reward or a share."""
    return sum(values) / len(values) if values else 0.0


def _vector(values: ArrayLike, name: str) -> NDArray[np.float64]:
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1 or not vector.size:
        raise ValueError(f"{name} has shape {vector.shape}: expected one number per unit, shape (N,) with N >= 1")
    if not np.isfinite(vector).all():
        raise ValueError(f"{name} holds NaN or infinity: drop or score those units first")
    return vector


def _differences(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    first, second = _vector(a, "a"), _vector(b, "b")
    if first.shape != second.shape:
        raise ValueError(f"a has {first.size} units and b {second.size}: a paired comparison needs the same units")
    return first - second


def _percentiles(samples: NDArray[np.float64], estimate: float, level: float) -> Interval:
    if not 0 < level < 1:
        raise ValueError(f"level={level}: expected a probability between 0 and 1, such as 0.95")
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high))


def _check_draws(draws: int) -> None:
    if draws < 1:
        raise ValueError(f"draws={draws}: expected at least 1 resample")


# --- bootstrap ---


def bootstrap_ci(values: ArrayLike, *, level: float = 0.95, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Percentile bootstrap interval of the mean over independent units.

    Args:
        values: one score per unit, shape (N,).
        level: coverage of the interval.
        draws: number of resamples.
        seed: of the generator; the same seed gives the same interval.

    Returns:
        The mean and its interval.

    Raises:
        ValueError: no units, a score that is not finite, or a level or number of draws that makes no sense.
    """
    vector = _vector(values, "values")
    return cluster_bootstrap_ci(vector, range(vector.size), level=level, draws=draws, seed=seed)


def cluster_bootstrap_ci(
    values: ArrayLike, clusters: Sequence[Hashable], *, level: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> Interval:
    """Percentile interval of the mean over questions when whole clusters are resampled.

    Questions about one conversation share its memory, so they are not independent; conversations are.

    Args:
        values: one score per question, shape (N,).
        clusters: the conversation or session of each question, length N.
        level: coverage of the interval.
        draws: number of resamples.
        seed: of the generator.

    Returns:
        The mean over questions (micro average) and its interval.

    Raises:
        ValueError: as :func:`bootstrap_ci`, or as many clusters as values are not given.
    """
    _check_draws(draws)
    sums, counts = _cluster_totals(_vector(values, "values"), clusters)
    generator = np.random.default_rng(seed)
    samples = np.empty(draws)
    rows = max(1, _BLOCK // sums.size)
    for start in range(0, draws, rows):
        picked = generator.integers(sums.size, size=(min(rows, draws - start), sums.size))  # (R, C)
        samples[start : start + rows] = sums[picked].sum(axis=1) / counts[picked].sum(axis=1)
    return _percentiles(samples, float(sums.sum() / counts.sum()), level)


def paired_bootstrap_ci(
    a: ArrayLike,
    b: ArrayLike,
    clusters: Sequence[Hashable] | None = None,
    *,
    level: float = 0.95,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """Percentile interval of the mean difference a - b on the same units.

    Args:
        a: scores of the first system, shape (N,).
        b: scores of the second system on the same units, shape (N,).
        clusters: the cluster of each unit, to resample clusters; None resamples units.
        level: coverage of the interval.
        draws: number of resamples.
        seed: of the generator.

    Returns:
        The mean difference and its interval.

    Raises:
        ValueError: as :func:`bootstrap_ci`, or ``a`` and ``b`` differ in length.
    """
    difference = _differences(a, b)
    groups = range(difference.size) if clusters is None else clusters
    return cluster_bootstrap_ci(difference, groups, level=level, draws=draws, seed=seed)


def _cluster_totals(
    values: NDArray[np.float64], clusters: Sequence[Hashable]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if len(clusters) != values.size:
        raise ValueError(f"clusters names {len(clusters)} units and values holds {values.size}: expected one for each")
    index: dict[Hashable, int] = {}
    codes = np.fromiter((index.setdefault(cluster, len(index)) for cluster in clusters), np.int64, values.size)
    sums, counts = np.zeros(len(index)), np.zeros(len(index))
    np.add.at(sums, codes, values)
    np.add.at(counts, codes, 1.0)
    return sums, counts


# --- tests ---


def paired_permutation(a: ArrayLike, b: ArrayLike, *, draws: int = DRAWS, seed: int = 0) -> float:
    """Two-sided p-value of the paired permutation test: signs of the differences are flipped.

    All 2**N patterns are counted up to 12 units; above, ``draws`` seeded patterns with the +1 correction of Phipson and
    Smyth (2010). Questions that share conversations are not independent: see :func:`paired_test`.

    Args:
        a: scores of the first system, shape (N,).
        b: scores of the second system on the same units, shape (N,).
        draws: number of sampled patterns, above 12 units.
        seed: of the generator, above 12 units.

    Returns:
        The p-value, in (0, 1].

    Raises:
        ValueError: no units, scores that are not finite, or ``a`` and ``b`` differ in length.
    """
    _check_draws(draws)
    difference = _differences(a, b)
    observed = abs(difference.sum()) - _TOLERANCE
    if difference.size <= EXACT_UNITS:
        patterns = np.arange(2**difference.size)[:, None] >> np.arange(difference.size) & 1
        return float(np.mean(np.abs((1 - 2 * patterns) @ difference) >= observed))
    generator = np.random.default_rng(seed)
    extreme = 0
    for _ in range(draws):
        signs = 1 - 2 * generator.integers(2, size=difference.size)
        extreme += abs(signs @ difference) >= observed
    return float((extreme + 1) / (draws + 1))


class PairedTest(NamedTuple):
    """Two systems on the same questions, which share conversations or sessions."""

    difference: Interval  # mean over questions of a - b; whole clusters are resampled
    p_questions: float  # permutation test over questions, as if they were independent
    p_clusters: float  # over clusters, which are; with C of them no less than 2 / 2**C


def paired_test(a: ArrayLike, b: ArrayLike, clusters: Sequence[Hashable]) -> PairedTest:
    """The paired difference of two systems by :func:`paired_bootstrap_ci` and :func:`paired_permutation`.

    Args:
        a: scores of the first system, one per question, shape (N,).
        b: scores of the second system on the same questions, shape (N,).
        clusters: the conversation or session of each question, length N.

    Raises:
        ValueError: as :func:`paired_bootstrap_ci`.
    """
    difference = paired_bootstrap_ci(a, b, clusters)
    # Sums, not means: a long conversation weighs as much as it does in the mean over questions.
    totals = [_cluster_totals(_vector(values, "scores"), clusters)[0] for values in (a, b)]
    return PairedTest(difference, paired_permutation(a, b), paired_permutation(*totals))


# --- many comparisons ---


def holm(p_values: ArrayLike) -> list[float]:
    """Holm's step-down adjusted p-values (family-wise error; confirmatory families), in the order given."""
    vector = _vector(p_values, "p_values")
    if (vector < 0).any() or (vector > 1).any():
        raise ValueError("p_values holds a number outside [0, 1]: expected probabilities")
    order = np.argsort(vector, kind="stable")
    stepped = np.maximum.accumulate(vector[order] * np.arange(vector.size, 0, -1))
    adjusted = np.empty_like(vector)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted.tolist()


# --- scale ---


def normalised_score(score: float, floor: float, ceiling: float) -> float | None:
    """(score - floor) / (ceiling - floor): 0 is no memory, 1 the oracle; None when the ceiling is not above the floor.

    Not clipped: a policy may fall below the floor or pass the ceiling of a weak reader.
    """
    return (score - floor) / (ceiling - floor) if ceiling > floor else None
