"""Outcomes that are not of the same items are refused."""

import numpy as np
import pytest

from benchmark.report.statistics.paired import (
    Outcomes,
    StatisticsError,
    same_items,
)


def run(*correct: int) -> Outcomes:
    """Outcomes of one run."""
    return {"correct": np.array(correct, dtype=bool)}


@pytest.mark.parametrize(
    "other",
    [
        {"correct": np.zeros(3)},
        {"right": np.zeros(2)},
        {"correct": np.zeros(2), "label": np.zeros(2)},
    ],
)
def test_runs_on_other_items_are_refused(other: Outcomes) -> None:
    with pytest.raises(StatisticsError, match="do not pair"):
        same_items([run(1, 0), other])


def test_other_labels_are_other_items() -> None:
    first = {"prediction": np.array([1, 0]), "label": np.array([1, 0])}
    second = {"prediction": np.array([1, 0]), "label": np.array([0, 1])}
    with pytest.raises(StatisticsError, match="labels differ"):
        same_items([first, second])
