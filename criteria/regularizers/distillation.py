"""Distillation: the student also imitates a dense model that was fine-tuned on the same task and seed.

    loss = mean_d[ (1 - alpha) L_d + alpha T^2 KL(softmax(z'_d / T) || softmax(z_d / T)) ]     z' the teacher's logits
    regression:    (1 - alpha) L_d + alpha (z_d - z'_d)^2

Hinton, Vinyals & Dean 2015, https://arxiv.org/abs/1503.02531. KL and cross-entropy to the teacher have one gradient; KL is 0
where the student agrees. L_d is the task loss of decision d. The gradient keeps its scale as T changes, thanks to T^2.

The teacher runs on every batch, unless the harness has its outputs for the very same batch from another cell: with other
companions an example is padded to another length and its logits differ in the last bits, and each epoch draws new batches.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from criteria.common.options import require_positive, require_range
from criteria.regularizers.base import Batch, Forward, Regularizer
from criteria.regularizers.soft_targets import divergence, is_regression, squared_distance, teach


@dataclass
class Distillation(Regularizer):
    """Nothing to save in a checkpoint: the teacher is fixed and given to `begin` again."""

    needs_teacher = True

    alpha: float = 0.5
    """Weight of the teacher, in [0, 1]; the label has the rest."""
    temperature: float = 2.0
    """T, by which both models' logits are divided."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range("alpha", self.alpha, 0, 1)
        require_positive("temperature", self.temperature)

    def begin(self, forward: Forward, teacher: nn.Module | None) -> None:
        if teacher is None:
            raise ValueError(
                "distillation was given no teacher: expected a dense model fine-tuned on the same task and seed"
            )
        self._forward, self._teacher = forward, teacher

    def loss(self, losses: Tensor, logits: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        target = teach(self._forward, self._teacher, batch)
        return ((1 - self.alpha) * losses + self.alpha * self.imitation(logits, target)).mean()

    def imitation(self, logits: Tensor, target: Tensor) -> Tensor:
        """What the student pays for departing from the teacher, per decision [decisions]."""
        if is_regression(logits):
            return squared_distance(logits, target)
        return self.temperature**2 * divergence(logits, target, self.temperature)
