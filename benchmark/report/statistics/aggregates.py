"""Methods over several seeds and tasks: mean ranks with bootstrap intervals instead of a bare 1..N, interquartile mean, probability of
improvement.

Definitions of Agarwal et al. 2021 (arXiv 2108.13264). Scores must share a scale to be pooled over tasks: count from the
task's floor to its dense model first (`relative`).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from benchmark.report.statistics.intervals import CONFIDENCE, Floats, Interval, percentiles
from benchmark.report.statistics.multiple import DIGITS, complete

BLOCK = 100
"""Resamples that are ranked at once, because a call of SciPy's ranking costs more than the ranking itself."""


class RankIntervals(NamedTuple):
    """Mean rank [methods] with bounds, and bounds of the place 1..N by mean rank; every array [methods]."""

    mean_rank: Floats
    low: Floats
    high: Floats
    place_low: Floats
    place_high: Floats


def mean_ranks(scores: ArrayLike) -> Floats:
    """Mean rank over cells of `scores` [methods, cells], 1 the best (highest), ties sharing their mean rank: [methods]."""
    from scipy import stats

    ranks = np.asarray(stats.rankdata(-complete(scores), axis=0), dtype=np.float64)
    return np.asarray(ranks.mean(axis=1))


def rank_intervals(scores: ArrayLike, rng: np.random.Generator, resamples: int) -> RankIntervals:
    """Bootstrap over cells and seeds of `scores` [methods, cells, seeds].

    Every resample draws cells with replacement and seeds within each drawn cell, the same for all methods, averages seeds, and ranks
    the methods. Places whose intervals overlap are not an order. All bounds are nan for one cell, which leaves nothing
    to redraw.
    """
    from scipy import stats

    given = np.asarray(scores, dtype=np.float64)
    means = complete(given.mean(axis=2))
    observed = mean_ranks(means)
    methods, cells, seeds = given.shape
    if cells < 2:
        unknown = np.full(methods, np.nan)
        return RankIntervals(observed, unknown, unknown, unknown, unknown)
    drawn = np.empty((resamples, methods))
    for start in range(0, resamples, BLOCK):
        block = drawn[start : start + BLOCK]
        redrawn = np.empty((len(block), *means.shape))
        for sample in redrawn:
            chosen = np.repeat(rng.integers(0, cells, size=(cells, 1)), seeds, axis=1)
            within = rng.integers(0, seeds, size=(cells, seeds))
            given[:, chosen, within].mean(axis=2, out=sample)
        block[:] = stats.rankdata(-redrawn.round(DIGITS), axis=1).mean(axis=2)
    places = stats.rankdata(drawn, method="min", axis=1)  # ties share the better place
    bounds = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    low, high = np.quantile(drawn, bounds, axis=0)
    first, last = np.quantile(places, bounds, axis=0)
    return RankIntervals(observed, low, high, np.floor(first), np.ceil(last))


def relative(scores: ArrayLike, dense: ArrayLike, floor: ArrayLike) -> Floats:
    """How much of the way from the floor to the dense model `scores` [runs, tasks] go, in percent: 100 (score - floor) /
    (dense - floor), both [tasks] and the former larger; 0 is a constant answer, 100 the dense model."""
    base, bottom = np.asarray(dense, dtype=np.float64), np.asarray(floor, dtype=np.float64)
    return 100 * (np.asarray(scores, dtype=np.float64) - bottom) / (base - bottom)


def interquartile_mean(scores: ArrayLike) -> float:
    """Mean of the middle half of all `scores` [runs, tasks]; a quarter (rounded down) is cut off at each end."""
    found = np.asarray(scores, dtype=np.float64).ravel()
    cut = found.size // 4
    return float(np.partition(found, (cut, found.size - cut - 1))[cut : found.size - cut].mean())


def probability_of_improvement(first: ArrayLike, second: ArrayLike) -> float:
    """P(a run of the first beats a run of the second), mean over tasks, ties half: [runs, tasks], [other runs, tasks]."""
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    gaps = one[:, None, :] - other[None, :, :]
    return float(np.mean((gaps > 0) + 0.5 * (gaps == 0)))


def stratified_interval(
    statistic: Callable[[Floats], float], scores: ArrayLike, rng: np.random.Generator, resamples: int
) -> Interval:
    """Bootstrap interval of a statistic of `scores` [runs, tasks]: runs are redrawn within each task, tasks stay. nan for one run,
    which leaves nothing to redraw.

    Of few runs it is too narrow, for means of n redrawn runs have a variance (n - 1) / n times that of n new ones, and percentiles
    leave out that the spread itself is uncertain. `cautions` says so.
    """
    given = np.asarray(scores, dtype=np.float64)
    if len(given) < 2:
        return Interval(float("nan"), float("nan"))
    draws = [
        statistic(np.take_along_axis(given, rng.integers(0, len(given), size=given.shape), axis=0))
        for _ in range(resamples)
    ]
    return percentiles(draws)
