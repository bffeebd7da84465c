"""Keeps the weights that training moves away from zero (movement pruning).

    S <- S - alpha theta g          score = S

theta is the latent weight, g the gradient at theta m, so theta g is the gradient of the loss with respect to the mask entry m,
passed straight through to S. Pruned weights get no gradient themselves, but their scores still move and they may return.
`movement` alone is the formula of the paper with a constant alpha, which drops out of the ranking.

The released code trains S with Adam at 1e-2 on the schedule of the weights' learning rate, ranks each matrix by itself and masks at
every forward pass. That recipe is a row of its own, because scope and schedule belong to the suite and not to the criterion:

    methods:
      movement as published:
        criterion: movement[score_optimizer=adam,score_schedule=weights]
        scope: layer
        schedule: cubic[window=1]

`rank=absolute` is a control over the same latent weights: |S|, which asks what the sign of S adds. Early in training that sign is
mostly noise.

Departures: before the first observation |theta| ranks, for S is 0 everywhere. The gradient norm that clipping sees counts the
weights as the forward pass has them, pruned ones too; in the released code it counts the scores beside them.

Reference: Sanh, Wolf & Rush, Movement Pruning: Adaptive Sparsity by Fine-Tuning, NeurIPS 2020, https://arxiv.org/abs/2005.07683
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from criteria.base import Criterion, State, Step
from criteria.common import score_optimizer
from criteria.common.options import require_choice, require_positive
from criteria.common.search import Log, Range

RANKS = ("signed", "absolute")


@dataclass(frozen=True)
class Movement(Criterion):
    """The accumulated -theta g, over latent weights."""

    latent: ClassVar[bool] = True
    search: ClassVar[Mapping[str, Range]] = {"score_lr": Log(1e-3, 1e-1)}

    score_optimizer: str = "sgd"
    """What moves S along -theta g: sgd (the paper's formula) or adam (the released code)."""
    score_lr: float = 0.01
    """The peak of alpha, the learning rate of S; with sgd it does not change the ranking."""
    score_schedule: str = "constant"
    """alpha stays constant, or follows the schedule of the weights' learning rate (weights: published)."""
    rank: str = "signed"
    """signed (S: movement) or absolute (|S|: a control)."""

    def __post_init__(self) -> None:
        """Refuse unknown optimizers and rates that are not positive."""
        super().__post_init__()
        require_choice("score_optimizer", self.score_optimizer, score_optimizer.NAMES)
        require_positive("score_lr", self.score_lr)
        require_choice("score_schedule", self.score_schedule, score_optimizer.SCHEDULES)
        require_choice("rank", self.rank, RANKS)

    def searched(self) -> Mapping[str, Range]:
        """The rate of S, where S is trained by Adam: under sgd it scales every S alike."""
        return {} if self.score_optimizer == "sgd" else self.search

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        """S at zero, and the optimizer's moments."""
        return score_optimizer.start(torch.zeros(weight.shape, device=weight.device), self.score_optimizer)

    def observe(self, state: State, weight: Tensor, grad: Tensor, step: Step) -> None:
        """Move S one step along -theta g."""
        score_optimizer.descend(state, score_optimizer.alpha(self.score_lr, self.score_schedule, step), weight, grad)

    def score(self, state: State, weight: Tensor) -> Tensor:
        """S or |S|; |theta| before the first observation."""
        if not state["t"].item():
            return weight.abs()
        return state["S"].abs() if self.rank == "absolute" else state["S"].clone()
