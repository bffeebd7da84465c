"""What few seeds cannot show, and how large a difference must be to be found."""

from math import isnan, sqrt

import numpy as np
from numpy.typing import ArrayLike

from benchmark.report.statistics.intervals import CONFIDENCE
from benchmark.report.statistics.multiple import LEVEL

EQUAL = 1e-9
"""Spread below which differences are one number, but for rounding."""

POWER = 0.8
"""How often a test should find the smallest difference that it is said to detect."""


def smallest_p(pairs: int) -> float:
    """The smallest two-sided p of an exact paired test over `pairs` pairs (sign flip, sign or Wilcoxon): 2^(1 - pairs)."""
    return min(1.0, 2.0 ** (1 - pairs))


def minimum_detectable_difference(sd: float, n: int) -> float:
    """The smallest true mean difference that a two-sided paired t test at level .05 finds four times in five (POWER), in the unit of
    `sd`, the standard deviation of the `n` differences.

    Solved from the noncentral t distribution, leaving out the negligible chance of a significant difference with the
    wrong sign; nan for n < 2.
    """
    from scipy import optimize, stats

    if n < 2 or isnan(sd):
        return float("nan")
    if sd == 0:
        return 0.0
    cut = float(stats.t.ppf(1 - LEVEL / 2, n - 1))

    def short(shift: float) -> float:
        return float(stats.nct.sf(cut, n - 1, shift)) - POWER

    return float(optimize.brentq(short, 1e-6, 3 * cut + 10)) * sd / sqrt(n)


def paired_sd(scores: ArrayLike) -> float:
    """Standard deviation over paired seeds of the difference of two rows of `scores` [rows, seeds]: the median over all pairs, so
    that one wild row does not speak for the others. Pairs that always differ by the same show no spread and do not count, unless
    all do; nan for one seed or row."""
    given = np.asarray(scores, dtype=np.float64)
    rows, seeds = given.shape
    if rows < 2 or seeds < 2:
        return float("nan")
    spreads = np.array([(given[i] - given[j]).std(ddof=1) for i in range(rows) for j in range(i)])
    some = spreads[spreads > EQUAL]
    return float(np.median(some)) if some.size else 0.0


def sd_factor(n: int) -> float:
    """How many times larger than the measured one the standard deviation of n >= 2 normal values may be: the upper bound
    of its chi-square interval, sqrt((n - 1) / chi2_{n-1})."""
    from scipy import stats

    return sqrt((n - 1) / float(stats.chi2.ppf((1 - CONFIDENCE) / 2, n - 1)))


def cautions(seeds: int | None) -> list[str]:
    """What so few paired seeds (None: they do not pair) cannot show; empty where ten seeds suffice."""
    found = []
    if seeds is None:
        found.append(
            "Not all cells have the same seeds: each counts as its mean, and nothing is said of what other seeds would find."
        )
    elif seeds == 1:
        found.append("One seed: no spread over seeds is known, so a difference may be seed noise.")
    elif smallest_p(seeds) > LEVEL:
        found.append(
            f"{seeds} paired seeds: no exact paired test over seeds can go below p = {smallest_p(seeds):g}. Intervals over seeds "
            "assume normal differences, which so few seeds cannot show: they are printed, but nothing here is called different "
            "because of them alone."
        )
    if seeds is not None and 2 <= seeds < 10:
        found.append(
            f"{seeds} seeds: the true standard deviation may be {sd_factor(seeds):.1f} times that of these runs (95 % bound). "
            "Intervals of the interquartile mean redraw so few runs that they are too narrow."
        )
    return found
