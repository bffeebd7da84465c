"""Label smoothing: a small share of the label's probability is spread evenly over all classes.

    loss = mean_d[ (1 - epsilon) L_d + epsilon mean_c(-log softmax(z_d)_c) ]      c over the real classes of decision d
    regression: the task loss, there is nothing to spread

Szegedy et al. 2016, https://arxiv.org/abs/1512.00567. The plainest control for what a teacher's soft targets add
(distillation towards the uniform distribution).
"""

from dataclasses import dataclass

from torch import Tensor, nn

from criteria.common.options import require_range
from criteria.regularizers.base import Batch, Regularizer
from criteria.regularizers.soft_targets import MASKED, classes, is_regression, log_probabilities


@dataclass
class LabelSmoothing(Regularizer):
    """Needs neither a teacher nor a second pass."""

    epsilon: float = 0.1
    """The share that is spread, in [0, 1)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range("epsilon", self.epsilon, 0, 1, open_high=True)

    def loss(self, losses: Tensor, logits: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        if is_regression(logits):
            return losses.mean()
        log_p = log_probabilities(logits).masked_fill(logits <= MASKED, 0)
        uniform = -log_p.sum(dim=-1) / classes(logits)
        return ((1 - self.epsilon) * losses + self.epsilon * uniform).mean()
