"""Divergence, cross-entropy and entropy against hand-computed values, torch, and the same without masked positions."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from criteria.regularizers.soft_targets import (
    classes,
    cross_entropy,
    divergence,
    entropy,
    is_regression,
    log_probabilities,
    squared_distance,
)

LOWEST = torch.finfo(torch.float32).min


def logits_of(*probabilities: float) -> Tensor:
    return torch.tensor([probabilities]).log()


def draw(seed: int, shape: tuple[int, int], scale: float = 3.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_by_hand() -> None:
    half, quarter = logits_of(0.5, 0.5), logits_of(0.25, 0.75)
    assert entropy(half).item() == pytest.approx(math.log(2))
    assert cross_entropy(quarter, half).item() == pytest.approx(-0.5 * math.log(0.25) - 0.5 * math.log(0.75))
    assert divergence(quarter, half).item() == pytest.approx(0.5 * math.log(4 / 3))
    assert divergence(half, quarter).item() == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5))


def test_temperature_by_hand() -> None:
    # softmax([0, 2 ln 3] / 2) = [1/4, 3/4]
    student, teacher = torch.zeros(1, 2), torch.tensor([[0.0, 2 * math.log(3)]])
    assert cross_entropy(student, teacher, 2.0).item() == pytest.approx(math.log(2))
    assert divergence(student, teacher, 2.0).item() == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5))


@settings(deadline=None)
@given(seed=st.integers(0, 999), temperature=st.floats(0.5, 5))
def test_agrees_with_torch(seed: int, temperature: float) -> None:
    z, target = draw(seed, (4, 5)), draw(seed + 1000, (4, 5))
    log_p, log_q = (F.log_softmax(x / temperature, dim=-1) for x in (z, target))
    reference = F.kl_div(log_p, log_q, log_target=True, reduction="none").sum(-1)
    torch.testing.assert_close(divergence(z, target, temperature), reference)
    soft = F.cross_entropy(z / temperature, log_q.exp(), reduction="none")
    torch.testing.assert_close(cross_entropy(z, target, temperature), soft)
    torch.testing.assert_close(entropy(z), torch.distributions.Categorical(logits=z).entropy())
    assert (divergence(z, target, temperature) >= -1e-6).all()


@pytest.mark.parametrize("low", [-1e4, -1e9, LOWEST])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 500.0])
def test_masked_positions_count_for_nothing(low: float, temperature: float) -> None:
    z, target = draw(1, (3, 4)), draw(2, (3, 4))
    low_column = torch.full((3, 2), low)
    wide = torch.cat([z, low_column], dim=1).requires_grad_()
    wide_target = torch.cat([target, low_column], dim=1)
    for function in (cross_entropy, divergence):
        torch.testing.assert_close(function(wide, wide_target, temperature), function(z, target, temperature))
        (gradient,) = torch.autograd.grad(function(wide, wide_target, temperature).sum(), wide)
        assert torch.isfinite(gradient).all()
        assert not gradient[:, 4:].any()
    torch.testing.assert_close(entropy(wide), entropy(z))
    assert classes(wide).tolist() == [4.0, 4.0, 4.0]
    assert torch.isfinite(log_probabilities(wide, temperature)).all()


@pytest.mark.parametrize("scale", [0.0, 1.0, 1000.0])
def test_certain_and_undecided_stay_finite(scale: float) -> None:
    z = (scale * torch.tensor([[1.0, 0.0, -1.0], [0.0, 0.0, 0.0]])).requires_grad_()
    target = scale * torch.tensor([[-1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    total = (cross_entropy(z, target) + divergence(z, target) + entropy(z)).sum()
    (gradient,) = torch.autograd.grad(total, z)
    assert torch.isfinite(total)
    assert torch.isfinite(gradient).all()


def test_one_column_is_regression() -> None:
    assert is_regression(torch.zeros(3, 1))
    assert not is_regression(torch.zeros(3, 2))
    assert squared_distance(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [2.0]])).tolist() == [4.0, 0.0]


def test_classes_is_never_zero() -> None:
    assert classes(torch.full((1, 3), LOWEST)).item() == 1.0
