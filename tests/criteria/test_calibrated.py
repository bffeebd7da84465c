"""`grasp`, `fisher` and `wanda`: by hand, and against torch.autograd.functional.hvp and torch.func."""

import torch

from criteria.base import Criterion
from criteria.fisher import Fisher
from criteria.grasp import Grasp
from criteria.wanda import Wanda
from tests.criteria.helpers import Network, matrix, start

WEIGHT = matrix([1.0, -2.0], [0.0, 4.0])


def test_grasp_by_hand() -> None:
    """Two batches' products are averaged: theta (H g)."""
    criterion = Grasp()
    state = start(criterion, WEIGHT)
    criterion.begin_calibration(state, WEIGHT)
    criterion.observe_hessian(state, WEIGHT, WEIGHT, matrix([1.0, 2.0], [3.0, 1.0]))
    criterion.observe_hessian(state, WEIGHT, WEIGHT, matrix([3.0, 2.0], [3.0, -2.0]))
    assert criterion.score(state, WEIGHT).tolist() == [[2, -4], [0, -2]]


def test_grasp_is_the_drop_in_gradient_flow() -> None:
    """2 theta_i (H g)_i is minus the derivative of |g|^2 as theta_i shrinks to (1 - t) theta_i; H g by autograd's hvp."""
    network = Network()
    grad = network.grad(network.w1)
    _, product = torch.autograd.functional.hvp(network.loss, network.w1, grad)
    criterion = Grasp()
    state = start(criterion, network.w1)
    criterion.observe_hessian(state, network.w1, grad, product)
    score = criterion.score(state, network.w1)
    for index in range(score.numel()):
        shrunk = network.w1.clone().view(-1)
        shrunk[index] *= 1 - 1e-2
        grown = network.w1.clone().view(-1)
        grown[index] *= 1 + 1e-2
        flows = [network.grad(w.view_as(network.w1)).square().sum() for w in (grown, shrunk)]
        torch.testing.assert_close((flows[0] - flows[1]) / 2e-2, 2 * score.view(-1)[index], rtol=2e-2, atol=2e-3)


def test_fisher_by_hand() -> None:
    """Squares 1 and 9 average to 5: 1/2 * 5 * theta^2."""
    criterion = Fisher()
    state = start(criterion, WEIGHT)
    criterion.observe_example(state, WEIGHT, torch.ones(2, 2))
    criterion.observe_example(state, WEIGHT, matrix([-3.0, 3.0], [3.0, 0.0]))
    assert criterion.score(state, WEIGHT).tolist() == [[2.5, 10], [0, 4]]


def test_fisher_takes_squares_per_example() -> None:
    """Against torch.func: vmap over examples of the gradient of one example's loss."""
    network = Network()

    def one(w1: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (torch.tanh(x @ w1.T) @ network.w2.T - y).square().sum()

    grads = torch.func.vmap(torch.func.grad(one), in_dims=(None, 0, 0))(network.w1, network.x, network.y)
    criterion = Fisher()
    state = start(criterion, network.w1)
    leaf = network.w1.clone().requires_grad_()
    for loss in network.example_losses(leaf):
        criterion.observe_example(state, network.w1, torch.autograd.grad(loss, leaf, retain_graph=True)[0])
    expected = 0.5 * network.w1.square() * grads.square().mean(0)
    torch.testing.assert_close(criterion.score(state, network.w1), expected)
    batch = 0.5 * network.w1.square() * network.grad(network.w1).square()
    assert not torch.allclose(expected, batch, rtol=0.1), "the batch's gradient is another quantity"


def test_wanda_by_hand() -> None:
    """Columns of the inputs [3, 4], [0, 2] have norms 3 and sqrt(20)."""
    criterion = Wanda()
    state = start(criterion, WEIGHT)
    criterion.observe_inputs(state, WEIGHT, matrix([3.0, 4.0]))
    criterion.observe_inputs(state, WEIGHT, matrix([0.0, 2.0]))
    torch.testing.assert_close(criterion.score(state, WEIGHT), matrix([3.0, 2 * 20**0.5], [0.0, 4 * 20**0.5]))


def test_wanda_is_the_output_change_of_each_weight() -> None:
    """|W_ij| norm2(X_j) is the norm by which the layer's output changes when W_ij alone goes."""
    network = Network()
    criterion = Wanda()
    state = start(criterion, network.w1)
    criterion.observe_inputs(state, network.w1, network.x)
    score = criterion.score(state, network.w1)
    for i in range(3):
        for j in range(4):
            pruned = network.w1.clone()
            pruned[i, j] = 0
            torch.testing.assert_close((network.x @ (network.w1 - pruned).T).norm(), score[i, j])


def calibrate(criterion: Criterion, state: dict[str, torch.Tensor], value: float) -> None:
    criterion.begin_calibration(state, WEIGHT)
    full = torch.full((2, 2), value)
    if criterion.overrides("observe_inputs"):
        criterion.observe_inputs(state, WEIGHT, full)
    if criterion.overrides("observe_example"):
        criterion.observe_example(state, WEIGHT, full)
    if criterion.overrides("observe_hessian"):
        criterion.observe_hessian(state, WEIGHT, full, full)


def test_each_calibration_starts_anew() -> None:
    for criterion in (Grasp(), Fisher(), Wanda()):
        used, fresh = start(criterion, WEIGHT), start(criterion, WEIGHT)
        calibrate(criterion, used, 5.0)
        calibrate(criterion, used, 2.0)
        calibrate(criterion, fresh, 2.0)
        assert torch.equal(criterion.score(used, WEIGHT), criterion.score(fresh, WEIGHT))


def test_without_calibration_magnitude_ranks() -> None:
    for criterion in (Grasp(), Fisher(), Wanda()):
        assert torch.equal(criterion.score(start(criterion, WEIGHT), WEIGHT), WEIGHT.abs())
