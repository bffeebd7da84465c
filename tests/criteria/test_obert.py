"""`obert` by hand, and against the exact inverse Fisher matrix of a small layer and the exact constrained optimum."""

import pytest
import torch
from torch import Tensor

from criteria.base import State
from criteria.obert import K, Obert
from tests.criteria.helpers import generator, matrix, start


def calibrated(criterion: Obert, weight: Tensor, grads: Tensor) -> State:
    state = start(criterion, weight)
    criterion.begin_calibration(state, weight)
    for grad in grads:
        criterion.observe_example(state, weight, grad.view_as(weight))
    return state


def fisher(grads: Tensor, damp: float, m: int, block: int) -> Tensor:
    """The exact matrix [n, n], double precision, entries between blocks removed."""
    g = grads.double().flatten(1)
    size = g.shape[1]
    same = torch.arange(size).div(block, rounding_mode="floor")
    return (g.T @ g / m + damp * torch.eye(size, dtype=torch.float64)) * (same[:, None] == same[None, :])


def test_score_by_hand() -> None:
    """One gradient (1, 1), m = 1, damp 1, one block: F = [[2, 1], [1, 2]], [F^-1]_ii = 2/3, score = 3/4 theta^2."""
    weight = matrix([2.0, 4.0])
    criterion = Obert(block=2, damp=1.0, gradients=1)
    state = calibrated(criterion, weight, torch.ones(1, 1, 2))
    torch.testing.assert_close(criterion.score(state, weight), matrix([3.0, 12.0]))


def test_update_by_hand() -> None:
    """Pruning the first weight there moves the second by theta_1 F_12 / F_22 = 2 * 1/2."""
    weight = matrix([2.0, 4.0])
    criterion = Obert(block=2, damp=1.0, gradients=1)
    state = calibrated(criterion, weight, torch.ones(1, 1, 2))
    criterion.compensate(state, weight, torch.tensor([[False, True]]))
    torch.testing.assert_close(weight, matrix([0.0, 5.0]))


@pytest.mark.parametrize(("shape", "block", "count"), [((4, 5), 20, 7), ((4, 5), 5, K), ((6, 7), 8, 3 * K + 5)])
def test_scores_are_those_of_the_exact_inverse(shape: tuple[int, int], block: int, count: int) -> None:
    g = generator(1)
    weight, grads = torch.randn(shape, generator=g), torch.randn(count, *shape, generator=g)
    criterion = Obert(block=block, damp=1e-2, gradients=count)
    inverse = fisher(grads, 1e-2, count, block).inverse()
    expected = 0.5 * weight.double().square() / inverse.diagonal().view(shape)
    state = calibrated(criterion, weight, grads)
    torch.testing.assert_close(criterion.score(state, weight).double(), expected, rtol=1e-3, atol=0)


def test_gradients_of_fine_tuning_with_the_published_damping() -> None:
    """At the size that fine-tuning gradients have, single precision is enough for the published damp of 1e-7."""
    g = generator(2)
    weight, grads = torch.randn(10, 30, generator=g), 3e-4 * torch.randn(256, 10, 30, generator=g)
    state = calibrated(Obert(), weight, grads)
    expected = 0.5 * weight.double().square() / fisher(grads, 1e-7, 256, 50).inverse().diagonal().view(10, 30)
    torch.testing.assert_close(Obert().score(state, weight).double(), expected, rtol=1e-2, atol=0)


def test_update_is_the_optimum_under_the_constraint() -> None:
    """min d'Fd with (theta + d)_Q = 0: the kept d solve F_KK d_K = F_KQ theta_Q; no kept weight can do better."""
    g = generator(3)
    weight, grads = torch.randn(4, 5, generator=g), torch.randn(30, 4, 5, generator=g)
    mask = torch.rand(4, 5, generator=g) > 0.5
    f = fisher(grads, 1e-2, 30, 10)
    kept, gone = mask.view(-1).nonzero().view(-1), (~mask).view(-1).nonzero().view(-1)
    theta = weight.double().view(-1)
    expected = theta.clone()
    expected[gone] = 0
    expected[kept] += torch.linalg.solve(f[kept][:, kept], f[kept][:, gone] @ theta[gone])
    criterion = Obert(block=10, damp=1e-2, gradients=30)
    state = calibrated(criterion, weight, grads)
    criterion.compensate(state, weight, mask)
    torch.testing.assert_close(weight.double().view(-1), expected, rtol=1e-3, atol=1e-4)


def test_the_order_of_gradients_does_not_matter() -> None:
    g = generator(4)
    weight, grads = torch.randn(3, 4, generator=g), torch.randn(K + 3, 3, 4, generator=g)
    criterion = Obert(block=6, damp=1e-2, gradients=K + 3)
    forward, backward = (
        criterion.score(calibrated(criterion, weight, order), weight) for order in (grads, grads.flip(0))
    )
    torch.testing.assert_close(forward, backward, rtol=1e-3, atol=0)


def test_scoring_half_way_changes_nothing() -> None:
    g = generator(5)
    weight, grads = torch.randn(3, 4, generator=g), torch.randn(K, 3, 4, generator=g)
    criterion = Obert(block=6, damp=1e-2, gradients=K)
    state = calibrated(criterion, weight, grads[:5])
    criterion.score(state, weight)
    for grad in grads[5:]:
        criterion.observe_example(state, weight, grad)
    whole = criterion.score(calibrated(criterion, weight, grads), weight)
    torch.testing.assert_close(criterion.score(state, weight), whole, rtol=1e-3, atol=0)


def test_without_calibration_or_update_nothing_is_adjusted() -> None:
    weight, mask = matrix([2.0, 4.0]), torch.tensor([[False, True]])
    criterion = Obert(block=2)
    state = start(criterion, weight)
    assert criterion.score(state, weight).tolist() == [[4, 16]]
    criterion.compensate(state, weight, mask)
    still = Obert(block=2, update=False)
    still.compensate(calibrated(still, weight, torch.ones(1, 1, 2)), weight, mask)
    assert weight.tolist() == [[2, 4]]


def test_a_transposed_matrix_is_adjusted_in_place() -> None:
    stored = torch.tensor([[2.0], [4.0]])
    criterion = Obert(block=2, damp=1.0, gradients=1)
    state = calibrated(criterion, stored.T, torch.ones(1, 1, 2))
    criterion.compensate(state, stored.T, torch.tensor([[False, True]]))
    torch.testing.assert_close(stored, torch.tensor([[0.0], [5.0]]))


@pytest.mark.parametrize("options", [{"block": 0}, {"damp": 0.0}, {"gradients": 0}])
def test_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Obert(**options)  # type: ignore[arg-type]
