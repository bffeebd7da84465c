"""Holm, Wilcoxon, Friedman, critical differences and ranks: known answers and other people's implementations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmark.report.statistics.aggregates import mean_ranks, rank_intervals
from benchmark.report.statistics.intervals import Floats
from benchmark.report.statistics.multiple import (
    against_the_best,
    critical_difference,
    friedman,
    holm,
    inseparable,
    smallest_friedman_p,
    step_down,
    studentised,
    wilcoxon,
)


@pytest.fixture(scope="module")
def scores() -> Floats:
    """Four methods, twelve cells; the first best, the last worst."""
    rng = np.random.default_rng(0)
    return np.asarray(rng.normal(80, 1, size=(4, 12)) + np.array([[2.0], [1.0], [0.5], [0.0]]))


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]).tolist() == []
    assert np.isnan(holm([np.nan, 0.5])).tolist() == [True, False]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_keeps_the_order_and_never_lowers_a_p(p: list[float]) -> None:
    adjusted = holm(p)
    assert np.all(adjusted >= np.array(p) - 1e-12)
    assert np.all(adjusted <= 1)
    assert np.all(np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0)


def test_holm_agrees_with_statsmodels() -> None:
    tests = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels is not installed")
    p = np.random.default_rng(0).random(15)
    assert holm(p) == pytest.approx(tests.multipletests(p, method="holm")[1])


def test_wilcoxon_drops_equal_cells() -> None:
    found = wilcoxon([1, 2, 3, 4, 5, 6, 7], [0, 0, 0, 0, 0, 0, 7])
    assert found.median == 3
    assert found.p == pytest.approx(2 / 2**6)
    assert wilcoxon([1, 2], [1, 2]) == (0.0, 1.0)


@pytest.mark.parametrize("cells", [2, 7, 20])
def test_means_of_the_same_scores_in_another_order_are_equal(cells: int) -> None:
    """.1 + .2 + .3 is above .3 + .2 + .1: over seven cells that alone had p = 0.016."""
    runs = np.array([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1], [0.2, 0.3, 0.1]])
    scores = runs[:, None, :] * 2.0 ** np.arange(cells)[:, None]
    means = scores.mean(axis=2)
    assert (means[0] > means[1]).all()
    assert wilcoxon(means[0], means[1]) == (0.0, 1.0)
    assert mean_ranks(means).tolist() == [2, 2, 2]
    assert friedman(means) == 1.0
    found = rank_intervals(means[:, :, None], np.random.default_rng(0), 50)
    assert found.low.tolist() == found.high.tolist() == [2, 2, 2]


def test_friedman_agrees_with_scipy_and_copes_with_no_difference(scores: Floats) -> None:
    assert friedman(scores) == pytest.approx(stats.friedmanchisquare(*scores).pvalue)
    assert friedman(np.ones((3, 4))) == 1.0


def test_critical_difference_and_ranks_agree_with_autorank(scores: Floats) -> None:
    module = pytest.importorskip("autorank", reason="autorank is not installed")
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame(scores.T, columns=list("abcd"))
    found = module.autorank(frame, alpha=0.05, verbose=False, force_mode="nonparametric")
    assert critical_difference(4, 12) == pytest.approx(found.cd, rel=1e-3)
    assert mean_ranks(scores) == pytest.approx(found.rankdf.loc[list("abcd"), "meanrank"].to_numpy())


def test_critical_difference_of_demsars_table() -> None:
    assert critical_difference(5, 30) == pytest.approx(2.728 * np.sqrt(5 * 6 / (6 * 30)), rel=1e-3)


@pytest.mark.parametrize(("methods", "cells"), [(3, 2), (3, 4), (7, 2), (5, 6)])
def test_no_scores_give_friedman_a_smaller_p(methods: int, cells: int) -> None:
    alike = np.arange(methods, dtype=float)[:, None] + np.zeros(cells)
    assert friedman(alike) == pytest.approx(smallest_friedman_p(methods, cells))


def test_inseparable_groups_by_hand() -> None:
    assert inseparable([1.0, 4.0, 2.0, 2.5], 1.2) == [(0, 2), (2, 3)]
    assert inseparable([1.0, 4.0], 1.0) == []
    assert inseparable([1.0, 2.0, 3.0], 5.0) == [(0, 1, 2)]


def test_step_down_by_hand() -> None:
    """Two statistics, four draws: the larger against the maxima 3, 2, 1, 5, the smaller against its own draws alone."""
    centred = np.array([[3.0, 0.0], [1.0, 2.0], [0.0, 1.0], [1.0, 5.0]])
    assert step_down([4.0, 1.5], centred) == pytest.approx([2 / 5, 3 / 5])
    assert step_down([1.5, 4.0], centred[:, ::-1]) == pytest.approx([3 / 5, 2 / 5])
    assert step_down([9.0, 9.0], centred) == pytest.approx([1 / 5, 1 / 5])


@pytest.mark.parametrize("members", [2, 40, 400])
def test_a_large_difference_is_found_in_a_family_of_any_size(members: int) -> None:
    rng = np.random.default_rng(0)
    centred = rng.normal(size=(200, members))
    p = step_down(np.r_[50.0, np.zeros(members - 1)], centred)
    assert p[0] == pytest.approx(1 / 201)
    assert (p[1:] > 0.4).all()
    assert holm(np.r_[1 / 201, np.ones(members - 1)])[0] == pytest.approx(min(1.0, members / 201))  # what it was before


def simulated(rates: list[float], runs: int, items: int = 150, draws: int = 199) -> tuple[Floats, Floats]:
    """Share of simulations in which each row is called worse than the best, and that in which any of the best ones is."""
    rng = np.random.default_rng(5)
    rejected = np.zeros((runs, len(rates)), bool)
    for run in range(runs):
        hard = rng.normal(size=(items, 1))  # some items are hard for every row
        cut = stats.norm.ppf(rates) * np.sqrt(2)
        right = (hard + rng.normal(size=(items, len(rates))) < cut).astype(float)
        counts = rng.multinomial(items, np.full(items, 1 / items), size=draws)
        observed, centred = against_the_best(right.mean(axis=0), counts @ right / items)
        rejected[run] = step_down(observed, centred) < 0.05
    best = np.array(rates) == max(rates)
    return rejected.mean(axis=0), np.asarray(rejected[:, best].any(axis=1).mean())


@pytest.mark.parametrize(
    "rates", [[0.8] * 6, [0.8, 0.8], [0.8, 0.8, 0.8, 0.5, 0.5, 0.5]], ids=["six alike", "two alike", "three of six"]
)
def test_the_error_of_the_family_is_its_level(rates: list[float]) -> None:
    """A best row is called worse than the best in about 5 % of simulations (1500 of six rows alike gave 6.3 % on 150 items,
    5.0 % on 870); 400 leave two standard errors of 2.4 points."""
    _, error = simulated(rates, 400)
    assert 0.01 <= error <= 0.09


def test_what_is_far_from_the_best_is_told_apart() -> None:
    power, error = simulated([0.8, 0.79, 0.5], 100)
    assert power[2] == 1.0
    assert power[1] < 0.3
    assert error <= 0.1


def test_equal_predictions_do_not_differ_and_a_fixed_gap_does() -> None:
    assert studentised(0.0, np.zeros(9))[0] == 0.0
    assert studentised(-1.0, np.full(9, -1.0))[0] == -np.inf
    observed, centred = against_the_best([70.0, 70.0, 60.0], np.tile([70.0, 70.0, 60.0], (99, 1)))
    assert step_down(observed, centred).tolist() == [1.0, 1.0, 0.01]
