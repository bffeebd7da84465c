"""Trains the learned scores S of a criterion by its own optimizer: what movement, soft_movement and l0 share.

    sgd    S <- S - alpha d                                 d the gradient of the loss with respect to S
    adam   p <- .9 p + .1 d;   q <- .999 q + .001 d^2       S <- S - alpha (p / (1 - .9^t)) / (sqrt(q / (1 - .999^t)) + 1e-8)

alpha is the option score_lr, or with score_schedule=weights score_lr times the share of its peak that the learning rate of the
weights has in this step, as in the released movement-pruning code, where S is one more group of parameters of the same schedule.

Reference: Kingma & Ba, Adam, ICLR 2015, https://arxiv.org/abs/1412.6980
"""

import torch
from torch import Tensor

from criteria.base import State, Step
from criteria.common.blocks import blocks

NAMES = ("sgd", "adam")
SCHEDULES = ("constant", "weights")

DECAY_P, DECAY_Q, EPSILON = 0.9, 0.999, 1e-8


def start(scores: Tensor, optimizer: str) -> State:
    """S = `scores`, the moments p and q at zero for adam, and t, the updates so far (on the CPU)."""
    moments = {name: torch.zeros_like(scores) for name in ("p", "q")} if optimizer == "adam" else {}
    return {"S": scores, **moments, "t": torch.zeros((), dtype=torch.int64)}


def alpha(score_lr: float, schedule: str, step: Step) -> float:
    """The learning rate of S in this step."""
    return score_lr * step.rate if schedule == "weights" else score_lr


def descend(state: State, alpha: float, gradient: Tensor, times: Tensor | None = None) -> None:
    """One step of S against d = `gradient` (or `gradient` * `times`), in place; adam where the state holds its moments."""
    state["t"] += 1
    t = int(state["t"])
    moments = [state[name] for name in ("p", "q") if name in state]
    factors = [gradient] if times is None else [gradient, times]
    for out, s, d, *others in blocks(state["S"], *factors, *moments):
        product = d if times is None else torch.mul(d, others.pop(0), out=out)
        if others:
            _adam(out, s, product, *others, alpha=alpha, t=t)
        else:
            s.sub_(product, alpha=alpha)


def _adam(out: Tensor, s: Tensor, d: Tensor, p: Tensor, q: Tensor, *, alpha: float, t: int) -> None:
    """Adam's step `t` of one block; `out` is scratch, and may be `d`, which is read first."""
    p.lerp_(d, 1 - DECAY_P)
    q.mul_(DECAY_Q).addcmul_(d, d, value=1 - DECAY_Q)
    torch.sqrt(q, out=out).div_((1 - DECAY_Q**t) ** 0.5).add_(EPSILON)
    s.addcdiv_(p, out, value=-alpha / (1 - DECAY_P**t))
