"""L2-SP: weights are drawn towards their pretrained values instead of towards zero.

    loss = mean_d L_d + alpha / 2 sum_{i: theta_i != 0} (theta_i - theta0_i)^2          theta0 the weights at the first step

Li, Grandvalet & Davoine, ICML 2018, https://arxiv.org/abs/1802.01483. Three departures: the new head, which has no pretrained
values, is drawn towards its own start (the paper: towards zero); weights that are exactly zero are left out, so that the pull does
not bring pruned ones back; and the weights at the first step are those of the forward pass, which `l0`'s random gates have scaled.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from criteria.common.options import require_at_least
from criteria.regularizers.base import Batch, Forward, Regularizer


@dataclass
class L2Sp(Regularizer):
    """Keeps one copy of the trainable weights."""

    alpha: float = 0.01
    """Strength of the pull; 0 or more."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("alpha", self.alpha, 0)

    def begin(self, forward: Forward, teacher: nn.Module | None) -> None:
        self._start: dict[str, Tensor] = {}

    def loss(self, losses: Tensor, logits: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        if not self._start:
            self._start = {name: weight.detach().clone() for name, weight in weights.items()}
        pulls = [((weight - self._start[name]) * (weight != 0)).square().sum() for name, weight in weights.items()]
        return losses.mean() + self.alpha / 2 * torch.stack(pulls).sum()

    def state(self) -> dict[str, Tensor]:
        return dict(self._start)

    def restore(self, state: Mapping[str, Tensor], model: nn.Module) -> None:
        devices = {name: weight.device for name, weight in model.named_parameters()}
        self._start = {name: value.to(devices[name]) for name, value in state.items()}
