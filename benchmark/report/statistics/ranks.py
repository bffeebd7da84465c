"""Ranks with their uncertainty: bootstrap intervals of mean ranks and of places, instead of a bare 1..N."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from benchmark.report.statistics.intervals import CONFIDENCE, Floats
from benchmark.report.statistics.multiple import DIGITS, complete, mean_ranks

BLOCK = 100
"""Resamples that are ranked at once, because a call of SciPy's ranking costs more than the ranking itself."""


class RankIntervals(NamedTuple):
    """Mean rank [methods] with bounds, and bounds of the place 1..N by mean rank; every array [methods]."""

    mean_rank: Floats
    low: Floats
    high: Floats
    place_low: Floats
    place_high: Floats


def rank_intervals(scores: ArrayLike, rng: np.random.Generator, resamples: int = 2000) -> RankIntervals:
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
