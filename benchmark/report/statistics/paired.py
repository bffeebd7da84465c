"""Two models on the same test items: paired bootstrap for any metric, McNemar for accuracy.

Both say whether these trained models differ on items like these. They do not say whether the method would win again under
other seeds: that is what the spread over seeds, and `seeds.py`, are about.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.errors import PrunebenchError
from benchmark.report.statistics.intervals import Floats, percentiles

Outcomes = Mapping[str, NDArray[Any]]
"""Per-example numbers, arrays of one first dimension [items, ...]."""
Score = Callable[[Outcomes], float]
"""A metric in percent from per-example outcomes: `lambda outcomes: task.aggregate(outcomes)[metric]`."""


class StatisticsError(PrunebenchError):
    """Numbers that do not pair, or too few of them."""


class Difference(NamedTuple):
    """First minus second, in the metric's unit, with its interval and two-sided p value."""

    difference: float
    low: float
    high: float
    p: float


class McNemar(NamedTuple):
    """Discordant items (only the first right, only the second right) and the exact two-sided p value."""

    first_only: int
    second_only: int
    p: float


def drawn_items(items: int, resamples: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Bootstrap samples of item positions [resamples, items]; one draw serves all models of a column."""
    return rng.integers(0, items, size=(resamples, items))


def resampled(outcomes: Outcomes, score: Score, index: NDArray[np.intp]) -> Floats:
    """The metric on every bootstrap sample, [resamples]."""
    from tasks.base import resample

    return np.array([score(resample(dict(outcomes), chosen)) for chosen in index], dtype=np.float64)


def difference(observed: float, drawn: ArrayLike, level: float = 0.95) -> Difference:
    """Percentile interval and p of a difference from its bootstrap draws [resamples].

    p = 2 min(share of draws <= 0, share >= 0), each share as (1 + count) / (1 + resamples): p < 0.05 exactly where the
    95 % interval leaves out 0, up to that correction. It is never below 2 / (1 + resamples).
    """
    found = np.asarray(drawn, dtype=np.float64)
    low, high = percentiles(found, level)
    tail = min(int(np.sum(found <= 0)), int(np.sum(found >= 0)))
    return Difference(observed, low, high, min(1.0, 2 * (1 + tail) / (1 + found.size)))


def paired_bootstrap(
    first: Sequence[Outcomes],
    second: Sequence[Outcomes],
    score: Score,
    rng: np.random.Generator,
    resamples: int = 1000,
    level: float = 0.95,
) -> Difference:
    """Difference of two methods, each the mean over its runs (seeds), under resampling of the items all runs share.

    Koehn 2004, Berg-Kirkpatrick et al. 2012. Any metric of outcomes: BLEU, entity F1, Matthews. StatisticsError where the
    runs did not see the same items.
    """
    items = same_items([*first, *second])
    index = drawn_items(items, resamples, rng)
    sides = [np.mean([resampled(run, score, index) for run in runs], axis=0) for runs in (first, second)]
    observed = [float(np.mean([score(run) for run in runs])) for runs in (first, second)]
    return difference(observed[0] - observed[1], sides[0] - sides[1], level)


def mcnemar(first: ArrayLike, second: ArrayLike) -> McNemar:
    """Exact McNemar test of two models' right answers, bool [items]: a binomial test of the discordant items."""
    from scipy.stats import binomtest

    right, other = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if right.shape != other.shape:
        raise StatisticsError(f"McNemar needs the same items: found {right.shape} and {other.shape}")
    only, lost = int(np.sum(right & ~other)), int(np.sum(other & ~right))
    p = float(binomtest(only, only + lost, 0.5).pvalue) if only + lost else 1.0
    return McNemar(only, lost, p)


def same_items(runs: Sequence[Outcomes]) -> int:
    """How many items all runs share. StatisticsError: other names, other lengths, or other labels."""
    names = set(runs[0])
    sizes = {len(values) for run in runs for values in run.values()}
    if any(set(run) != names for run in runs) or len(sizes) != 1:
        raise StatisticsError(f"outcomes do not pair: fields {[sorted(run) for run in runs]}, items {sorted(sizes)}")
    if "label" in names and any(not np.array_equal(run["label"], runs[0]["label"]) for run in runs):
        raise StatisticsError("outcomes do not pair: their labels differ, so these are not the same items in order")
    return sizes.pop()
