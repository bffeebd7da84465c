"""Keeps the weights whose removal changes the loss most to first order, accumulated over training.

    T <- T + |theta g|     (squared: T + (theta g)^2)          score = T

With a `one_shot` schedule at the first step this is SNIP, connection sensitivity at initialisation, on one batch.

Departures: Molchanov et al. rank whole filters and forget T after each pruning; here single weights are ranked and T sums the
whole run. SNIP divides by the sum of all scores, which changes no rank. Before the first observation |theta| ranks.

References: Molchanov et al., Importance Estimation for Neural Network Pruning, CVPR 2019, https://arxiv.org/abs/1906.10771
            Lee, Ajanthan & Torr, SNIP, ICLR 2019, https://arxiv.org/abs/1810.02340
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from criteria.base import Criterion, State, Step
from criteria.common.blocks import blocks


@dataclass(frozen=True)
class Taylor(Criterion):
    """The sum of |theta g|, or of its square."""

    squared: bool = False
    """Accumulate (theta g)^2 (Molchanov et al.) in place of |theta g| (SNIP)."""

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        """T at zero, and t, the steps seen (on the CPU)."""
        return {"T": torch.zeros(weight.shape, device=weight.device), "t": torch.zeros((), dtype=torch.int64)}

    def observe(self, state: State, weight: Tensor, grad: Tensor, step: Step) -> None:
        """Add this step's |theta g| or (theta g)^2."""
        state["t"] += 1
        for out, theta, g, total in blocks(weight, grad, state["T"]):
            torch.mul(theta, g, out=out)
            total.add_(out.square_() if self.squared else out.abs_())

    def score(self, state: State, weight: Tensor) -> Tensor:
        """T; |theta| before the first observation."""
        return state["T"].clone() if state["t"].item() else weight.abs()

    def predicted(self, state: State, weight: Tensor) -> Tensor | None:
        """The mean of |theta g| over the steps; its square is no loss."""
        return state["T"] / state["t"].item() if state["t"].item() and not self.squared else None
