"""Fidelity: does a criterion's score predict how the loss changes when weights are removed?

    predicted   the sum of scores (or of `Criterion.predicted`, in units of the loss) over a group of weights
    measured    L(theta without the group) - L(theta), on a fixed set of batches, without dropout, in double precision up
                to the logits, which tasks return in fp32

Groups are the quantile bins of the score within each matrix, equally large, and single weights at evenly spaced ranks of all.
Spearman's correlation compares the order, the slope of measured on predicted (through zero) the size: 1 is calibrated.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from benchmark.pruning.prunable import Matrix
from benchmark.suite.spec import Strict

Loss = Callable[[nn.Module], float]
"""The mean loss of a model on the fixed batches."""


@dataclass(frozen=True)
class Probing:
    """When fidelity is measured, and on how many groups of weights."""

    at: float = 0.0
    """Share of the training after which the next new mask is examined; 0 is the first one, of a dense model."""
    bins: int = 5
    """Number of quantile bins of each matrix."""
    singles: int = 64
    """Number of single weights."""
    batches: int = 2
    """Number of batches on which the loss is measured."""


class Groups(Strict):
    """Groups of weights, one list entry each."""

    layer: list[int]
    """Position of the matrix in `Fidelity.layers`."""
    size: list[int]
    score: list[float]
    """Sum of scores."""
    predicted: list[float] | None
    """Sum of predicted changes of the loss, where the criterion predicts one."""
    measured: list[float]
    """Change of the loss."""


class Fidelity(Strict):
    """Predicted and measured changes of the loss, for one criterion at one step of one run."""

    step: int
    split: str
    """The split that the batches are from."""
    loss: float
    """The loss with all weights in place."""
    layers: list[str]
    bins: Groups
    singles: Groups


def measure(
    model: nn.Module,
    matrices: Sequence[Matrix],
    weights: Tensor,
    scores: Tensor,
    predicted: Tensor | None,
    loss: Loss,
    probing: Probing,
    *,
    step: int = 0,
    split: str = "",
) -> Fidelity:
    """Zero every group of `weights` [n] (flat, in the order of `matrices`) in a copy of `model`, one after the other.

    `scores` and `predicted` [n] are the criterion's. The model itself is left alone.
    """
    names = [matrix.name for matrix in matrices]
    sizes = [matrix.parameter.numel() for matrix in matrices]
    probe = Probe.of(model, names, weights.split(sizes), loss)
    whole = [scores, predicted]
    bins = probe.groups(_binned(scores.split(sizes), probing.bins), sizes, whole)
    singles = probe.groups(_spread(scores, sizes, probing.singles), sizes, whole)
    return Fidelity(step=step, split=split, loss=probe.base, layers=names, bins=bins, singles=singles)


@dataclass(frozen=True)
class Probe:
    """A copy of the model in double precision whose weights can be zeroed and restored."""

    model: nn.Module
    names: list[str]
    loss: Loss
    base: float

    @classmethod
    def of(cls, model: nn.Module, names: list[str], parts: Sequence[Tensor], loss: Loss) -> "Probe":
        """A copy of `model` with the weights `parts`, one flat tensor for each name."""
        copied = deepcopy(model).double().eval().requires_grad_(False)
        for name, part in zip(names, parts, strict=True):
            copied.get_parameter(name).data.view(-1).copy_(part)
        return cls(copied, names, loss, loss(copied))

    def change(self, layer: int, index: Tensor) -> float:
        """Change of the loss when the entries `index` of a matrix are zero."""
        flat = self.model.get_parameter(self.names[layer]).data.view(-1)
        kept = flat[index].clone()
        flat[index] = 0
        changed = self.loss(self.model) - self.base
        flat[index] = kept
        return changed

    def groups(
        self, groups: Sequence[tuple[int, Tensor]], sizes: Sequence[int], whole: Sequence[Tensor | None]
    ) -> Groups:
        """Sums and measured changes of `groups`, each a matrix and entries of it."""
        scores, predicted = (
            [part.double() for part in one.split(list(sizes))] if one is not None else None for one in whole
        )
        assert scores is not None
        return Groups(
            layer=[layer for layer, _ in groups],
            size=[len(index) for _, index in groups],
            score=[float(scores[layer][index].sum()) for layer, index in groups],
            predicted=None if predicted is None else [float(predicted[layer][index].sum()) for layer, index in groups],
            measured=[self.change(layer, index) for layer, index in groups],
        )


def _binned(parts: Sequence[Tensor], bins: int) -> list[tuple[int, Tensor]]:
    """Within each matrix, its entries in `bins` equal parts from the lowest score to the highest."""
    found = []
    for layer, part in enumerate(parts):
        order = part.argsort(stable=True)
        found += [(layer, index) for index in order.tensor_split(min(bins, len(order)))]
    return found


def _spread(scores: Tensor, sizes: Sequence[int], count: int) -> list[tuple[int, Tensor]]:
    """Single entries at evenly spaced ranks of all scores."""
    n, ends = len(scores), np.cumsum(sizes)
    count = min(count, n)
    ranks = [(2 * i + 1) * n // (2 * count) for i in range(count)]
    chosen = scores.argsort(stable=True)[ranks].tolist()
    layers = np.searchsorted(ends, chosen, side="right")
    starts = [0, *ends.tolist()]
    return [(int(layer), torch.tensor([at - starts[layer]])) for layer, at in zip(layers, chosen, strict=True)]


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Rank correlation of two lists, ties at their mean rank; nan where one of them is constant."""
    from scipy.stats import rankdata

    x, y = rankdata(np.asarray(a)), rankdata(np.asarray(b))
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum() / scale) if scale > 0 else float("nan")


def by_layer(groups: Groups, size: bool = False) -> dict[int, float]:
    """Spearman's correlation of score and measured change (its absolute value for `size`) among the groups of each matrix."""
    found, measured = {}, np.abs(groups.measured) if size else np.array(groups.measured)
    for layer in dict.fromkeys(groups.layer):
        at = [i for i, other in enumerate(groups.layer) if other == layer]
        found[layer] = spearman([groups.score[i] for i in at], measured[at])
    return found


def slope(groups: Groups) -> float | None:
    """Slope of measured on predicted, least squares through zero; None if nothing is predicted."""
    if groups.predicted is None:
        return None
    p, m = np.array(groups.predicted), np.array(groups.measured)
    return float((p * m).sum() / (p * p).sum()) if p.any() else None
