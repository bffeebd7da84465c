"""The criteria without a memory worth the name: random, magnitude, gradient, taylor."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from criteria.gradient import Gradient
from criteria.magnitude import Magnitude
from criteria.random import Random
from criteria.taylor import Taylor
from tests.criteria.helpers import Network, generator, matrix, observed, start

WEIGHT = matrix([1.0, -2.0], [0.0, 4.0])
FIRST = matrix([0.5, 1.0], [-3.0, 0.0])
SECOND = matrix([-1.5, 1.0], [1.0, 2.0])


def test_magnitude_by_hand() -> None:
    assert Magnitude().score({}, WEIGHT).tolist() == [[1, 2], [0, 4]]


def test_gradient_by_hand() -> None:
    assert observed(Gradient(), WEIGHT, FIRST, SECOND).tolist() == [[1, 1], [2, 1]]


def test_taylor_by_hand() -> None:
    assert observed(Taylor(), WEIGHT, FIRST, SECOND).tolist() == [[2, 4], [0, 8]]
    assert observed(Taylor(squared=True), WEIGHT, FIRST, SECOND).tolist() == [[2.5, 8], [0, 64]]


def test_taylor_after_one_batch_is_snip() -> None:
    """SNIP: |dL/dc| at c = 1 where the forward pass uses theta * c, normalised by the sum."""
    network = Network()
    connection = torch.ones_like(network.w1, requires_grad=True)
    (sensitivity,) = torch.autograd.grad(network.loss(network.w1 * connection), connection)
    score = observed(Taylor(), network.w1, network.grad(network.w1))
    torch.testing.assert_close(score / score.sum(), sensitivity.abs() / sensitivity.abs().sum())


def test_random_is_one_draw_a_run() -> None:
    weight = torch.zeros(2, 2)
    noise = torch.rand(2, 2, generator=generator(7))
    state = Random().init(weight, generator(7))
    assert torch.equal(Random().score(state, weight), noise)
    assert torch.equal(Random().score(state, weight + 1), noise)
    assert not torch.equal(start(Random(), weight, seed=8)["u"], noise)


def test_random_is_uniform() -> None:
    u = start(Random(), torch.zeros(100, 100))["u"]
    assert abs(float(u.mean()) - 0.5) < 0.01
    assert abs(float(u.var()) - 1 / 12) < 0.002


def test_before_any_observation_magnitude_ranks() -> None:
    for criterion in (Gradient(), Taylor()):
        assert torch.equal(criterion.score(start(criterion, WEIGHT), WEIGHT), WEIGHT.abs())


@given(st.lists(st.lists(st.floats(-1e3, 1e3, width=32), min_size=4, max_size=4), min_size=1, max_size=6))
def test_accumulators_do_not_depend_on_the_order_of_batches(rows: list[list[float]]) -> None:
    grads = [torch.tensor(row).view(2, 2) for row in rows]
    for criterion in (Gradient(), Taylor(), Taylor(squared=True)):
        forward, backward = observed(criterion, WEIGHT, *grads), observed(criterion, WEIGHT, *reversed(grads))
        torch.testing.assert_close(forward, backward, rtol=1e-4, atol=1e-4)
