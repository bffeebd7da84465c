"""`movement` by hand, and against autograd through an explicit straight-through mask."""

import pytest
import torch
from torch import Tensor

from criteria.base import Step
from criteria.movement import Movement
from tests.criteria.helpers import Network, generator, matrix, observed, start, step


class TopK(torch.autograd.Function):
    """The mask of the k highest scores; its gradient goes straight through to the scores."""

    @staticmethod
    def forward(_: object, scores: Tensor, kept: int) -> Tensor:
        return torch.zeros_like(scores).view(-1).index_fill_(0, scores.view(-1).topk(kept).indices, 1.0).view_as(scores)

    @staticmethod
    def backward(_: object, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


def test_by_hand() -> None:
    """S = -alpha (theta g summed): weights that the gradient step moves away from zero score high."""
    weight, grad = matrix([1.0, -2.0], [0.0, 4.0]), matrix([-1.0, -1.0], [5.0, 0.5])
    torch.testing.assert_close(observed(Movement(), weight, grad), matrix([0.01, -0.02], [0.0, -0.02]))
    torch.testing.assert_close(observed(Movement(score_lr=0.5), weight, grad, grad), matrix([1.0, -2.0], [0.0, -2.0]))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_scores_are_those_of_autograd_through_an_explicit_mask(optimizer: str) -> None:
    network, kept = Network(), 6
    criterion = Movement(score_optimizer=optimizer, score_lr=0.05)
    scores = torch.nn.Parameter(torch.zeros_like(network.w1))
    torch_optimizer = (torch.optim.SGD if optimizer == "sgd" else torch.optim.Adam)([scores], lr=0.05)
    latent = network.w1.clone()
    state = start(criterion, latent)
    for index in range(12):
        mask = torch.ones_like(latent) if index == 0 else TopK.apply(scores, kept)
        if index == 0:
            mask = mask + scores - scores.detach()
        torch_optimizer.zero_grad()
        network.loss(latent * mask).backward()
        product_grad = network.grad(latent * mask.detach())
        criterion.observe(state, latent, product_grad, step(index))
        torch_optimizer.step()
        latent -= 0.1 * product_grad * mask.detach()
        torch.testing.assert_close(criterion.score(state, latent), scores.detach(), rtol=1e-4, atol=1e-7)


def test_with_sgd_alpha_does_not_change_the_ranking() -> None:
    network = Network()
    grads = [network.grad(network.w1 * share) for share in (1.0, 0.5, 0.1)]
    slow, fast = (observed(Movement(score_lr=rate), network.w1, *grads) for rate in (1e-3, 1.0))
    assert torch.equal(slow.view(-1).argsort(), fast.view(-1).argsort())


def test_pruned_weights_keep_moving_scores() -> None:
    """A weight under a closed gate still has a gradient at the product, and its score moves by theta g."""
    weight, grad = matrix([2.0]), matrix([-1.0])
    criterion = Movement(score_lr=1.0)
    assert criterion.latent
    state = start(criterion, weight)
    assert criterion.gate(state, weight, torch.zeros(1, 1, dtype=torch.bool), True).item() == 0
    criterion.observe(state, weight, grad, step())
    assert criterion.score(state, weight).item() == 2


@pytest.mark.parametrize(
    "options", [{"score_optimizer": "adamw"}, {"score_lr": 0.0}, {"score_schedule": "linear"}, {"rank": "abs"}]
)
def test_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Movement(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_scores_follow_the_schedule_of_the_weights_as_one_more_group_of_parameters(optimizer: str) -> None:
    """Compared with torch's optimizer under torch's schedule: warm-up over 3 steps, then down to 0 at step 10."""
    criterion = Movement(score_optimizer=optimizer, score_lr=0.05, score_schedule="weights")
    scores = torch.nn.Parameter(torch.zeros(2, 3))
    theirs = (torch.optim.SGD if optimizer == "sgd" else torch.optim.Adam)([scores], lr=0.05)
    rates = torch.optim.lr_scheduler.LambdaLR(theirs, lambda t: t / 3 if t < 3 else (10 - t) / 7)
    weight, draws = torch.randn(2, 3, generator=generator(1)), generator(2)
    state, peak = start(criterion, weight), 2e-5
    for index in range(10):
        grad = torch.randn(2, 3, generator=draws)
        lr = peak * theirs.param_groups[0]["lr"] / 0.05
        criterion.observe(state, weight, grad, Step(index, 10, lr, peak=peak))
        scores.grad = weight * grad
        theirs.step()
        rates.step()
        torch.testing.assert_close(state["S"], scores.detach(), rtol=1e-4, atol=1e-7)


def test_a_schedule_of_the_scores_changes_the_ranking_and_a_factor_does_not() -> None:
    """S = -(g1 + g2) theta under a constant rate; the second gradient counts a tenth when the rate has fallen to a tenth."""
    weight, grads = matrix([1.0, 1.0]), (matrix([-1.0, 0.0]), matrix([0.5, -1.0]))
    ranked = {}
    for schedule in ("constant", "weights"):
        criterion = Movement(score_lr=1.0, score_schedule=schedule)
        state = start(criterion, weight)
        for index, (grad, lr) in enumerate(zip(grads, (0.1, 0.01), strict=True)):
            criterion.observe(state, weight, grad, Step(index, 2, lr, peak=0.1))
        ranked[schedule] = criterion.score(state, weight)
    torch.testing.assert_close(ranked["constant"], matrix([0.5, 1.0]))
    torch.testing.assert_close(ranked["weights"], matrix([0.95, 0.1]))


def test_a_control_over_the_same_latent_weights() -> None:
    weight, grad = matrix([1.0, -2.0, 3.0]), matrix([-1.0, -1.0, 0.1])
    signed, absolute = (observed(Movement(score_lr=1.0, rank=rank), weight, grad) for rank in ("signed", "absolute"))
    torch.testing.assert_close(signed, matrix([1.0, -2.0, -0.3]))
    torch.testing.assert_close(absolute, signed.abs())
