"""Keeps the weights whose learned score passes a threshold that rises while a penalty pushes scores down (soft movement).

    kept where sigmoid(S) > tau,        tau = tau_f p,   p the share of the target sparsity that the schedule has reached
    d = theta g + lambda sigmoid'(S) / n,   lambda = final_lambda p / matrices,   n the weights of the matrix
    S <- optimizer step against d

The first term of d passes the mask's gradient straight through both the comparison and the sigmoid, as the released code does;
the second is the gradient of lambda mean(sigmoid(S)). With a cubic schedule tau grows cubically. `rule=threshold` is the
published rule: it decides itself how much to prune, whatever was asked for. `rule=matched` ranks S to the exact target instead.
As published, at least half a percent of every matrix is kept.

Departures: masks are recomputed when the schedule says; `window=1` recomputes them for every forward pass, as published. The
penalty is averaged over the model's own matrices (BERT-base has 72). Before the first observation |theta| ranks.

Reference: Sanh, Wolf & Rush, Movement Pruning, NeurIPS 2020, https://arxiv.org/abs/2005.07683 (section 4 and released code)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from criteria.base import Criterion, State, Step
from criteria.common import score_optimizer
from criteria.common.options import require_at_least, require_choice, require_positive, require_range
from criteria.common.search import Linear, Log, Range

LEAST = 0.005
"""The share of a matrix that is always kept."""


@dataclass(frozen=True)
class SoftMovement(Criterion):
    """The learned S, compared with a rising threshold."""

    elementwise: ClassVar[bool] = False
    latent: ClassVar[bool] = True
    stacks: ClassVar[bool] = True
    search: ClassVar[Mapping[str, Range]] = {
        "final_threshold": Linear(0.05, 0.5),
        "final_lambda": Log(10.0, 1000.0),
        "score_lr": Log(1e-3, 1e-1),
    }

    rule: str = "threshold"
    """threshold (published: it decides itself how much to prune) or matched (S ranked to the exact target)."""
    final_threshold: float = 0.1
    """tau_f, where the threshold on sigmoid(S) ends."""
    final_lambda: float = 400.0
    """The penalty on the mean of sigmoid(S) where it ends; larger prunes more."""
    matrices: int = 0
    """The number of matrices over which the penalty is averaged; 0: the prunable ones of the model (published)."""
    score_optimizer: str = "adam"
    """What moves S: adam (published) or sgd."""
    score_lr: float = 0.01
    """The peak of alpha, the learning rate of S."""
    score_schedule: str = "weights"
    """alpha follows the schedule of the weights' learning rate (weights: published) or stays constant."""

    def __post_init__(self) -> None:
        """Refuse options outside their ranges."""
        super().__post_init__()
        require_choice("rule", self.rule, ("threshold", "matched"))
        require_range("final_threshold", self.final_threshold, 0, 1, open_high=True)
        require_at_least("final_lambda", self.final_lambda, 0)
        require_at_least("matrices", self.matrices, 0)
        require_choice("score_optimizer", self.score_optimizer, score_optimizer.NAMES)
        require_positive("score_lr", self.score_lr)
        require_choice("score_schedule", self.score_schedule, score_optimizer.SCHEDULES)

    @property
    def exact(self) -> bool:
        """Only the matched rule prunes exactly what was asked."""
        return self.rule == "matched"

    def searched(self) -> Mapping[str, Range]:
        """The threshold only where it decides: the matched rule ranks S."""
        return {name: found for name, found in self.search.items() if name != "final_threshold" or not self.exact}

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        """S at zero (sigmoid one half: everything kept), and the optimizer's moments."""
        return score_optimizer.start(torch.zeros(weight.shape, device=weight.device), self.score_optimizer)

    def observe(self, state: State, weight: Tensor, grad: Tensor, step: Step) -> None:
        """Move S one step against d."""
        d = weight * grad
        lam = self.final_lambda * step.progress / (self.matrices or step.matrices)
        if lam:
            sigmoid = torch.sigmoid(state["S"])
            d.add_(sigmoid.mul_(1 - sigmoid), alpha=lam / (weight.shape[-2] * weight.shape[-1]))
        score_optimizer.descend(state, score_optimizer.alpha(self.score_lr, self.score_schedule, step), d)

    def score(self, state: State, weight: Tensor) -> Tensor:
        """S; |theta| before the first observation."""
        return state["S"].clone() if state["t"].item() else weight.abs()

    def keep(self, state: State, weight: Tensor, step: Step) -> Tensor:
        """sigmoid(S) > tau, and at least the half percent with the highest S."""
        scores = state["S"]
        kept = torch.sigmoid(scores) > self.final_threshold * step.progress
        least = int(LEAST * weight.shape[-2] * weight.shape[-1]) + 1
        if scores.device.type == "cpu" and scores.dim() == 2 and int(kept.sum()) >= least:
            return kept
        # What passes tau and the highest few are one within the other; on a device, to know which would be to wait for it.
        highest = scores.flatten(-2).topk(least).indices
        return kept.flatten(-2).scatter(-1, highest, True).view(weight.shape)
