"""Fidelity where the exact change of the loss is known: quadratic losses of one or two linear layers."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from torch import Tensor, nn

from benchmark.diagnose.fidelity import Fidelity, Groups, Probing, by_layer, measure, slope, spearman
from benchmark.diagnose.figures import figures
from benchmark.diagnose.shared_run import SharedRun
from benchmark.diagnose.store import Diagnosis
from benchmark.pruning.flat import PrunableWeights
from benchmark.pruning.prunable import find_prunable
from criteria.base import Criterion, State
from criteria.fisher import Fisher
from criteria.magnitude import Magnitude
from criteria.obert import Obert
from tests.benchmark.report.factory import make_spec
from tests.benchmark.toys import Blocks, data, loss_of, one_matrix

THETA = [[1.0, 2.0, 3.0]]
CURVATURE = [9.0, 1.0, 0.1]


def quadratic(model: nn.Module) -> float:
    """1/2 sum h (theta - theta*)^2 at its minimum theta*: taking out weight i costs exactly 1/2 h theta_i^2."""
    weight = model.get_parameter("blocks.0.weight").double()
    apart = weight - torch.tensor(THETA, dtype=torch.float64)
    return float((0.5 * torch.tensor(CURVATURE, dtype=torch.float64) * apart**2).sum())


def calibrated(criterion: Criterion, weight: Tensor) -> State:
    """The state after examples whose gradients, 0 in the mean, have the Fisher matrix diag(h): +-sqrt(3 h_i) e_i."""
    state = criterion.init(weight, torch.Generator())
    criterion.begin_calibration(state, weight)
    for i, h in enumerate(CURVATURE):
        for sign in (-1.0, 1.0):
            gradient = torch.zeros(weight.numel())
            gradient[i] = sign * (3 * h) ** 0.5
            criterion.observe_example(state, weight, gradient.view(weight.shape))
    return state


@pytest.mark.parametrize("criterion", [Fisher(), Obert(block=3)])
def test_second_order_predictions_are_exact_on_a_quadratic(criterion: Criterion) -> None:
    model = one_matrix(THETA)
    weights = PrunableWeights(find_prunable(model))
    weight = torch.tensor(THETA)
    state = calibrated(criterion, weight)
    predicted = criterion.predicted(state, weight)
    assert predicted is not None
    found = measure(
        model, weights.matrices, weights.vector.data, criterion.score(state, weight).view(-1), predicted.view(-1), quadratic,
        Probing(bins=3, singles=3),
    )  # fmt: skip
    assert found.loss == 0
    assert sorted(found.singles.measured) == pytest.approx([0.45, 2.0, 4.5], rel=1e-5)
    assert found.singles.measured == pytest.approx(found.singles.predicted, rel=1e-3)
    assert slope(found.singles) == pytest.approx(1, rel=1e-4)
    assert spearman(found.singles.score, found.singles.measured) == pytest.approx(1)
    assert by_layer(found.bins) == {0: pytest.approx(1)}


def test_magnitude_by_hand() -> None:
    """Scores 1, 2, 3 cost 4.5, 2, 0.45: exactly the wrong order."""
    model = one_matrix(THETA)
    weights = PrunableWeights(find_prunable(model))
    scores = Magnitude().score({}, weights.vector.data)
    found = measure(model, weights.matrices, weights.vector.data, scores, None, quadratic, Probing(bins=3, singles=3))
    assert found.singles.score == [1, 2, 3]
    assert found.singles.measured == pytest.approx([4.5, 2.0, 0.45])
    assert found.singles.predicted is None
    assert slope(found.singles) is None
    assert spearman(found.singles.score, found.singles.measured) == pytest.approx(-1)
    assert torch.equal(weights.vector.data, torch.tensor([1.0, 2.0, 3.0]))


@dataclass(frozen=True)
class Backwards(Criterion):
    """Minus the position."""

    def score(self, state: State, weight: Tensor) -> Tensor:
        return -torch.arange(weight.numel(), dtype=torch.float32)


@pytest.mark.parametrize("conv", [False, True])
def test_groups_are_bins_of_each_matrix_and_the_change_is_that_of_a_model_without_them(conv: bool) -> None:
    model, batch = Blocks(conv=conv), {name: tensor.double() for name, tensor in data().items()}
    weights = PrunableWeights(find_prunable(model))
    base = weights.vector.data.clone()
    scores = Backwards().score({}, base)
    found = measure(
        model, weights.matrices, base, scores, None, lambda m: float(loss_of(m, batch)), Probing(bins=4, singles=5)
    )
    assert found.bins.layer == [0] * 4 + [1] * 4
    assert found.bins.size == [8] * 8
    assert found.layers == ["blocks.0.weight", "blocks.1.weight"]
    copy = Blocks(conv=conv)
    flat = PrunableWeights(find_prunable(copy))
    flat.vector.data[24:32] = 0  # the first matrix's lowest scores are its last entries
    with torch.no_grad():
        whole, without = float(loss_of(model.double(), batch)), float(loss_of(copy.double(), batch))
    assert found.bins.measured[0] == pytest.approx(without - whole, rel=1e-9)
    assert found.singles.score == [-57.0, -44.0, -31.0, -19.0, -6.0]
    assert found.singles.layer == [1, 1, 0, 0, 0]


def on_the_dense_run(seed: int, measured: list[float]) -> Diagnosis:
    """One matrix in so many bins."""
    n = len(measured)
    groups = Groups(layer=[0] * n, size=[1] * n, score=[float(i) for i in range(n)], predicted=None, measured=measured)
    found = Fidelity(step=0, split="train", loss=1.0, layers=["a"], bins=groups, singles=groups)
    shared = SharedRun(step=0, criteria=["magnitude"], correlation=[[1.0]], fidelity={"magnitude": found})
    spec = make_spec(sparsity=0, seed=seed)
    return Diagnosis(id=spec.id, spec=spec, settings={}).model_copy(update={"shared": shared})


def test_seeds_that_were_measured_in_other_bins_are_not_in_the_mean_that_is_drawn() -> None:
    found = [on_the_dense_run(0, [1, 3]), on_the_dense_run(1, [5, 6, 7]), on_the_dense_run(2, [3, 5])]
    drawn = dict(figures(found, {"glue/rte": "rte"}))
    assert list(np.asarray(drawn["fidelity-rte"].axes[0].lines[0].get_ydata())) == [2, 4]


def test_a_slope_by_hand() -> None:
    groups = Groups(layer=[0, 0], size=[1, 1], score=[1, 2], predicted=[1, 2], measured=[0.5, 1.5])
    assert slope(groups) == pytest.approx((0.5 + 3.0) / 5)
    assert slope(groups.model_copy(update={"predicted": [0, 0]})) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-10, 10)), min_size=3, max_size=30))
def test_spearman_is_scipys(pairs: list[tuple[int, float]]) -> None:
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    if len(set(a)) == 1 or len(set(b)) == 1:
        assert np.isnan(spearman(a, b))
    else:
        assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-9)
