"""What a regularizer is: it turns a batch's task losses into the scalar that is minimised. The base class is the null object.

A task's output is a list of decisions: one per example in classification and regression, one per unpadded token in tagging
and generation, two (start, end) per window in span extraction. Everything here is per decision, so one formula serves all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from criteria.common.options import require_types

Batch = Mapping[str, Tensor]
Forward = Callable[[nn.Module, Batch], tuple[Tensor, Tensor]]
"""(model, batch) -> losses [decisions], logits [decisions, classes] (one class: regression)."""


@dataclass
class Regularizer:
    """No regularization: the mean task loss over the batch's decisions.

    Fields are hyperparameters; whatever lives across steps (a teacher) is an attribute set by `begin` and `evaluated`.
    """

    label: ClassVar[str] = ""
    """What tables and figures call it; the name of the class in words if left empty."""

    needs_teacher: ClassVar[bool] = False
    """Wants a dense model fine-tuned on the same task and seed, given to `begin`."""

    def __post_init__(self) -> None:
        """ValueError where an option is not of its type; a subclass that checks more calls this first."""
        require_types(self)

    @property
    def needs_score(self) -> bool:
        """Wants held-out scores in `evaluated`; without it the score may be None."""
        return False

    def begin(self, forward: Forward, teacher: nn.Module | None) -> None:
        """Before the first step: the task's forward, to run a model on a batch, and the dense teacher if asked for.

        `forward` is the training step's own (precision, masks and gates included); the teacher lies on the student's device.
        """

    def loss(self, losses: Tensor, logits: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        """The scalar to minimise from `losses` [decisions] and `logits` [decisions, classes] of `model` on `batch`."""
        return losses.mean()

    def evaluated(self, model: nn.Module, score: float | None, sparsity: float) -> None:
        """Called at each evaluation during training: the masked model, its held-out score (higher is better) and sparsity."""

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint must hold to resume bitwise (a teacher's weights); tensors only."""
        return {}

    def restore(self, state: Mapping[str, Tensor], model: nn.Module) -> None:
        """After `begin`, take back what `state` gave; `model` is the student, to copy the architecture of."""
