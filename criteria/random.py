"""Random scores: the control that every table needs.

    score_i = u_i,   u_i ~ Uniform[0, 1)

The noise is drawn once a run, so a weight that was pruned stays pruned as the sparsity grows: what is compared is a random
mask, not a mask that keeps changing. It is drawn per matrix, so it is no function of the weight's own history: not elementwise.

Reference: Liu et al., The Unreasonable Effectiveness of Random Pruning: Return of the Most Naive Baseline for Sparse Training,
           ICLR 2022, https://arxiv.org/abs/2202.02643
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from criteria.base import Criterion, State


@dataclass(frozen=True)
class Random(Criterion):
    """Uniform noise, one draw a run."""

    elementwise: ClassVar[bool] = False

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        """The noise u, shaped like `weight`, from `generator`."""
        return {"u": torch.rand(weight.shape, generator=generator).to(weight.device)}

    def score(self, state: State, weight: Tensor) -> Tensor:
        """The noise of this run."""
        return state["u"].clone()
