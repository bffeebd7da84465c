"""Keeps the weights whose removal costs most to second order, by the diagonal of the Fisher matrix (optimal brain damage).

    F_i   = E[g_i^2]                    g the gradient of one single example; mean over the calibration examples
    score = 1/2 F theta^2

Optimal brain damage has the diagonal of the Hessian where this has F, which is its expectation where the model fits the data.
The square is taken per example: the square of a batch's gradient, averaged over the batch first, is another quantity.

Departures: labels are those of the data (the empirical Fisher), not drawn from the model. Without calibration |theta| ranks.

References: LeCun, Denker & Solla, Optimal Brain Damage, NIPS 1989,
            https://proceedings.neurips.cc/paper/1989/hash/6c9882bbac1c7093bd25041881277658-Abstract.html
            Theis et al., Faster gaze prediction with dense networks and Fisher pruning, 2018, https://arxiv.org/abs/1801.05787
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from criteria.base import Criterion, State


@dataclass(frozen=True)
class Fisher(Criterion):
    """1/2 F theta^2."""

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        """The sum of g^2 at zero, and the examples seen (on the CPU)."""
        return {"sum": torch.zeros(weight.shape, device=weight.device), "examples": torch.zeros((), dtype=torch.int64)}

    def begin_calibration(self, state: State, weight: Tensor) -> None:
        """Forget the last masking's examples."""
        state["sum"].zero_()
        state["examples"].zero_()

    def observe_example(self, state: State, weight: Tensor, grad: Tensor) -> None:
        """Add one example's g^2."""
        state["examples"] += 1
        state["sum"].addcmul_(grad, grad)

    def score(self, state: State, weight: Tensor) -> Tensor:
        """1/2 F theta^2; |theta| without calibration."""
        examples = int(state["examples"])
        return weight.square().mul_(state["sum"]).mul_(0.5 / examples) if examples else weight.abs()

    def predicted(self, state: State, weight: Tensor) -> Tensor | None:
        """The score is a loss: its second-order change."""
        return self.score(state, weight) if state["examples"].item() else None
