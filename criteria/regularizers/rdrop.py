"""R-Drop: two dropout passes over the same batch must agree.

    loss = mean_d[ (L1_d + L2_d) / 2 + alpha (KL(p1_d || p2_d) + KL(p2_d || p1_d)) / 2 ]       p1, p2 from the two passes
    regression:  (z1_d - z2_d)^2 in place of the divergences

Liang et al., NeurIPS 2021, https://arxiv.org/abs/2106.14448. As in the authors' published snippet the task loss is the mean of
the two passes; the paper's equation sums them, so its alpha is twice this one. Costs a second forward and backward pass.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from criteria.common.options import require_at_least
from criteria.regularizers.base import Batch, Forward, Regularizer
from criteria.regularizers.soft_targets import divergence, is_regression, squared_distance


@dataclass
class Rdrop(Regularizer):
    """Without dropout in the model the two passes are one, and this is the task loss at twice its cost."""

    alpha: float = 1.0
    """Weight of the disagreement; 0 or more."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least("alpha", self.alpha, 0)

    def begin(self, forward: Forward, teacher: nn.Module | None) -> None:
        self._forward = forward

    def loss(self, losses: Tensor, logits: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        second_losses, second = self._forward(model, batch)
        return ((losses + second_losses) / 2 + self.alpha * self.disagreement(logits, second)).mean()

    def disagreement(self, first: Tensor, second: Tensor) -> Tensor:
        """How far the two passes are apart, per decision [decisions]; the gradient flows into both."""
        if is_regression(first):
            return squared_distance(first, second)
        return (divergence(first, second) + divergence(second, first)) / 2
