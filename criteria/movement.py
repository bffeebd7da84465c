"""Keeps the weights that training moves away from zero (movement pruning).

    S <- S - alpha theta g          score = S

theta is the latent weight, g the gradient at theta m, so theta g is the gradient of the loss with respect to the mask entry m,
passed straight through to S. Pruned weights get no gradient themselves, but their scores still move and they may return.
`score_optimizer=sgd` is the formula of the paper, where a constant alpha drops out of the ranking; `adam` is what the
released code trains S with, at lr 1e-2.

Departures: alpha stays constant where the released code lets it follow the schedule of the weights' learning rate. Which weights
compete (the released code ranks each matrix by itself) is the suite's scope. Before the first observation |theta| ranks, for
S is 0 everywhere.

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
from criteria.common.search import Choice, Log, Range


@dataclass(frozen=True)
class Movement(Criterion):
    """The accumulated -theta g, over latent weights."""

    latent: ClassVar[bool] = True
    search: ClassVar[Mapping[str, Range]] = {
        "score_optimizer": Choice(score_optimizer.NAMES),
        "score_lr": Log(1e-3, 1e-1),
    }

    score_optimizer: str = "sgd"
    """What moves S along -theta g: sgd (the paper's formula) or adam (the released code)."""
    score_lr: float = 0.01
    """alpha, the learning rate of S; with sgd it does not change the ranking."""

    def __post_init__(self) -> None:
        """Refuse unknown optimizers and rates that are not positive."""
        require_choice("score_optimizer", self.score_optimizer, score_optimizer.NAMES)
        require_positive("score_lr", self.score_lr)

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        """S at zero, and the optimizer's moments."""
        return score_optimizer.start(torch.zeros(weight.shape, device=weight.device), self.score_optimizer)

    def observe(self, state: State, weight: Tensor, grad: Tensor, step: Step) -> None:
        """Move S one step along -theta g."""
        score_optimizer.descend(state, self.score_lr, weight, grad)

    def score(self, state: State, weight: Tensor) -> Tensor:
        """S; |theta| before the first observation."""
        return state["S"].clone() if state["t"].item() else weight.abs()
