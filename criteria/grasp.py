"""Keeps the weights whose removal would weaken the flow of gradients most (gradient signal preservation).

    removing weight i changes |g|^2 by -2 theta_i (H g)_i to first order; the largest -theta (H g) go
    score = theta (H g)                                     H g averaged over the calibration batches

It was made for untrained networks and one masking: `one_shot` at the first step. In a gradual schedule a weight that is zero
scores 0, above those with a negative score.

Departures: the released code divides the logits by a temperature of 200 and multiplies the Hessian of each half batch with the
gradient of all data; here both come from the same batch and the task's own loss. Its division by the sum of scores changes no
rank. Without calibration |theta| ranks.

Reference: Wang, Zhang & Grosse, Picking Winning Tickets Before Training by Preserving Gradient Flow, ICLR 2020,
           https://arxiv.org/abs/2002.07376
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from criteria.base import Criterion, State


@dataclass(frozen=True)
class Grasp(Criterion):
    """theta (H g)."""

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        """Hg at zero, and the batches seen (on the CPU)."""
        return {"Hg": torch.zeros(weight.shape, device=weight.device), "batches": torch.zeros((), dtype=torch.int64)}

    def begin_calibration(self, state: State, weight: Tensor) -> None:
        """Forget the last masking's products."""
        state["Hg"].zero_()
        state["batches"].zero_()

    def observe_hessian(self, state: State, weight: Tensor, grad: Tensor, product: Tensor) -> None:
        """Add one batch's H g to the mean."""
        state["batches"] += 1
        state["Hg"].lerp_(product, 1 / int(state["batches"]))

    def score(self, state: State, weight: Tensor) -> Tensor:
        """theta (H g); |theta| without calibration."""
        return weight * state["Hg"] if state["batches"].item() else weight.abs()
