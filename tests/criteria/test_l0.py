"""`l0` by hand, and against autograd through the hard concrete gates written out."""

import math

import pytest
import torch
from torch import Tensor

from criteria.l0 import L0
from tests.criteria.helpers import Network, generator, matrix, start, step

MASK = torch.ones(1, 1, dtype=torch.bool)


def noise(state: dict[str, Tensor], shape: torch.Size) -> Tensor:
    """The draw of the coming update, as the documentation defines it."""
    seeded = torch.Generator().manual_seed(int(state["seed"]) + int(state["t"]))
    return torch.rand(shape, generator=seeded).clamp(1e-4, 1 - 1e-4)


def hard_concrete(scores: Tensor, u: Tensor) -> Tensor:
    """z, as the paper writes it."""
    s = torch.sigmoid((u.log() - (1 - u).log() + scores) / (2 / 3))
    return (s * (1.1 - -0.1) + -0.1).clamp(0, 1)


def open_probability(scores: Tensor) -> Tensor:
    return torch.sigmoid(scores - 2 / 3 * math.log(0.1 / 1.1))


def test_gates_without_noise_by_hand() -> None:
    """sigmoid(S) = .5 gives .5; 1/12 gives exactly 0; above 11/12 it is 1."""
    criterion = L0()
    state = start(criterion, torch.ones(1, 3))
    state["S"] = torch.logit(matrix([0.5, 0.08, 0.92]))
    gates = criterion.gate(state, torch.ones(1, 3), torch.ones(1, 3, dtype=torch.bool), training=False)
    torch.testing.assert_close(gates, matrix([0.5, 0.0, 1.0]))
    assert criterion.keep(state, torch.ones(1, 3), step()).tolist() == [[True, False, True]]


def test_penalty_by_hand() -> None:
    """Without a gradient S falls by alpha lambda p (1 - p) / n: lambda = 6 / 3, n = 1."""
    criterion = L0(final_lambda=6, matrices=3, start=0.5, score_optimizer="sgd", score_lr=1.0)
    state = start(criterion, torch.ones(1, 1))
    criterion.observe(state, torch.ones(1, 1), torch.zeros(1, 1), step())
    p = 1 / (1 + (0.1 / 1.1) ** (2 / 3))
    assert state["S"].item() == pytest.approx(-2 * p * (1 - p))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_scores_and_gates_are_those_of_autograd(optimizer: str) -> None:
    network, lam, matrices = Network(), 2.0, 2
    criterion = L0(final_lambda=lam, matrices=matrices, start=0.6, score_optimizer=optimizer, score_lr=0.2)
    state = start(criterion, network.w1)
    scores = torch.nn.Parameter(torch.full_like(network.w1, math.log(0.6 / 0.4)))
    torch_optimizer = (torch.optim.SGD if optimizer == "sgd" else torch.optim.Adam)([scores], lr=0.2)
    seen = set()
    for index in range(10):
        z = hard_concrete(scores, noise(state, scores.shape))
        torch_optimizer.zero_grad()
        (network.loss(network.w1 * z) + lam / matrices * open_probability(scores).mean()).backward()
        gate = criterion.gate(state, network.w1, torch.zeros_like(network.w1, dtype=torch.bool), training=True)
        torch.testing.assert_close(gate, z.detach())
        criterion.observe(state, network.w1, network.grad(network.w1 * gate), step(index))
        torch_optimizer.step()
        torch.testing.assert_close(state["S"], scores.detach(), rtol=1e-4, atol=1e-5)
        seen |= {"closed"} if (z == 0).any() else set()
        seen |= {"open"} if (z == 1).any() else set()
        seen |= {"between"} if ((z > 0) & (z < 1)).any() else set()
    assert seen == {"closed", "open", "between"}


def test_gates_are_open_as_often_as_the_penalty_says() -> None:
    criterion, weight = L0(start=0.3), torch.ones(200, 200)
    state = start(criterion, weight)
    opened = (criterion.gate(state, weight, weight > 0, training=True) > 0).float().mean()
    assert float(opened) == pytest.approx(float(open_probability(state["S"]).mean()), abs=0.01)


def test_noise_is_random_in_training_only_and_repeats_after_a_restore() -> None:
    criterion, weight = L0(start=0.5), torch.ones(8, 8)
    mask = weight > 0
    state = start(criterion, weight)
    first = criterion.gate(state, weight, mask, training=True)
    assert torch.equal(first, criterion.gate(state, weight, mask, training=True)), "one update, one draw"
    saved = {name: tensor.clone() for name, tensor in state.items()}
    for branch in (state, saved):
        criterion.observe(branch, weight, torch.ones(8, 8), step())
    second = criterion.gate(state, weight, mask, training=True)
    assert not torch.equal(first, second)
    assert torch.equal(second, criterion.gate(saved, weight, mask, training=True))
    elsewhere = {**state, "seed": state["seed"] + 1}
    assert torch.equal(*(criterion.gate(one, weight, mask, training=False) for one in (state, elsewhere)))
    other = criterion.init(weight, generator(1))
    assert not torch.equal(first, criterion.gate(other, weight, mask, training=True))


def test_evaluation_lets_nothing_through_the_mask() -> None:
    state = start(L0(), torch.ones(1, 1))
    assert L0().gate(state, torch.ones(1, 1), ~MASK, training=False).item() == 0
    assert not L0().exact


@pytest.mark.parametrize(
    "options", [{"start": 1.0}, {"final_lambda": -1.0}, {"matrices": -1}, {"score_optimizer": "x"}]
)
def test_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        L0(**options)  # type: ignore[arg-type]
