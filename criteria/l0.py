"""Learns a random gate on every weight and pays for the expected number of open ones (hard concrete L0 regularization).

    u ~ Uniform(0, 1)                                                 one draw a weight and step
    s     = sigmoid((log u - log(1 - u) + S) / b)                     b = 2/3; S is the paper's log alpha
    z     = min(1, max(0, s (r - l) + l))                             l = -0.1, r = 1.1; the forward pass uses theta z
    d     = theta g [0 < z < 1] (r - l) s (1 - s) / b  +  lambda p (1 - p) / n        p = sigmoid(S - b log(-l / r))
    S <- optimizer step against d
    evaluation: z = min(1, max(0, sigmoid(S) (r - l) + l)); kept where z > 0;  score = S

p is the probability that a gate is open, so the second term of d is the gradient of lambda mean(p), lambda = final_lambda /
matrices. final_lambda decides how much is pruned, whatever was asked for. The draws are a function of a seed (drawn once, in
`init`) and the number of updates so far, so a restored state continues with the same gates, and `observe` knows the gates that
the forward pass used. They are drawn per matrix (on a GPU per stack of matrices): not elementwise.

Departures: defaults are those of the released movement-pruning code, which applies L0 to BERT (Adam at lr 0.1, S = 2.197 at
the start, penalty 125 averaged over the model's matrices, 72 there, alpha on the schedule of the weights' learning rate; no
division by b in evaluation, as in the paper). Before the first observation |theta| ranks.

References: Louizos, Welling & Kingma, Learning Sparse Neural Networks through L0 Regularization, ICLR 2018,
            https://arxiv.org/abs/1712.01312; Sanh, Wolf & Rush, Movement Pruning, 2020, https://arxiv.org/abs/2005.07683
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor

from criteria.base import Criterion, State, Step
from criteria.common import score_optimizer
from criteria.common.options import require_at_least, require_choice, require_positive, require_range
from criteria.common.search import Log, Range

L, R, B = -0.1, 1.1, 2 / 3
EDGE = 1e-4
"""u keeps this distance from 0 and 1."""


@dataclass(frozen=True)
class L0(Criterion):
    """The learned S of hard concrete gates."""

    elementwise: ClassVar[bool] = False
    latent: ClassVar[bool] = True
    stacks: ClassVar[bool] = True
    search: ClassVar[Mapping[str, Range]] = {"final_lambda": Log(10.0, 1000.0), "score_lr": Log(1e-2, 0.5)}

    final_lambda: float = 125.0
    """The penalty on the mean probability of an open gate; larger prunes more."""
    matrices: int = 0
    """The number of matrices over which the penalty is averaged; 0: the prunable ones of the model (published)."""
    start: float = 0.9
    """sigmoid(S) at the beginning."""
    score_optimizer: str = "adam"
    """What moves S: adam (published) or sgd."""
    score_lr: float = 0.1
    """The peak of alpha, the learning rate of S."""
    score_schedule: str = "weights"
    """alpha follows the schedule of the weights' learning rate (weights: published) or stays constant."""

    def __post_init__(self) -> None:
        """Refuse options outside their ranges."""
        super().__post_init__()
        require_at_least("final_lambda", self.final_lambda, 0)
        require_at_least("matrices", self.matrices, 0)
        require_range("start", self.start, 0.1, 0.999)
        require_choice("score_optimizer", self.score_optimizer, score_optimizer.NAMES)
        require_positive("score_lr", self.score_lr)
        require_choice("score_schedule", self.score_schedule, score_optimizer.SCHEDULES)

    @property
    def exact(self) -> bool:
        """It decides itself how much to prune."""
        return False

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        """S at logit(start), the optimizer's moments, and the seed of all draws."""
        scores = torch.full(weight.shape, math.log(self.start / (1 - self.start)), device=weight.device)
        seed = torch.randint(2**53, (), generator=generator)
        return {**score_optimizer.start(scores, self.score_optimizer), "seed": seed}

    def observe(self, state: State, weight: Tensor, grad: Tensor, step: Step) -> None:
        """Move S one step against d, through the gates that the forward pass used."""
        s = _concrete(state)
        stretched = s * (R - L) + L
        inside = (stretched > 0) & (stretched < 1)
        d = s.mul_(1 - s).mul_((R - L) / B).mul_(inside).mul_(weight).mul_(grad)
        p = torch.sigmoid(state["S"] - B * math.log(-L / R))
        n = weight.shape[-2] * weight.shape[-1]
        d.add_(p.mul_(1 - p), alpha=self.final_lambda / (self.matrices or step.matrices) / n)
        score_optimizer.descend(state, score_optimizer.alpha(self.score_lr, self.score_schedule, step), d)

    def score(self, state: State, weight: Tensor) -> Tensor:
        """S; |theta| before the first observation."""
        return state["S"].clone() if state["t"].item() else weight.abs()

    def gate(self, state: State, weight: Tensor, mask: Tensor, training: bool) -> Tensor:
        """z: random in training, whatever the mask, so that closed gates may open again; without noise and masked otherwise."""
        if training:
            return _stretch(_concrete(state))
        return _stretch(torch.sigmoid(state["S"])) * mask

    def keep(self, state: State, weight: Tensor, step: Step) -> Tensor:
        """Where the gate without noise is open."""
        return _stretch(torch.sigmoid(state["S"])) > 0


def _stretch(s: Tensor) -> Tensor:
    """z from s, in place."""
    return s.mul_(R - L).add_(L).clamp_(0, 1)


@cache
def _generator(device: torch.device) -> torch.Generator:
    """One for all matrices and steps, seeded again for each: making one takes a device longer than drawing from it."""
    return torch.Generator(device=device)


def _concrete(state: State) -> Tensor:
    """s of the coming update: a function of S, the seed and the updates so far."""
    scores = state["S"]
    generator = _generator(scores.device).manual_seed(int(state["seed"]) + int(state["t"]))
    u = torch.rand(scores.shape, generator=generator, device=scores.device).clamp_(EDGE, 1 - EDGE)
    return u.logit_().add_(scores).div_(B).sigmoid_()
