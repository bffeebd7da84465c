"""Two models on the same test items: their difference, with interval and p value from bootstrap draws (`resampling.py`).

It says whether these trained models differ on items like these. Whether the method would win again under other seeds is a question
for the spread over seeds, and `seeds.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.errors import PrunebenchError
from benchmark.report.statistics.intervals import percentiles

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


def difference(observed: float, drawn: ArrayLike) -> Difference:
    """Percentile interval and p of a difference from its bootstrap draws [resamples].

    p = 2 min(share of draws <= 0, share >= 0), each share as (1 + count) / (1 + resamples): p < 0.05 exactly where the
    95 % interval leaves out 0, up to that correction. It is never below 2 / (1 + resamples).
    """
    found = np.asarray(drawn, dtype=np.float64)
    low, high = percentiles(found)
    tail = min(int(np.sum(found <= 0)), int(np.sum(found >= 0)))
    return Difference(observed, low, high, min(1.0, 2 * (1 + tail) / (1 + found.size)))


def same_items(runs: Sequence[Outcomes]) -> int:
    """How many items all runs share. StatisticsError: other names, other lengths, or other labels."""
    names = set(runs[0])
    sizes = {len(values) for run in runs for values in run.values()}
    if any(set(run) != names for run in runs) or len(sizes) != 1:
        raise StatisticsError(f"outcomes do not pair: fields {[sorted(run) for run in runs]}, items {sorted(sizes)}")
    if "label" in names and any(not np.array_equal(run["label"], runs[0]["label"]) for run in runs):
        raise StatisticsError("outcomes do not pair: their labels differ, so these are not the same items in order")
    return sizes.pop()
