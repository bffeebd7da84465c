"""Intervals over seeds, and what few seeds cannot show."""

import numpy as np
import pytest
from scipy import stats

from benchmark.report.statistics.intervals import sd, t_interval
from benchmark.report.statistics.seeds import cautions, minimum_detectable_difference, smallest_p


def test_t_interval_agrees_with_scipy() -> None:
    values = [80.1, 81.3, 79.9, 82.0, 80.7]
    low, high = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert t_interval(values) == pytest.approx((low, high))


def test_one_value_has_no_spread() -> None:
    assert np.isnan(sd([80.0]))
    assert np.isnan(t_interval([80.0])).all()


def test_five_pairs_that_all_agree_reach_one_sixteenth_and_no_less() -> None:
    assert smallest_p(5) == stats.wilcoxon([1, 2, 3, 4, 5]).pvalue == 0.0625
    assert smallest_p(1) == 1.0
    assert smallest_p(6) < 0.05


@pytest.mark.parametrize("paired", [True, False])
def test_minimum_detectable_difference_agrees_with_statsmodels(paired: bool) -> None:
    power = pytest.importorskip("statsmodels.stats.power", reason="statsmodels is not installed")
    solver = power.TTestPower() if paired else power.TTestIndPower()
    size = {"nobs": 5} if paired else {"nobs1": 5, "ratio": 1.0}
    effect = solver.solve_power(effect_size=None, alpha=0.05, power=0.8, **size)
    assert minimum_detectable_difference(2.0, 5, paired=paired) == pytest.approx(2.0 * effect, rel=1e-4)


def test_more_runs_detect_smaller_differences() -> None:
    found = [minimum_detectable_difference(1.0, n) for n in (2, 3, 5, 10, 100)]
    assert found == sorted(found, reverse=True)
    assert np.isnan(minimum_detectable_difference(1.0, 1))
    assert minimum_detectable_difference(0.0, 3) == 0.0


def test_cautions_say_what_few_seeds_cannot_show() -> None:
    assert "seed noise" in cautions(1, 20)[0]
    assert any("p = 0.0625" in text for text in cautions(5, 20))
    assert any("Wilcoxon" in text for text in cautions(6, 4))
    assert any("6.3 times" in text for text in cautions(3, 20))
    assert cautions(10, 20) == []
