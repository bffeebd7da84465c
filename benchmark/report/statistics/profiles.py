"""One method over several seeds and tasks: interquartile mean, probability of improvement.

Definitions of Agarwal et al. 2021 (arXiv 2108.13264). Scores must share a scale to be pooled over tasks: count from the
task's floor to its dense model first (`relative`).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from benchmark.report.statistics.intervals import Floats, Interval, percentiles
from benchmark.report.statistics.paired import StatisticsError


def relative(scores: ArrayLike, dense: ArrayLike, floor: ArrayLike = 0.0) -> Floats:
    """How much of the way from the floor to the dense model `scores` [runs, tasks] go, in percent: 100 (score - floor) /
    (dense - floor), both [tasks]; 0 is a constant answer, 100 the dense model.

    StatisticsError where a dense model is not above its floor.
    """
    base, bottom = np.asarray(dense, dtype=np.float64), np.asarray(floor, dtype=np.float64)
    if not np.all(base > bottom):
        raise StatisticsError(
            f"scores relative to the dense model need dense scores above the floor {bottom.tolist()}, found {base.tolist()}"
        )
    return 100 * (np.asarray(scores, dtype=np.float64) - bottom) / (base - bottom)


def interquartile_mean(scores: ArrayLike) -> float:
    """Mean of the middle half of all `scores` [runs, tasks]; a quarter (rounded down) is cut off at each end."""
    found = np.asarray(scores, dtype=np.float64).ravel()
    cut = found.size // 4
    return float(np.partition(found, (cut, found.size - cut - 1))[cut : found.size - cut].mean())


def probability_of_improvement(first: ArrayLike, second: ArrayLike) -> float:
    """P(a run of the first beats a run of the second), mean over tasks, ties half: [runs, tasks], [other runs, tasks]."""
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.ndim != 2 or other.ndim != 2 or one.shape[1] != other.shape[1]:
        raise StatisticsError(f"both need [runs, tasks] with the same tasks, found {one.shape} and {other.shape}")
    gaps = one[:, None, :] - other[None, :, :]
    return float(np.mean((gaps > 0) + 0.5 * (gaps == 0)))


def stratified_interval(
    statistic: Callable[[Floats], float],
    scores: ArrayLike,
    rng: np.random.Generator,
    resamples: int = 2000,
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
