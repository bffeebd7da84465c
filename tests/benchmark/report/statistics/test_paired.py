"""Differences over the same items: hand-made draws, refused pairs, and the rate of false alarms."""

import numpy as np
import pytest

from benchmark.report.statistics.paired import (
    Outcomes,
    StatisticsError,
    difference,
    same_items,
)


def run(*correct: int) -> Outcomes:
    """Outcomes of one run."""
    return {"correct": np.array(correct, dtype=bool)}


def test_p_and_interval_of_a_difference_by_hand() -> None:
    found = difference(1.5, [-1.0, *[1.0] * 98])
    assert found.difference == 1.5
    assert found.p == 2 * 2 / 100
    assert difference(0.0, [0.0] * 9).p == 1.0


def test_false_alarms_under_no_difference_stay_near_the_level() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(200):
        first, second = rng.random(100) < 0.8, rng.random(100) < 0.8
        index = rng.integers(0, 100, size=(199, 100))
        draws = 100 * (first[index].mean(axis=1) - second[index].mean(axis=1))
        alarms += difference(100 * float(first.mean() - second.mean()), draws).p < 0.05
    assert 2 <= alarms <= 20


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
