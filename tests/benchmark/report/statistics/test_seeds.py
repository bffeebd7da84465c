"""Intervals over seeds, and what few seeds cannot show."""

import numpy as np
import pytest
from scipy import stats

from benchmark.report.statistics.intervals import sd, t_interval
from benchmark.report.statistics.seeds import cautions, minimum_detectable_difference, paired_sd, smallest_p


def test_t_interval_agrees_with_scipy() -> None:
    values = [80.1, 81.3, 79.9, 82.0, 80.7]
    low, high = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert t_interval(values) == pytest.approx((low, high))


@pytest.mark.parametrize("seeds", [3, 5])
def test_the_t_interval_of_few_normal_seeds_leaves_out_the_truth_one_time_in_twenty(seeds: int) -> None:
    """1000 simulations leave a standard error of 0.7 points."""
    intervals = np.array([t_interval(scores) for scores in np.random.default_rng(0).normal(size=(1000, seeds))])
    assert 0.93 <= ((intervals[:, 0] <= 0) & (intervals[:, 1] >= 0)).mean() <= 0.97


def test_one_value_has_no_spread() -> None:
    assert np.isnan(sd([80.0]))
    assert np.isnan(t_interval([80.0])).all()


def test_five_pairs_that_all_agree_reach_one_sixteenth_and_no_less() -> None:
    assert smallest_p(5) == stats.wilcoxon([1, 2, 3, 4, 5]).pvalue == 0.0625
    assert smallest_p(1) == 1.0
    assert smallest_p(6) < 0.05


def test_minimum_detectable_difference_agrees_with_statsmodels() -> None:
    power = pytest.importorskip("statsmodels.stats.power", reason="statsmodels is not installed")
    effect = power.TTestPower().solve_power(effect_size=None, alpha=0.05, power=0.8, nobs=5)
    assert minimum_detectable_difference(2.0, 5) == pytest.approx(2.0 * effect, rel=1e-4)


QUIET = [[80.0, 81.0, 82.0], [79.0, 80.2, 80.9], [78.0, 79.1, 79.8], [77.0, 78.3, 79.1]]


@pytest.mark.parametrize(
    "other", [[10.0, 70.0, 40.0], [50.0, 50.0, 50.0], [81.0, 82.0, 83.0]], ids=["wild", "floor", "moves along"]
)
def test_the_spread_of_differences_is_that_of_the_usual_pair(other: list[float]) -> None:
    quiet = np.array(QUIET)
    pairs = [float((quiet[i] - quiet[j]).std(ddof=1)) for i in range(4) for j in range(i)]
    assert paired_sd(quiet) == pytest.approx(np.median(pairs))
    assert paired_sd([*QUIET, other]) < 1.1  # pooled, the wild row alone would make it 19


def test_pairs_that_show_no_spread_do_not_count_unless_all_do() -> None:
    same = [80.0, 81.0, 82.0]
    assert paired_sd([same, [value - 3 for value in same]]) == 0.0
    assert paired_sd([same, [value - 3 for value in same], [79.0, 81.0, 83.0]]) == pytest.approx(1.0)
    assert np.isnan(paired_sd([same]))
    assert np.isnan(paired_sd([[80.0], [81.0]]))


@pytest.mark.parametrize("seeds", [3, 5])
def test_the_smallest_detectable_difference_is_found_four_times_in_five(seeds: int) -> None:
    """By scipy's t test; 20000 simulations leave a standard error of 0.3 points."""
    shift = minimum_detectable_difference(2.0, seeds)
    differences = np.random.default_rng(0).normal(shift, 2.0, size=(20_000, seeds))
    found = stats.ttest_1samp(differences, 0.0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.012)


def test_more_runs_detect_smaller_differences() -> None:
    found = [minimum_detectable_difference(1.0, n) for n in (2, 3, 5, 10, 100)]
    assert found == sorted(found, reverse=True)
    assert np.isnan(minimum_detectable_difference(1.0, 1))
    assert minimum_detectable_difference(0.0, 3) == 0.0


def test_cautions_say_what_few_seeds_cannot_show() -> None:
    assert "seed noise" in cautions(1)[0]
    assert any("p = 0.0625" in text for text in cautions(5))
    assert any("6.3 times" in text and "too narrow" in text for text in cautions(3))
    assert cautions(10) == []
