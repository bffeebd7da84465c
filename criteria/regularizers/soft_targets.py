"""Distances between the outputs of two models, per decision: what distillation in all its forms is made of.

    p = softmax(z / T) over the real classes; a logit at or below MASKED marks a position that is no class (span extraction)

Every function takes logits [decisions, classes] and gives [decisions]; masked positions contribute neither value nor gradient.
With one column (regression) there is no distribution: `squared_distance` takes its place.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from criteria.regularizers.base import Forward

MASKED = -1e4
"""Logits at or below this are masked positions: tasks write large finite negatives there, trained logits stay far above."""


def log_probabilities(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """log softmax(z / T) [decisions, classes]; finite everywhere, about MASKED at masked positions."""
    return F.log_softmax((logits / temperature).masked_fill(logits <= MASKED, MASKED), dim=-1)


def divergence(logits: Tensor, target: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(q || p) = sum_c q_c (log q_c - log p_c), q from `target`, p from `logits`, both at `temperature`."""
    log_p, log_q = log_probabilities(logits, temperature), log_probabilities(target, temperature)
    return (log_q.exp() * (log_q - log_p)).sum(dim=-1)


def cross_entropy(logits: Tensor, target: Tensor, temperature: float = 1.0) -> Tensor:
    """CE(q, p) = - sum_c q_c log p_c, q from `target`, p from `logits`, both at `temperature`."""
    log_p, log_q = log_probabilities(logits, temperature), log_probabilities(target, temperature)
    return -(log_q.exp() * log_p).sum(dim=-1)


def entropy(logits: Tensor) -> Tensor:
    """H(p) = - sum_c p_c log p_c at temperature 1."""
    return cross_entropy(logits, logits)


def classes(logits: Tensor) -> Tensor:
    """The number of real classes of each decision: its logits above MASKED, at least 1."""
    return (logits > MASKED).sum(dim=-1).clamp(min=1).to(logits.dtype)


def squared_distance(logits: Tensor, target: Tensor) -> Tensor:
    """Regression: (z - z')^2 of outputs [decisions, 1]."""
    return (logits - target).square().sum(dim=-1)


def is_regression(logits: Tensor) -> bool:
    """One column is a real-valued output, not a distribution."""
    return logits.shape[-1] == 1


@torch.no_grad()
def teach(forward: Forward, teacher: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """The teacher's logits [decisions, classes] on `batch`: no dropout, no gradient."""
    teacher.eval()
    return forward(teacher, batch)[1]
