"""Outcomes of several models on the same test items, which are then drawn together (`resampling.py`).

Differences over them say whether these trained models differ on items like these. Whether the method would win again under other
seeds is a question for the spread over seeds, and `seeds.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.errors import PrunebenchError

Outcomes = Mapping[str, NDArray[Any]]
"""Per-example numbers, arrays of one first dimension [items, ...]."""
Score = Callable[[Outcomes], float]
"""A metric in percent from per-example outcomes: `lambda outcomes: task.aggregate(outcomes)[metric]`."""


class StatisticsError(PrunebenchError):
    """Numbers that do not pair, or too few of them."""


def same_items(runs: Sequence[Outcomes]) -> int:
    """How many items all runs share. StatisticsError: other names, other lengths, or other labels."""
    names = set(runs[0])
    sizes = {len(values) for run in runs for values in run.values()}
    if any(set(run) != names for run in runs) or len(sizes) != 1:
        raise StatisticsError(f"outcomes do not pair: fields {[sorted(run) for run in runs]}, items {sorted(sizes)}")
    if "label" in names and any(not np.array_equal(run["label"], runs[0]["label"]) for run in runs):
        raise StatisticsError("outcomes do not pair: their labels differ, so these are not the same items in order")
    return sizes.pop()
