"""Keeps the weights to which the loss is most sensitive, smoothed over training with an uncertainty bonus (PLATON).

    I     = |theta g|
    score = A U     A, U: the moving average and uncertainty of I's window means (criteria/common/smoothing.py)

Departures: the published code computes I after `optimizer.step()`, from the new weight and the old gradient. Here every
criterion is shown the same moment, before the optimizer, so I uses the weight at which g was taken. Fed the weights after the
step, the scores are the published ones, which the tests hold against a trace. The published default of beta2 varies with the
task (.65 to .95); ours is the one that PINS uses everywhere.

Reference: Zhang et al., PLATON: Pruning Large Transformer Models with Upper Confidence Bound of Weight Importance, ICML 2022,
           https://arxiv.org/abs/2206.12562
"""

from dataclasses import dataclass

from criteria.base import Step
from criteria.common.smoothing import Importance, Smoothed


@dataclass(frozen=True)
class Sensitivity(Smoothed):
    """|theta g|, averaged over windows, times its uncertainty."""

    def importance(self, step: Step) -> Importance:
        """|theta g|."""
        return Importance()
