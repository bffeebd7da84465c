"""Intervals over seeds, exact paired tests, and what few seeds cannot show."""

import numpy as np
import pytest
from scipy import stats

from benchmark.report.statistics.intervals import bootstrap_interval, sd, t_interval
from benchmark.report.statistics.paired import StatisticsError
from benchmark.report.statistics.seeds import cautions, minimum_detectable_difference, sign_flip, smallest_p


def test_t_interval_agrees_with_scipy() -> None:
    values = [80.1, 81.3, 79.9, 82.0, 80.7]
    low, high = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert t_interval(values) == pytest.approx((low, high))


def test_one_value_has_no_spread() -> None:
    assert np.isnan(sd([80.0]))
    assert np.isnan(t_interval([80.0])).all()
    assert np.isnan(bootstrap_interval([80.0], np.random.default_rng(0))).all()


def test_bootstrap_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(1).normal(80, 2, size=30)
    mine = bootstrap_interval(values, np.random.default_rng(0))
    theirs = stats.bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(0)).confidence_interval
    assert mine == pytest.approx((theirs.low, theirs.high), abs=0.1)


def test_five_pairs_that_all_agree_reach_one_sixteenth_and_no_less() -> None:
    found = sign_flip([2, 3, 4, 5, 6], [1, 1, 1, 1, 1])
    assert found.p == found.smallest_p == 0.0625
    assert stats.wilcoxon([1, 2, 3, 4, 5]).pvalue == 0.0625
    assert smallest_p(1) == 1.0
    assert smallest_p(6) < 0.05


def test_sign_flip_agrees_with_scipys_permutation_test() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=8), rng.normal(0.5, 1, size=8)
    theirs = stats.permutation_test(
        (first, second), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=256
    )
    assert sign_flip(first, second).p == pytest.approx(theirs.pvalue)


def test_sign_flip_of_equal_seeds_is_one_and_too_many_pairs_are_refused() -> None:
    assert sign_flip([1.0, 2.0], [1.0, 2.0]).p == 1.0
    with pytest.raises(StatisticsError, match="found 21"):
        sign_flip(range(21), range(21))


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
