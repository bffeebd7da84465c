"""GLUE's and SQuAD's metrics against scikit-learn, scipy, the official scripts' behaviour, and arithmetic by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, rankdata
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from tasks.metrics import classification as metrics

BITS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=30)


@given(BITS)
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_classification_metrics_are_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    prediction, label = np.array(pairs).T
    assert metrics.accuracy(prediction, label) == pytest.approx(100 * accuracy_score(label, prediction))
    assert metrics.f1(prediction, label) == pytest.approx(100 * f1_score(label, prediction, zero_division=0))
    assert metrics.matthews_correlation(prediction, label) == pytest.approx(100 * matthews_corrcoef(label, prediction))


def test_matthews_by_hand_and_of_a_constant_predictor() -> None:
    # 2 true positives, 1 true negative, 1 false positive, 1 false negative: (2 * 1 - 1 * 1) / sqrt(3 * 3 * 2 * 2)
    prediction, label = np.array([1, 1, 1, 0, 0]), np.array([1, 1, 0, 1, 0])
    assert metrics.matthews_correlation(prediction, label) == pytest.approx(100 / 6)
    assert metrics.matthews_correlation(np.ones(5, int), label) == 0


def test_spearman_shares_the_mean_rank_among_ties() -> None:
    prediction, label = np.array([1.0, 2, 2, 3, 5]), np.array([2.0, 1, 4, 4, 4])
    ranks = np.array([1, 2.5, 2.5, 4, 5]), np.array([2, 1, 4, 4, 4])
    assert [list(rankdata(prediction)), list(rankdata(label))] == [list(rank) for rank in ranks]
    assert metrics.spearman(prediction, label) == pytest.approx(100 * pearsonr(*ranks).statistic)
    assert metrics.pearson(prediction, label) == pytest.approx(100 * np.corrcoef(prediction, label)[0, 1])


def test_correlation_with_a_constant_is_no_correlation() -> None:
    assert metrics.pearson(np.full(4, 2.5), np.arange(4.0)) == 0
    assert metrics.spearman(np.arange(4.0), np.full(4, 2.5)) == 0
    assert metrics.pearson(np.array([1.0]), np.array([1.0])) == 0


@pytest.mark.parametrize("answer", [2.7, -2.7, 1e-6, 4e5, 0.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_correlation_with_a_constant_in_the_last_bits_of_float32_is_no_correlation(answer: float, dtype: type) -> None:
    """The least bits go with the labels, so without the rule the correlation would be near 1."""
    label = np.repeat(np.arange(6.0), 20)
    noisy = np.full(len(label), answer, np.float32)
    for step in range(5):
        noisy = np.where(label > step, np.nextafter(noisy, np.float32(np.inf)), noisy)
    prediction: metrics.Numbers = noisy.astype(dtype)
    if answer:  # zero's neighbours are no rounding of it
        assert np.ptp(prediction) > 0
        assert metrics.pearson(prediction, label) == metrics.spearman(prediction, label) == 0.0
        assert metrics.pearson(label, prediction) == metrics.spearman(label, prediction) == 0.0
        assert metrics.is_constant(prediction, label)
    assert metrics.is_constant(np.full(5, answer, dtype), np.arange(5.0))


@pytest.mark.parametrize("answers", [(np.inf, 1.0, 2.0), (-np.inf, np.inf, 1.0), (np.inf,) * 3, (np.nan, 1.0, 2.0)])
def test_predictions_that_are_not_finite_are_no_constant_answer(answers: tuple[float, ...]) -> None:
    """One infinite score made all others count as the same, and a broken run a correlation of 0."""
    prediction, label = np.array(answers), np.arange(3.0)
    assert not metrics.is_constant(prediction, label)
    assert np.isnan([metrics.pearson(prediction, label), metrics.spearman(prediction, label)]).all()


@pytest.mark.parametrize("spread", [1e-3, 1e-4])
def test_a_small_spread_that_is_no_rounding_is_a_correlation(spread: float) -> None:
    label = np.arange(50.0)
    prediction = (3 + spread * label / 50).astype(np.float32)
    assert metrics.pearson(prediction, label) > 99
    assert metrics.spearman(prediction, label) > 99
    assert not metrics.is_constant(prediction, label)


def test_rounding_noise_around_zero_is_one_answer() -> None:
    label = np.repeat(np.arange(6.0), 20)
    prediction = (1e-7 * np.random.default_rng(0).normal(size=len(label))).astype(np.float32)
    assert metrics.pearson(prediction, label) == metrics.spearman(prediction, label) == 0.0
    assert metrics.pearson(prediction, 1e-7 * label) != 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Beatles", "beatles"),
        ("a  cat,\tAN apple\n", "cat apple"),
        ("U.S.A.", "usa"),
        ("the-theatre", "thetheatre"),  # punctuation goes first, so no article is left to remove
        ("don't", "dont"),
        ("“quoted” dash…", "“quoted” dash…"),  # only ASCII punctuation goes
        ("ÉCOLE", "école"),
        ("the", ""),
        ("", ""),
        ("A's", "as"),
        ("$ 5 million!", "5 million"),
        ("non\u00a0breaking", "non breaking"),
    ],
)
def test_normalisation_is_the_official_scripts(text: str, expected: str) -> None:
    assert metrics.normalize_answer(text) == expected


def test_answers_are_scored_by_the_best_gold() -> None:
    golds = ["Denver Broncos", "The Denver Broncos", "Broncos of Denver, Colorado"]
    assert metrics.answer_exact("the  denver broncos!", golds) == 1
    assert metrics.answer_exact("Broncos", golds) == 0
    assert metrics.answer_f1("Broncos", golds) == pytest.approx(2 * 1 * 0.5 / 1.5)
    assert metrics.answer_f1("broncos broncos", ["broncos"]) == pytest.approx(2 * 0.5 * 1 / 1.5)  # a bag, not a set
    assert metrics.answer_f1("cat", golds) == 0


def test_empty_answers_differ_between_the_two_scripts() -> None:
    assert metrics.answer_exact("the", ["a"]) == 1
    assert metrics.answer_f1("the", ["a"]) == 0  # v1.1: no common token
    assert metrics.answer_f1("the", ["a"], empty_counts=True) == 1  # v2.0: both empty
    assert metrics.answer_f1("", ["cat"], empty_counts=True) == 0
    assert metrics.answer_f1("", ["cat", ""], empty_counts=True) == 1


def test_no_examples_score_nothing() -> None:
    assert metrics.accuracy(np.array([]), np.array([])) == 0
    assert metrics.mean(np.array([])) == 0
