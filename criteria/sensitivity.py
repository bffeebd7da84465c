"""Keeps the weights to which the loss is most sensitive, smoothed over training with an uncertainty bonus (PLATON).

    I     = |theta g|
    score = A U     A, U: the moving average and uncertainty of I's window means (criteria/smoothing.py)

Departures: the published code computes I after `optimizer.step()`, from the new weight and the old gradient. Here every
criterion is shown the same moment, before the optimizer, so I uses the weight at which g was taken. Fed the weights after the
step, the scores are the published ones, which the tests hold against a trace. The published default of beta2 varies with the
task (.65 to .95); ours is the one that PINS uses everywhere.

Reference: Zhang et al., PLATON: Pruning Large Transformer Models with Upper Confidence Bound of Weight Importance, ICML 2022,
           https://arxiv.org/abs/2206.12562
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from criteria import smoothing
from criteria.base import Criterion, State, Step
from criteria.options import require_at_least, require_range


def importance(out: Tensor, theta: Tensor, g: Tensor) -> Tensor:
    """|theta g| into `out`."""
    return torch.mul(theta, g, out=out).abs_()


@dataclass(frozen=True)
class Sensitivity(Criterion):
    """|theta g|, averaged over windows, times its uncertainty."""

    beta1: float = 0.85
    """Decay of the moving average A of the window means."""
    beta2: float = 0.99
    """Decay of the moving uncertainty U; 1 switches it off."""
    window: int = 10
    """Steps whose |theta g| is averaged before it enters A."""
    uncertainty: bool = True
    """Multiply A by U; without it the score is A."""
    smooth: bool = True
    """Smooth at all; without it the score is the last step's |theta g|."""

    def __post_init__(self) -> None:
        """Refuse options outside their ranges."""
        require_range("beta1", self.beta1, 0, 1, open_high=True)
        require_range("beta2", self.beta2, 0, 1)
        require_at_least("window", self.window, 1)

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        """M, A, U at zero; M alone where nothing is smoothed."""
        return smoothing.start(weight, smooth=self.smooth, uncertainty=self.uncertainty and self.beta2 < 1)

    def observe(self, state: State, weight: Tensor, grad: Tensor, step: Step) -> None:
        """Fold this step's |theta g| into the window."""
        k = step.index % self.window if self.smooth else 0
        smoothing.update(state, weight, grad, importance, k=k, beta1=self.beta1, beta2=self.beta2)

    def score(self, state: State, weight: Tensor) -> Tensor:
        """A U, or A, or |theta g|."""
        return smoothing.score(state, weight)
