"""`soft_movement` by hand, and against autograd through an explicit thresholded mask with its penalty."""

import pytest
import torch
from torch import Tensor

from criteria.base import Step
from criteria.l0 import L0
from criteria.soft_movement import SoftMovement
from tests.criteria.helpers import Network, matrix, start, step


class Threshold(torch.autograd.Function):
    """sigmoid(S) > tau; the gradient goes straight through comparison and sigmoid."""

    @staticmethod
    def forward(_: object, scores: Tensor, tau: float) -> Tensor:
        return (scores.sigmoid() > tau).float()

    @staticmethod
    def backward(_: object, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


def test_one_step_by_hand() -> None:
    """At S = 0 sigmoid' is 1/4. Two weights, half way: lambda = 16 * .5 / 2 = 4, so d = theta g + 4 / 4 / 2 = theta g + .5."""
    criterion = SoftMovement(final_lambda=16, matrices=2, score_optimizer="sgd", score_lr=0.1)
    weight, grad = matrix([1.0, -1.0]), matrix([2.0, 3.0])
    state = start(criterion, weight)
    criterion.observe(state, weight, grad, step(sparsity=0.4, target=0.8))
    torch.testing.assert_close(criterion.score(state, weight), matrix([-0.25, 0.25]))


def test_keep_by_hand() -> None:
    """tau = .5 * .5: sigmoid(-1) = .269 is kept, sigmoid(-2) = .119 is not; at progress 1 neither is."""
    criterion = SoftMovement(final_threshold=0.5)
    weight = torch.ones(1, 3)
    state = {**start(criterion, weight), "S": matrix([-1.0, -2.0, 1.0])}
    assert criterion.keep(state, weight, step(sparsity=0.4, target=0.8)).tolist() == [[True, False, True]]
    assert criterion.keep(state, weight, step(sparsity=0.8, target=0.8)).tolist() == [[False, False, True]]
    assert criterion.keep(state, weight, step(sparsity=0.0, target=0.8)).all()


def test_half_a_percent_is_always_kept() -> None:
    criterion = SoftMovement(final_threshold=0.9)
    weight = torch.ones(20, 50)
    state = {**start(criterion, weight), "S": -1 - torch.arange(1000.0).view(20, 50)}
    kept = criterion.keep(state, weight, step(sparsity=0.8, target=0.8))
    assert kept.view(-1).nonzero().view(-1).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_scores_and_masks_are_those_of_autograd(optimizer: str) -> None:
    network, matrices, lam = Network(), 3, 5.0
    options = {"final_lambda": lam, "matrices": matrices, "final_threshold": 0.55, "score_lr": 0.05}
    criterion = SoftMovement(score_optimizer=optimizer, **options)  # type: ignore[arg-type]
    scores = torch.nn.Parameter(torch.zeros_like(network.w1))
    torch_optimizer = (torch.optim.SGD if optimizer == "sgd" else torch.optim.Adam)([scores], lr=0.05)
    state = start(criterion, network.w1)
    closed = set()
    for index in range(12):
        now = step(index, sparsity=0.8 * index / 11, target=0.8)
        mask = Threshold.apply(scores, 0.55 * now.progress)
        torch_optimizer.zero_grad()
        penalty = lam * now.progress / matrices * scores.sigmoid().mean()
        (network.loss(network.w1 * mask) + penalty).backward()
        assert torch.equal(criterion.keep(state, network.w1, now), mask > 0)
        criterion.observe(state, network.w1, network.grad(network.w1 * mask.detach()), now)
        torch_optimizer.step()
        torch.testing.assert_close(criterion.score(state, network.w1), scores.detach(), rtol=1e-4, atol=1e-6)
        closed.add(int((mask == 0).sum()))
    assert len(closed) > 1, "the threshold never pruned anything: the example shows nothing"


def test_the_rule_decides_whether_sparsity_is_exact() -> None:
    assert not SoftMovement().exact
    assert SoftMovement(rule="matched").exact


@pytest.mark.parametrize(
    "options",
    [{"rule": "hard"}, {"final_threshold": 1.0}, {"final_lambda": -1.0}, {"matrices": -1}, {"score_lr": -1.0}],
)
def test_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        SoftMovement(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [SoftMovement, L0])
def test_the_penalty_is_averaged_over_the_models_own_matrices_and_the_rate_follows_the_weights(
    kind: type[SoftMovement | L0],
) -> None:
    """By default as with `matrices` given; half the peak moves S half as far."""
    weight, none = torch.ones(1, 2), torch.zeros(1, 2)
    moved = {}
    for matrices, known, lr in ((0, 36, 2e-5), (36, 1, 2e-5), (72, 36, 2e-5), (0, 36, 1e-5)):
        criterion = kind(matrices=matrices, score_optimizer="sgd")
        state = start(criterion, weight)
        before = state["S"].clone()
        criterion.observe(state, weight, none, Step(5, 10, lr, 0.8, 0.8, peak=2e-5, matrices=known))
        moved[matrices, known, lr] = float((before - state["S"]).mean())
    assert moved[0, 36, 2e-5] == moved[36, 1, 2e-5] > 0
    assert moved[0, 36, 2e-5] == pytest.approx(2 * moved[72, 36, 2e-5], rel=1e-3)
    assert moved[0, 36, 2e-5] == pytest.approx(2 * moved[0, 36, 1e-5], rel=1e-3)
