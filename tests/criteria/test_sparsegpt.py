"""`sparsegpt` by hand, and against direct least-squares solutions of the layer's output."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.pruning.masks import Quota, parse_scope
from criteria import sparsegpt
from criteria.base import State
from criteria.sparsegpt import SparseGPT
from tests.criteria.helpers import generator, matrix, start

TINY = 1e-9
"""A damping too small to matter."""


def calibrated(criterion: SparseGPT, weight: Tensor, inputs: Tensor) -> State:
    state = start(criterion, weight)
    criterion.begin_calibration(state, weight)
    for part in inputs.split(7):
        criterion.observe_inputs(state, weight, part)
    return state


def example(columns: int = 6, rows: int = 3, tokens: int = 40, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A weight [rows, columns] and correlated inputs [tokens, columns]."""
    g = generator(seed)
    mixing = torch.randn(columns, columns, generator=g)
    return torch.randn(rows, columns, generator=g), torch.randn(tokens, columns, generator=g) @ mixing


def sequential_least_squares(weight: Tensor, inputs: Tensor, mask: Tensor) -> Tensor:
    """Column by column: where a weight is pruned, the columns to its right answer by a least-squares solve of the output."""
    w, x = weight.double(), inputs.double()
    for j in range(w.shape[1]):
        for i in (~mask[:, j]).nonzero().view(-1).tolist():
            lost = w[i, j].clone()
            w[i, j] = 0
            if j + 1 < w.shape[1]:
                w[i, j + 1 :] += torch.linalg.lstsq(x[:, j + 1 :], lost * x[:, j]).solution
    return w


def test_by_hand() -> None:
    """X'X = [[2, 1], [1, 1]] over two tokens is H. Column 2 alone is free of column 1: U_22^2 = 1/H_22 = 1;
    U_11^2 = [H^-1]_11 = 1. Pruning W_1 = 3 moves W_2 by 3 H_12 / H_22 = 3."""
    weight, inputs = matrix([3.0, 5.0]), matrix([1.0, 0.0], [1.0, 1.0])
    criterion = SparseGPT(damp=TINY)
    state = calibrated(criterion, weight, inputs)
    torch.testing.assert_close(criterion.score(state, weight), matrix([9.0, 25.0]))
    criterion.compensate(state, weight, torch.tensor([[False, True]]))
    torch.testing.assert_close(weight, matrix([0.0, 8.0]))


def test_score_is_the_least_squares_error_with_the_columns_to_the_right_free() -> None:
    """W_ij^2 / U_jj^2 = min over the columns right of j of 2/n |X (w' - w)|^2 with w'_j = 0."""
    weight, inputs = example()
    criterion = SparseGPT(damp=TINY)
    score = criterion.score(calibrated(criterion, weight, inputs), weight)
    x = inputs.double()
    for j in range(weight.shape[1]):
        column = x[:, j]
        answer = torch.zeros_like(column)
        if j + 1 < weight.shape[1]:
            answer = x[:, j + 1 :] @ torch.linalg.lstsq(x[:, j + 1 :], column).solution
        error = 2 / len(x) * (column - answer).square().sum() * weight[:, j].double().square()
        torch.testing.assert_close(score[:, j].double(), error, rtol=1e-4, atol=1e-6)


