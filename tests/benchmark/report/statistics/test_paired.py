"""Paired tests over items: hand-made outcomes, known answers, and how often they cry wolf."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.report.statistics.paired import (
    Outcomes,
    StatisticsError,
    difference,
    drawn_items,
    mcnemar,
    paired_bootstrap,
    resampled,
)


def accuracy(outcomes: Outcomes) -> float:
    """Percent right."""
    return 100 * float(np.mean(outcomes["correct"]))


def run(*correct: int) -> Outcomes:
    """Outcomes of one run."""
    return {"correct": np.array(correct, dtype=bool)}


def test_mcnemar_by_hand() -> None:
    first = [1] * 10 + [0] * 2 + [1] * 30
    second = [0] * 10 + [1] * 2 + [1] * 30
    found = mcnemar(first, second)
    assert found[:2] == (10, 2)
    assert found.p == pytest.approx(2 * (1 + 12 + 66) / 2**12)


def test_mcnemar_of_equal_models_is_one() -> None:
    assert mcnemar([1, 0, 1], [1, 0, 1]).p == 1.0


def test_mcnemar_agrees_with_statsmodels() -> None:
    tables = pytest.importorskip("statsmodels.stats.contingency_tables", reason="statsmodels is not installed")
    rng = np.random.default_rng(0)
    first, second = rng.random(200) < 0.8, rng.random(200) < 0.7
    table = [[np.sum(first & second), np.sum(first & ~second)], [np.sum(~first & second), np.sum(~first & ~second)]]
    assert mcnemar(first, second).p == pytest.approx(tables.mcnemar(table, exact=True).pvalue)


def test_a_resample_scores_the_drawn_items() -> None:
    index = np.array([[0, 0, 0], [2, 2, 1]])
    assert resampled(run(1, 0, 0), accuracy, index).tolist() == [100.0, 0.0]


def test_p_and_interval_of_a_difference_by_hand() -> None:
    found = difference(1.5, [-1.0, *[1.0] * 98])
    assert found.difference == 1.5
    assert found.p == 2 * 2 / 100
    assert difference(0.0, [0.0] * 9).p == 1.0


def test_a_clear_difference_is_found_and_equal_models_are_not_told_apart() -> None:
    rng = np.random.default_rng(0)
    right = run(*[1] * 90, *[0] * 10)
    wrong = run(*[1] * 60, *[0] * 40)
    found = paired_bootstrap([right], [wrong], accuracy, rng)
    assert found.difference == pytest.approx(30.0)
    assert 20 < found.low < 30 < found.high < 40
    assert found.p == pytest.approx(2 / 1001)
    assert paired_bootstrap([right], [right], accuracy, rng).p == 1.0


def test_several_seeds_are_averaged_over_the_same_items() -> None:
    rng = np.random.default_rng(0)
    found = paired_bootstrap([run(1, 1, 0, 0), run(1, 1, 1, 1)], [run(1, 0, 0, 0)], accuracy, rng)
    assert found.difference == pytest.approx(75 - 25)


def test_swapping_sides_mirrors_the_result() -> None:
    first, second = run(*[1] * 30, *[0] * 10), run(*[1] * 25, *[0] * 15)
    one = paired_bootstrap([first], [second], accuracy, np.random.default_rng(1))
    other = paired_bootstrap([second], [first], accuracy, np.random.default_rng(1))
    assert one.p == other.p
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_false_alarms_under_no_difference_stay_near_the_level() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(200):
        first, second = rng.random(100) < 0.8, rng.random(100) < 0.8
        index = drawn_items(100, 199, rng)
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
        paired_bootstrap([run(1, 0)], [other], accuracy, np.random.default_rng(0))


def test_other_labels_are_other_items() -> None:
    first = {"prediction": np.array([1, 0]), "label": np.array([1, 0])}
    second = {"prediction": np.array([1, 0]), "label": np.array([0, 1])}
    with pytest.raises(StatisticsError, match="labels differ"):
        paired_bootstrap([first], [second], accuracy, np.random.default_rng(0))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_mcnemar_is_symmetric_and_a_probability(pairs: list[tuple[bool, bool]]) -> None:
    first, second = zip(*pairs, strict=True)
    one, other = mcnemar(first, second), mcnemar(second, first)
    assert one.p == pytest.approx(other.p)
    assert 0 < one.p <= 1
