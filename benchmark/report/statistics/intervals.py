"""Mean, spread and intervals of one number measured under several seeds, and what all statistics share."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.errors import PrunebenchError

Floats = NDArray[np.float64]

LOGARITHMIC = frozenset({"perplexity"})
"""Metrics whose logarithm is a mean over items."""


CONFIDENCE = 0.95
"""The confidence of every interval that is printed."""


class StatisticsError(PrunebenchError):
    """Numbers that do not pair, or too few of them."""


class Interval(NamedTuple):
    """Bounds in the unit of the values; nan where nothing can be said."""

    low: float
    high: float


def additive(metric: str, values: ArrayLike) -> Floats:
    """`values` of a metric on the scale on which they are means over items: of perplexity the logarithm, which is the mean negative
    log-likelihood of a token in nats; of others as they are."""
    found = np.asarray(values, dtype=np.float64)
    return np.log(found) if metric in LOGARITHMIC else found


def sd(values: ArrayLike) -> float:
    """Standard deviation of `values` [n] with n - 1; nan for n < 2."""
    found = np.asarray(values, dtype=np.float64)
    return float(np.std(found, ddof=1)) if found.size > 1 else float("nan")


def t_interval(values: ArrayLike) -> Interval:
    """Student's 95 % interval of the mean of `values` [n]: mean ± t_{n-1} sd / sqrt(n); nan for n < 2.

    It takes the seeds for independent draws from a normal distribution, which few seeds cannot check.
    """
    from scipy import stats

    found = np.asarray(values, dtype=np.float64)
    if found.size < 2:
        return Interval(float("nan"), float("nan"))
    mean = float(np.mean(found))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, found.size - 1)) * sd(found) / np.sqrt(found.size)
    return Interval(mean - half, mean + half)


def percentiles(draws: ArrayLike) -> Interval:
    """The central 95 % of `draws` [resamples]."""
    low, high = np.quantile(np.asarray(draws, dtype=np.float64), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))
