"""Self-regularization (PINS): the student imitates an earlier, less sparse snapshot of its own run where it is confident.

    alpha_d = 1 - H(softmax(z_d)) / log C_d          z the student's logits, no gradient; sure -> teacher, unsure -> label
    loss    = mean_d[ alpha_d T^2 CE(softmax(z'_d / T), softmax(z_d / T)) + (1 - alpha_d) L_d ]      z' the teacher's logits
    regression: alpha_d = `regression_alpha`, and (z_d - z'_d)^2 in place of the cross-entropy

Ren & Zhu, Findings of ACL 2023, https://arxiv.org/abs/2305.12394. C_d counts the real classes of decision d: in span
extraction the positions that can be an answer. Before the first snapshot the loss is the task loss. Regression is ours:
without a distribution there is no confidence. `teacher`: the abstract says the latest checkpoint; the published code keeps the
one with the best score so far, whatever its sparsity (and drops it after one batch, which is not repeated here).
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor, nn

from criteria.common.options import require_choice, require_positive, require_range
from criteria.regularizers.base import Batch, Forward, Regularizer
from criteria.regularizers.soft_targets import classes, cross_entropy, entropy, is_regression, squared_distance, teach

WEIGHTS = "teacher."
"""Prefix of the teacher's tensors in the state."""


@dataclass
class SelfRegularization(Regularizer):
    """Keeps one copy of the model, overwritten in place whenever an evaluated model becomes the teacher."""

    teacher: str = "latest"
    """Which snapshot teaches: `latest`, or `best` by held-out score (of equals the later, sparser one)."""
    temperature: float = 2.0
    """T, by which both models' logits are divided."""
    regression_alpha: float = 0.5
    """Weight of the teacher where the output is one number, in [0, 1]."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("teacher", self.teacher, ("latest", "best"))
        require_positive("temperature", self.temperature)
        require_range("regression_alpha", self.regression_alpha, 0, 1)

    @property
    def needs_score(self) -> bool:
        return self.teacher == "best"

    def begin(self, forward: Forward, teacher: nn.Module | None) -> None:
        self._forward = forward
        self._snapshot: nn.Module | None = None
        self._best = -inf

    def loss(self, losses: Tensor, logits: Tensor, model: nn.Module, batch: Batch) -> Tensor:
        if self._snapshot is None:
            return losses.mean()
        target = teach(self._forward, self._snapshot, batch)
        alpha = self.confidence(logits)
        return (alpha * self.imitation(logits, target) + (1 - alpha) * losses).mean()

    def confidence(self, logits: Tensor) -> Tensor:
        """alpha [decisions] in [0, 1], without gradient; 1 where only one class is left."""
        logits = logits.detach()
        if is_regression(logits):
            return torch.full_like(logits[:, 0], self.regression_alpha)
        most = classes(logits).log().clamp(min=torch.finfo(logits.dtype).tiny)
        return (1 - entropy(logits) / most).clamp(0, 1)

    def imitation(self, logits: Tensor, target: Tensor) -> Tensor:
        """What the student pays for departing from the teacher, per decision [decisions]."""
        if is_regression(logits):
            return squared_distance(logits, target)
        return self.temperature**2 * cross_entropy(logits, target, self.temperature)

    def evaluated(self, model: nn.Module, score: float | None, sparsity: float) -> None:
        if self.needs_score:
            if score is None:
                raise ValueError("self_regularization[teacher=best] was given no held-out score: expected a number")
            if not score >= self._best:
                return
            self._best = score
        self._adopt(model, model.state_dict())

    def state(self) -> dict[str, Tensor]:
        if self._snapshot is None:
            return {}
        weights = {WEIGHTS + name: value.detach().clone() for name, value in self._snapshot.state_dict().items()}
        return {"best": torch.tensor(self._best, dtype=torch.float64), **weights}

    def restore(self, state: Mapping[str, Tensor], model: nn.Module) -> None:
        if state:
            self._best = float(state["best"])
            self._adopt(model, {name.removeprefix(WEIGHTS): state[name] for name in state if name.startswith(WEIGHTS)})

    def _adopt(self, model: nn.Module, weights: Mapping[str, Tensor]) -> None:
        """Let `weights` teach, in a module built like `model`."""
        if self._snapshot is None:
            self._snapshot = deepcopy(model).requires_grad_(False)
        self._snapshot.load_state_dict(weights)
