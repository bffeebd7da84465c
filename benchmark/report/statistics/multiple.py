"""Many comparisons at once: step-down max-T and comparisons with the best over items; Holm, Wilcoxon, Friedman and Nemenyi over
cells."""

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from benchmark.report.statistics.intervals import Floats, StatisticsError

LEVEL = 0.05
"""The level of every test that tables, statistics and pages report."""

DIGITS = 9
"""Decimals of scores that are ranked: beyond them is rounding, by which means of the same scores in another order differ."""


class Signed(NamedTuple):
    """Median difference over cells, and the two-sided p value."""

    median: float
    p: float


def holm(p: ArrayLike) -> Floats:
    """Holm's step-down adjusted p values [m] in the given order; nan stays nan and does not count as a test."""
    given = np.asarray(p, dtype=np.float64)
    adjusted = np.full_like(given, np.nan)
    valid = np.flatnonzero(~np.isnan(given))
    order = valid[np.argsort(given[valid], kind="stable")]
    steps = given[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(order) else []
    return adjusted


def step_down(observed: ArrayLike, centred: ArrayLike) -> Floats:
    """Step-down max-T adjusted p values [m] of statistics `observed` [m], from joint null draws `centred` [draws, m].

    p of the k-th largest statistic is the share of draws in which the largest of the k-th and all smaller ones reaches it, each
    share as (1 + count) / (1 + draws), never below p of a larger one. The chance of any false rejection at level a is a
    (Westfall and Young 1993; Romano and Wolf 2005), whatever the dependence that the draws carry; nothing depends on m but
    the maximum, so p can be as small as 1 / (1 + draws) in a family of any size.
    """
    given, draws = np.asarray(observed, dtype=np.float64), np.asarray(centred, dtype=np.float64)
    order = np.argsort(-given, kind="stable")
    largest = np.maximum.accumulate(draws[:, order[::-1]], axis=1)[:, ::-1]
    p = (1 + (largest >= given[order]).sum(axis=0)) / (1 + len(draws))
    adjusted = np.empty(len(given))
    adjusted[order] = np.maximum.accumulate(p)
    return adjusted


def against_the_best(scores: ArrayLike, draws: ArrayLike) -> tuple[Floats, Floats]:
    """Statistics [rows] of "this row is among the best", and their null draws [draws, rows], for `step_down`.

    From `scores` [rows] (higher is better) and their joint bootstrap `draws` [draws, rows]: each row's largest studentised
    shortfall behind any other, so that no row is singled out as the best on the data it is tested on (multiple comparisons
    with the best: Hsu 1981). A row whose statistic is too large is worse than some other row.
    """
    given, drawn = np.asarray(scores, dtype=np.float64), np.asarray(draws, dtype=np.float64)
    observed = np.full(len(given), -np.inf)
    centred = np.full(drawn.shape, -np.inf)
    for i in range(len(given)):
        for j in range(len(given)):
            if i != j:
                shortfall, null = studentised(given[j] - given[i], drawn[:, j] - drawn[:, i])
                observed[i] = max(observed[i], shortfall)
                np.maximum(centred[:, i], null, out=centred[:, i])
    return observed, centred


def studentised(difference: float, draws: Floats) -> tuple[float, Floats]:
    """A difference and its `draws` [draws] around it, in standard errors; equal predictions differ by 0, without doubt."""
    error = float(draws.std())
    if error < 1e-12:
        return (0.0 if abs(difference) < 1e-12 else np.copysign(np.inf, difference)), np.zeros_like(draws)
    return difference / error, (draws - difference) / error


def wilcoxon(first: ArrayLike, second: ArrayLike) -> Signed:
    """Wilcoxon's signed-rank test of two methods over cells [task x sparsity]; cells without a difference are dropped.

    It takes the cells for independent, which two sparsities of one task are not quite: p is somewhat too small.
    """
    from scipy import stats

    gaps = np.round(np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64), DIGITS)
    differing = gaps[gaps != 0]
    if not differing.size:
        return Signed(0.0, 1.0)
    return Signed(float(np.median(gaps)), float(stats.wilcoxon(differing).pvalue))


def friedman(scores: ArrayLike) -> float:
    """The p value of Friedman's test (Demšar 2006) over `scores` [methods >= 3, cells >= 2]: do mean ranks differ at all?"""
    from scipy import stats

    given = complete(scores)
    if np.all(given == given[0]):
        return 1.0
    return float(stats.friedmanchisquare(*given).pvalue)


def smallest_friedman_p(methods: int, cells: int) -> float:
    """The smallest p that Friedman's test can have: all cells rank alike, chi-square is cells (methods - 1)."""
    from scipy import stats

    return float(stats.chi2.sf(cells * (methods - 1), methods - 1))


def critical_difference(methods: int, cells: int) -> float:
    """Mean ranks closer than this are not separable: q sqrt(k (k + 1) / (6 N)), q the studentized range / sqrt 2."""
    from scipy import stats

    q = float(stats.studentized_range.ppf(1 - LEVEL, methods, np.inf)) / sqrt(2)
    return q * sqrt(methods * (methods + 1) / (6 * cells))


def inseparable(ranks: ArrayLike, difference: float) -> list[tuple[int, ...]]:
    """Largest groups of methods within `difference` of each other, best first: the bars of a critical-difference diagram."""
    given = np.asarray(ranks, dtype=np.float64)
    order = [int(i) for i in np.argsort(given, kind="stable")]
    groups: list[tuple[int, ...]] = []
    for start in range(len(order)):
        members = tuple(i for i in order[start:] if given[i] - given[order[start]] <= difference)
        if len(members) > 1 and not any(set(members) <= set(group) for group in groups):
            groups.append(members)
    return groups


def complete(scores: ArrayLike) -> Floats:
    """`scores` [methods, cells] as floats of DIGITS decimals; StatisticsError where one is missing (nan) or the shape is another."""
    given = np.asarray(scores, dtype=np.float64)
    if given.ndim != 2 or np.isnan(given).any():
        raise StatisticsError(
            f"ranks need complete scores [methods, cells]; found shape {given.shape}, some may be missing"
        )
    return np.round(given, DIGITS)
