"""`principled` by hand, its ablations, and the 0-1 program that it solves, against scipy's solver."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp
from torch import Tensor

from criteria.base import Step
from criteria.principled import Principled
from criteria.sensitivity import Sensitivity
from tests.criteria.helpers import Network, generator, matrix, observed

WEIGHT = matrix([1.0, -2.0], [0.0, 4.0])
GRAD = matrix([2.0, 1.0], [-3.0, 0.0])


def test_one_step_by_hand() -> None:
    """S = -g (theta - eta g) with eta = 0.1: -2 (1 - .2), -1 (-2 - .1), 3 (0 + .3), 0."""
    signed = observed(Principled(signed=True, smooth=False), WEIGHT, GRAD, lr=0.1)
    torch.testing.assert_close(signed, matrix([-1.6, 2.1], [0.9, 0.0]))
    torch.testing.assert_close(observed(Principled(smooth=False), WEIGHT, GRAD, lr=0.1), signed.abs())


def test_without_the_lr_term_by_hand() -> None:
    signed = observed(Principled(signed=True, smooth=False, lr_term=False), WEIGHT, GRAD)
    torch.testing.assert_close(signed, matrix([-2.0, 2.0], [0.0, 0.0]))


def test_two_windows_by_hand() -> None:
    """As for sensitivity: windows of one step and betas of one half give I^2 / 8."""
    score = observed(Principled(beta1=0.5, beta2=0.5, window=1), WEIGHT, GRAD, GRAD, lr=0.1)
    torch.testing.assert_close(score, matrix([1.6, 2.1], [0.9, 0.0]).square() / 8)


def test_without_the_lr_term_it_is_sensitivity() -> None:
    g = generator()
    grads = [torch.randn(2, 2, generator=g) for _ in range(9)]
    torch.testing.assert_close(
        observed(Principled(window=3, lr_term=False), WEIGHT, *grads), observed(Sensitivity(window=3), WEIGHT, *grads)
    )


def kept_by_solver(weight: Tensor, grad: Tensor, lr: float, kept: int) -> tuple[set[int], float]:
    """The optimum of min sum m_i (g_i theta_i - eta g_i^2), sum m_i = K, m binary: its set and its value."""
    theta, g = weight.double().numpy(), grad.double().numpy()
    cost = g * theta - lr * g**2
    count = LinearConstraint(np.ones((1, len(cost))), kept, kept)
    answer = milp(cost, constraints=count, integrality=np.ones(len(cost), dtype=int), bounds=Bounds(0, 1))
    assert answer.success
    return set(np.flatnonzero(answer.x > 0.5).tolist()), float(answer.fun)


@settings(max_examples=40, deadline=None)
@given(size=st.integers(2, 24), share=st.floats(0, 1), lr=st.floats(1e-5, 0.5), seed=st.integers(0, 10_000))
@pytest.mark.parametrize("smooth", [True, False])
def test_signed_keeps_the_optimum_of_the_integer_program(
    smooth: bool, size: int, share: float, lr: float, seed: int
) -> None:
    g = generator(seed)
    weight, grad = torch.randn(size, generator=g), torch.randn(size, generator=g)
    kept = min(size, round(share * size))
    score = observed(Principled(signed=True, smooth=smooth), weight, grad, lr=lr)
    ours = set(score.argsort(descending=True, stable=True)[:kept].tolist())
    assert ours == kept_by_solver(weight, grad, lr, kept)[0]


def test_the_program_is_the_first_order_model_of_the_loss() -> None:
    """For small steps, pruning the updated weight i costs S_i: checked by pruning each one of a real network."""
    network = Network()
    weight, lr = network.w1 * 1e-3, 1e-4
    grad = network.grad(weight)
    score = observed(Principled(signed=True, smooth=False), weight, grad, lr=lr)
    after = weight - lr * grad
    for index in range(weight.numel()):
        pruned = after.clone().view(-1)
        pruned[index] = 0
        # evaluated in double precision: the differences are of the order of 1e-4
        network64 = Network().double()
        network64.w1, network64.w2, network64.x, network64.y = (
            t.double() for t in (network.w1, network.w2, network.x, network.y)
        )
        rise = network64.loss(pruned.view_as(weight).double()) - network64.loss(after.double())
        assert float(rise) == pytest.approx(float(score.view(-1)[index]), rel=0.05, abs=2e-6)


def test_zero_weights_are_told_apart_by_the_lr_term_alone() -> None:
    zeros = torch.zeros(2, 2)
    assert observed(Principled(smooth=False, lr_term=False), zeros, GRAD).count_nonzero() == 0
    torch.testing.assert_close(observed(Principled(smooth=False), zeros, GRAD, lr=0.1), 0.1 * GRAD.square())


@pytest.mark.parametrize("options", [{"beta1": -0.1}, {"beta2": 2.0}, {"window": 0}])
def test_options_outside_their_ranges_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Principled(**options)  # type: ignore[arg-type]


# Where it agrees with sensitivity, and where a choice of beta2 shows.


def kept_after(criterion: Principled | Sensitivity, steps: int, lr: float, scale: float = 1.0) -> Tensor:
    """The tenth of 1000 weights that is kept after gradients of norm `scale`, the weights as in a pretrained matrix (spread 0.05)."""
    draws = generator(3)
    weight = 0.05 * torch.randn(1000, generator=draws)
    sizes = torch.rand(1000, generator=draws)
    state = criterion.init(weight, generator())
    for index in range(steps):
        grad = torch.randn(1000, generator=draws) * sizes
        criterion.observe(state, weight, grad * scale / grad.norm(), Step(index, steps, lr))
    kept = torch.zeros(1000, dtype=torch.bool)
    kept[criterion.score(state, weight).topk(100).indices] = True
    return kept


def shared(one: Tensor, other: Tensor) -> int:
    return int((one & other).sum())


@pytest.mark.parametrize(("lr", "least", "most"), [(1e-5, 99, 100), (2e-4, 99, 100), (1.0, 0, 90), (100.0, 0, 60)])
def test_it_keeps_what_sensitivity_keeps_unless_eta_g_is_as_large_as_theta(lr: float, least: int, most: int) -> None:
    """eta |g| / |theta| is about 1e-5 and below for the rates of fine-tuning; for a rate of 1 it is about 1."""
    assert least <= shared(kept_after(Principled(), 100, lr), kept_after(Sensitivity(), 100, lr)) <= most


def test_in_a_short_run_no_choice_of_beta2_near_one_shows() -> None:
    """After 11 windows .99 and .999 keep nearly the same weights, where .5 has left its burn-in and keeps others."""
    near, nearer, far = (kept_after(Sensitivity(beta2=beta2), 120, 1e-4) for beta2 in (0.99, 0.999, 0.5))
    assert shared(near, nearer) >= 98
    assert shared(near, far) < shared(near, nearer) - 3