def test_pruning_the_first_columns_gives_the_least_squares_optimum() -> None:
    """Then all kept columns are free throughout, and the sweep must reach the best possible layer."""
    weight, inputs = example()
    mask = torch.ones_like(weight, dtype=torch.bool)
    mask[:, :3] = False
    target = inputs.double() @ weight.double().T
    best = torch.linalg.lstsq(inputs.double()[:, 3:], target).solution.T
    criterion = SparseGPT(damp=TINY)
    criterion.compensate(calibrated(criterion, weight, inputs), weight, mask)
    torch.testing.assert_close(weight[:, 3:].double(), best, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("columns_at_once", [1, 4, 128])
def test_any_mask_gives_the_column_by_column_least_squares_answer(
    columns_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparsegpt, "COLUMNS", columns_at_once)
    weight, inputs = example(columns=10, seed=1)
    mask = torch.rand(weight.shape, generator=generator(2)) > 0.5
    expected = sequential_least_squares(weight, inputs, mask)
    criterion = SparseGPT(damp=TINY)
    criterion.compensate(calibrated(criterion, weight, inputs), weight, mask)
    torch.testing.assert_close(weight.double() * mask, expected, rtol=1e-3, atol=1e-4)


def test_the_update_brings_the_output_closer() -> None:
    weight, inputs = example(columns=32, rows=8, tokens=200, seed=3)
    criterion = SparseGPT()
    state = calibrated(criterion, weight, inputs)
    score = criterion.score(state, weight)
    mask = score > score.median()
    updated = weight.clone()
    criterion.compensate(state, updated, mask)
    plain, better = ((inputs @ (w * mask - weight).T).square().sum() for w in (weight, updated))
    assert better < 0.7 * plain


def test_dead_inputs_cost_nothing() -> None:
    weight, inputs = example()
    inputs[:, 2] = 0
    criterion = SparseGPT()
    score = criterion.score(calibrated(criterion, weight, inputs), weight)
    assert torch.isfinite(score).all()
    assert (score.argmin(1) == 2).all()


def test_without_calibration_magnitude_ranks_and_nothing_moves() -> None:
    weight = matrix([3.0, -5.0])
    for inputs in (torch.zeros(0, 2), torch.zeros(4, 2)):
        state = calibrated(SparseGPT(), weight, inputs)
        assert SparseGPT().score(state, weight).tolist() == [[9, 25]]
        SparseGPT().compensate(state, weight, torch.tensor([[False, True]]))
    without = SparseGPT(update=False)
    without.compensate(calibrated(without, weight, matrix([1.0, 2.0])), weight, torch.tensor([[False, True]]))
    assert weight.tolist() == [[3, -5]]


def test_a_transposed_matrix_is_adjusted_in_place() -> None:
    stored, inputs = torch.tensor([[3.0], [5.0]]), matrix([1.0, 0.0], [1.0, 1.0])
    criterion = SparseGPT(damp=TINY)
    criterion.compensate(calibrated(criterion, stored.T, inputs), stored.T, torch.tensor([[False, True]]))
    torch.testing.assert_close(stored, torch.tensor([[0.0], [8.0]]))


def test_damping_must_be_positive() -> None:
    with pytest.raises(ValueError, match=r"damp=0 is not a finite number above 0"):
        SparseGPT(damp=0)


def algorithm_1(weight: Tensor, inputs: Tensor, quota: Quota, columns: int, damp: float) -> tuple[Tensor, Tensor]:
    """The paper's Algorithm 1 in numpy and double precision: mask and pruned weights. Ours are the exact counts of each block."""
    w, x = weight.double().numpy().copy(), inputs.double().numpy()
    h = 2 * x.T @ x / len(x)
    h += damp * h.diagonal().mean() * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    rows, width = w.shape
    mask = np.ones(w.shape, dtype=bool)
    stride = quota.group if quota.group > 1 else columns
    gone = 0
    for first in range(0, width, columns):
        stop = min(first + columns, width)
        errors = np.zeros((rows, stop - first))
        for j in range(first, stop):
            if (j - first) % stride == 0:
                near = slice(j, min(j + stride, stop))
                score = w[:, near] ** 2 / u.diagonal()[near] ** 2
                if quota.group > 1:
                    drop = round(quota.count / w.size * quota.group)
                    lowest = [(i, k) for i in range(rows) for k in np.argsort(score[i])[:drop]]
                elif quota.rows:
                    drop = math.floor(quota.count / w.size * stop + 0.5) - math.floor(
                        quota.count / w.size * first + 0.5
                    )
                    lowest = [(i, k) for i in range(rows) for k in np.argsort(score[i])[:drop]]
                else:
                    until = math.floor(quota.count * near.stop / width + 0.5)
                    flat = np.argsort(score, axis=None)[: until - gone]
                    gone = until
                    lowest = list(zip(*np.unravel_index(flat, score.shape), strict=True))
                for i, k in lowest:
                    mask[i, near.start + k] = False
            error = (1 - mask[:, j]) * w[:, j] / u[j, j]
            w[:, j:stop] -= np.outer(error, u[j, j:stop])
            errors[:, j - first] = error
        w[:, stop:] -= errors @ u[first:stop, stop:]
    return torch.from_numpy(mask), torch.from_numpy(w * mask)


@pytest.mark.parametrize(
    ("quota", "columns"),
    [
        (Quota(round(0.5 * 8 * 50), (8, 50)), 128),
        (Quota(round(0.8 * 8 * 50), (8, 50)), 16),
        (Quota(123, (8, 50)), 16),
        (Quota(8 * 30, (8, 50), rows=True), 16),
        (Quota(8 * 48 // 2, (8, 48), group=4), 16),
        (Quota(8 * 48 // 4, (8, 48), group=4), 16),
        (Quota(8 * 48 // 2, (8, 48), group=6), 16),
        (Quota(8 * 48 // 2, (8, 48), group=24), 16),
    ],
)
def test_the_sweep_is_the_papers_algorithm(quota: Quota, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparsegpt, "COLUMNS", columns)
    rows, width = quota.shape
    weight, inputs = example(columns=width, rows=rows, tokens=200, seed=4)
    criterion = SparseGPT()
    swept = weight.clone()
    mask = criterion.sweep(calibrated(criterion, weight, inputs), swept, quota)
    wide = max(columns - columns % quota.group, quota.group)
    expected, weights = algorithm_1(weight, inputs, quota, wide, criterion.damp)
    assert torch.equal(mask, expected)
    assert int((~mask).sum()) == quota.count
    torch.testing.assert_close(swept.double() * mask, weights, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("pattern", "sparsity"), [("layer", 0.8), ("row", 0.8), ("2:4", 0.5)])
def test_choosing_on_the_way_beats_magnitude_and_a_mask_chosen_before(pattern: str, sparsity: float) -> None:
    """Squared errors of the layer's output on inputs that are correlated as a network's are: a few directions carry most."""
    g = generator(5)
    inputs = torch.randn(2000, 256, generator=g) @ (torch.eye(256) + torch.randn(256, 256, generator=g) / 16)
    weight = torch.randn(48, 256, generator=g)
    quotas = parse_scope(pattern).quotas([(48, 256)], sparsity)
    assert quotas is not None
    criterion = SparseGPT()
    state = calibrated(criterion, weight, inputs)
    before, inside = weight.clone(), weight.clone()
    given = quotas[0](criterion.score(state, weight))
    criterion.compensate(state, before, given)
    chosen = criterion.sweep(state, inside, quotas[0])
    candidates = (weight * quotas[0](weight.abs()), before * given, inside * chosen)
    magnitude, first, ours = (float((inputs @ (w - weight).T).square().sum()) for w in candidates)
    assert ours < 0.95 * min(magnitude, first)
