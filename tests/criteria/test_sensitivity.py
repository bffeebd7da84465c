"""`sensitivity` by hand, its ablations, and the smoothing it shares with `principled`."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from criteria.sensitivity import Sensitivity
from tests.criteria.helpers import generator, matrix, observed, start

WEIGHT = matrix([1.0, -2.0], [0.0, 4.0])
ONES = torch.ones(2, 2)


def reference(importances: list[Tensor], beta1: float, beta2: float, window: int) -> Tensor:
    """A U as the paper writes it, in double precision and without any tricks."""
    mean = average = uncertainty = torch.zeros_like(importances[0], dtype=torch.float64)
    for index, importance in enumerate(importances):
        k = index % window
        if k == 0:
            average = beta1 * average + (1 - beta1) * mean
            uncertainty = beta2 * uncertainty + (1 - beta2) * (mean - average).abs()
            mean = importance.double()
        else:
            mean = (mean * k + importance.double()) / (k + 1)
    return average * uncertainty


def test_two_windows_by_hand() -> None:
    """Windows of one step, |theta g| = 1, 2, 0, 4 each time: A = 1/2 I, U = 1/2 (I - A) = 1/4 I, so A U = I^2 / 8."""
    criterion = Sensitivity(beta1=0.5, beta2=0.5, window=1)
    assert observed(criterion, WEIGHT, ONES, ONES).tolist() == [[0.125, 0.5], [0, 2]]


def test_window_mean_by_hand() -> None:
    """A window of gradients 1 and 3 has mean 2 |theta|; with beta1 = 0 and no uncertainty that is the score."""
    criterion = Sensitivity(beta1=0, window=2, uncertainty=False)
    assert observed(criterion, WEIGHT, ONES, 3 * ONES, ONES).tolist() == [[2, 4], [0, 8]]


def test_beta2_of_one_is_no_uncertainty() -> None:
    grads = [torch.randn(2, 2, generator=generator(seed)) for seed in range(7)]
    without = observed(Sensitivity(window=2, uncertainty=False), WEIGHT, *grads)
    assert torch.equal(observed(Sensitivity(window=2, beta2=1), WEIGHT, *grads), without)


def test_without_smoothing_it_is_the_last_sensitivity() -> None:
    criterion = Sensitivity(smooth=False)
    assert observed(criterion, WEIGHT, ONES, -3 * ONES).tolist() == [[3, 6], [0, 12]]
    assert set(start(criterion, WEIGHT)) == {"M", "seen"}


def test_before_the_first_window_closes_the_running_mean_ranks() -> None:
    assert torch.equal(observed(Sensitivity(), WEIGHT), WEIGHT.abs())
    early = observed(Sensitivity(), WEIGHT, ONES, 2 * ONES)
    assert torch.equal(early.argsort(stable=True), WEIGHT.abs().argsort(stable=True))
    assert 0 < early.max() < 1e-18, "the published score is 0 there"


def test_state_is_three_numbers_a_weight() -> None:
    state = start(Sensitivity(), torch.zeros(10, 10))
    assert sum(tensor.numel() for tensor in state.values()) == 300 + 2


@given(
    beta1=st.floats(0, 0.99),
    beta2=st.floats(0, 0.99),
    window=st.integers(1, 4),
    steps=st.integers(5, 13),
    seed=st.integers(0, 99),
)
def test_any_options_match_the_plain_formula(beta1: float, beta2: float, window: int, steps: int, seed: int) -> None:
    g = generator(seed)
    weight = torch.randn(3, 5, generator=g)
    grads = [torch.randn(3, 5, generator=g) for _ in range(steps)]
    actual = observed(Sensitivity(beta1, beta2, window), weight, *grads)
    expected = reference([(weight * grad).abs() for grad in grads], beta1, beta2, window)
    torch.testing.assert_close(actual.double(), expected, rtol=1e-4, atol=5e-6)


def test_long_vectors_are_walked_in_blocks_without_seams() -> None:
    """A vector longer than a block gets the scores of its pieces."""
    g = generator()
    weight, grads = torch.randn(300_000, generator=g), [torch.randn(300_000, generator=g) for _ in range(3)]
    whole = observed(Sensitivity(window=2), weight, *grads)
    pieces = [
        observed(Sensitivity(window=2), *parts)
        for parts in zip(weight.split(70_001), *(x.split(70_001) for x in grads), strict=True)
    ]
    torch.testing.assert_close(whole, torch.cat(pieces))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta1": 1.0}, r"beta1=1.0 is not in \[0, 1\)"),
        ({"beta2": 1.5}, r"beta2=1.5 is not in \[0, 1\]"),
        ({"beta2": float("nan")}, "beta2=nan: expected a finite number"),
        ({"window": 0}, "window=0 is below 1"),
    ],
)
def test_options_outside_their_ranges_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sensitivity(**options)  # type: ignore[arg-type]
