"""Keeps the weights with the largest gradients: a control that ignores the weight itself.

    G <- mean over the steps so far of |g|          score = G

Before the first observation |theta| ranks.

Nearest relative: the rule by which RigL lets connections grow, Evci et al., Rigging the Lottery, ICML 2020,
                  https://arxiv.org/abs/1911.11134
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from criteria.base import Criterion, State, Step
from criteria.common.blocks import blocks


@dataclass(frozen=True)
class Gradient(Criterion):
    """The mean of |g|."""

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        """G at zero, and t, the steps seen (on the CPU)."""
        return {"G": torch.zeros(weight.shape, device=weight.device), "t": torch.zeros((), dtype=torch.int64)}

    def observe(self, state: State, weight: Tensor, grad: Tensor, step: Step) -> None:
        """Move G towards |g| by 1/t."""
        state["t"] += 1
        rate = 1 / int(state["t"])
        for out, g, mean in blocks(grad, state["G"]):
            mean.lerp_(torch.abs(g, out=out), rate)

    def score(self, state: State, weight: Tensor) -> Tensor:
        """G; |theta| before the first observation."""
        return state["G"].clone() if state["t"].item() else weight.abs()
