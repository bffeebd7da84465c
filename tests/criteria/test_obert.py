"""`obert` by hand, and against the exact inverse Fisher matrix of a small layer and the exact constrained optimum."""

import warnings

import pytest
import torch
from torch import Tensor

from criteria.base import State
from criteria.obert import WAITING, Obert
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
    criterion = Obert(block=2, damp=1.0)
    state = calibrated(criterion, weight, torch.ones(1, 1, 2))
    torch.testing.assert_close(criterion.score(state, weight), matrix([3.0, 12.0]))


def test_update_by_hand() -> None:
    """Pruning the first weight there moves the second by theta_1 F_12 / F_22 = 2 * 1/2."""
    weight = matrix([2.0, 4.0])
    criterion = Obert(block=2, damp=1.0)
    state = calibrated(criterion, weight, torch.ones(1, 1, 2))
    criterion.compensate(state, weight, torch.tensor([[False, True]]))
    torch.testing.assert_close(weight, matrix([0.0, 5.0]))


@pytest.mark.parametrize(
    ("shape", "block", "count"), [((4, 5), 20, 7), ((4, 5), 5, WAITING), ((6, 7), 8, 3 * WAITING + 5)]
)
def test_scores_are_those_of_the_exact_inverse(shape: tuple[int, int], block: int, count: int) -> None:
    g = generator(1)
    weight, grads = torch.randn(shape, generator=g), torch.randn(count, *shape, generator=g)
    criterion = Obert(block=block, damp=1e-2)
    inverse = fisher(grads, 1e-2, count, block).inverse()
    expected = 0.5 * weight.double().square() / inverse.diagonal().view(shape)
    state = calibrated(criterion, weight, grads)
    torch.testing.assert_close(criterion.score(state, weight).double(), expected, rtol=1e-4, atol=0)


def test_gradients_of_fine_tuning_with_the_published_damping() -> None:
    """At the size that fine-tuning gradients have, single precision is enough for the published damp of 1e-7."""
    g = generator(2)
    weight, grads = torch.randn(10, 30, generator=g), 3e-4 * torch.randn(256, 10, 30, generator=g)
    state = calibrated(Obert(), weight, grads)
    expected = 0.5 * weight.double().square() / fisher(grads, 1e-7, 256, 50).inverse().diagonal().view(10, 30)
    torch.testing.assert_close(Obert().score(state, weight).double(), expected, rtol=1e-4, atol=0)


def woodbury(grads: Tensor, damp: float, block: int) -> Tensor:
    """F^-1 [blocks, block, block] by the published recursion, in double precision."""
    m = len(grads)
    g = grads.double().flatten(1).view(m, -1, block)
    inverse = torch.eye(block, dtype=torch.float64).div(damp).expand(g.shape[1], -1, -1).clone()
    for one in g:
        v = torch.einsum("bij,bj->bi", inverse, one)
        inverse -= torch.einsum("bi,bj->bij", v, v) / (m + (one * v).sum(1))[:, None, None]
    return inverse


def test_scores_are_those_of_the_published_recursion() -> None:
    g = generator(6)
    weight, grads = torch.randn(6, 10, generator=g), 1e-2 * torch.randn(2 * WAITING + 3, 6, 10, generator=g)
    criterion = Obert(block=20, damp=1e-5)
    expected = 0.5 * weight.double().square() / woodbury(grads, 1e-5, 20).diagonal(dim1=1, dim2=2).reshape(6, 10)
    torch.testing.assert_close(
        criterion.score(calibrated(criterion, weight, grads), weight).double(), expected, rtol=1e-4, atol=0
    )


@pytest.mark.parametrize("scale", [0.0, 1e-12, 1e3, 1e6])
def test_extreme_and_repeated_gradients_leave_scores_finite(scale: float) -> None:
    """One gradient seen ten times has rank one; where it is large, 1e-7 vanishes in the rounding of its square."""
    weight, grads = torch.ones(5, 10), scale * torch.rand(1, 5, 10, generator=generator()).expand(10, -1, -1)
    state = calibrated(Obert(), weight, grads)
    score = Obert().score(state, weight)
    assert torch.isfinite(score).all()
    assert (score > 0).all()
    Obert().compensate(state, weight, score > score.median())
    assert torch.isfinite(weight).all()


def test_update_is_the_optimum_under_the_constraint() -> None:
    """min d'Fd with (theta + d)_Q = 0, by the textbook formula of optimal brain surgeon with the exact inverse."""
    g = generator(3)
    weight, grads = torch.randn(4, 5, generator=g), torch.randn(30, 4, 5, generator=g)
    mask = torch.rand(4, 5, generator=g) > 0.5
    f = fisher(grads, 1e-2, 30, 10)
    gone = (~mask).view(-1).nonzero().view(-1)
    theta, inverse = weight.double().view(-1), f.inverse()
    expected = theta - inverse[:, gone] @ torch.linalg.solve(inverse[gone][:, gone], theta[gone])
    criterion = Obert(block=10, damp=1e-2)
    state = calibrated(criterion, weight, grads)
    criterion.compensate(state, weight, mask)
    torch.testing.assert_close(weight.double().view(-1), expected, rtol=1e-4, atol=1e-4)


def test_the_order_of_gradients_does_not_matter() -> None:
    g = generator(4)
    weight, grads = torch.randn(3, 4, generator=g), torch.randn(WAITING + 3, 3, 4, generator=g)
    criterion = Obert(block=6, damp=1e-2)
    forward, backward = (
        criterion.score(calibrated(criterion, weight, order), weight) for order in (grads, grads.flip(0))
    )
    torch.testing.assert_close(forward, backward, rtol=1e-4, atol=0)


def test_scoring_half_way_changes_nothing() -> None:
    g = generator(5)
    weight, grads = torch.randn(3, 4, generator=g), torch.randn(WAITING, 3, 4, generator=g)
    criterion = Obert(block=6, damp=1e-2)
    state = calibrated(criterion, weight, grads[:5])
    criterion.score(state, weight)
    for grad in grads[5:]:
        criterion.observe_example(state, weight, grad)
    whole = criterion.score(calibrated(criterion, weight, grads), weight)
    torch.testing.assert_close(criterion.score(state, weight), whole, rtol=1e-4, atol=0)


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
    criterion = Obert(block=2, damp=1.0)
    state = calibrated(criterion, stored.T, torch.ones(1, 1, 2))
    criterion.compensate(state, stored.T, torch.tensor([[False, True]]))
    torch.testing.assert_close(stored, torch.tensor([[0.0], [5.0]]))


@pytest.mark.parametrize("options", [{"block": 0}, {"damp": 0.0}])
def test_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Obert(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("size", "warned"), [(1e-3, False), (10.0, True)])
def test_it_says_where_rounding_takes_the_place_of_the_damping(size: float, warned: bool) -> None:
    """4 x 4 x 1.2e-7 of a squared gradient of 100 is far above a damping of 1e-7; of 1e-6 it is far below."""
    criterion, weight = Obert(block=4), torch.ones(2, 4)
    state = criterion.init(weight, torch.Generator())
    criterion.begin_calibration(state, weight)
    criterion.observe_example(state, weight, torch.tensor([[size] * 4, [1e-6] * 4]))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        criterion.score(state, weight)
    assert [("in 1 of 2 blocks" in str(warning.message)) for warning in caught] == [True] * warned
