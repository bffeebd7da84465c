"""The optimizer over flat vectors, and its learning rate: linear warm-up, then linear decay to zero."""

from collections.abc import Sequence

import torch
from torch import nn

from benchmark.pruning.flat import Flat, PrunableWeights
from benchmark.pruning.schedules.base import steps
from benchmark.suite.spec import Training

EPSILON = 1e-6
"""What torch adds to the gradient norm before dividing by it."""


def rate(step: int, total: int, training: Training) -> float:
    """Learning rate of optimizer step `step` (from 0): (t + 1)/W up to W, then (T - t)/(T - W) of the peak."""
    # min: runs shorter than their warm-up are refused now, but `verify` computes the rates of older records too.
    warm = min(steps(training.warmup, total), total)
    share = (step + 1) / warm if step < warm else (total - step) / max(1, total - warm)
    return training.lr * share


class FlatOptimizer:
    """AdamW (or Adamax) on three flat vectors: the prunable matrices, the other matrices, and biases and norms (no decay)."""

    def __init__(self, model: nn.Module, prunable: PrunableWeights, training: Training) -> None:
        known = {id(parameter) for parameter in prunable.parameters}
        rest = [p for p in model.parameters() if p.requires_grad and id(p) not in known]
        self.flats: list[Flat] = [prunable]
        self.flats += [
            Flat(group) for group in ([p for p in rest if p.dim() > 1], [p for p in rest if p.dim() <= 1]) if group
        ]
        groups = [
            {"params": [flat.vector], "weight_decay": training.weight_decay if flat.parameters[0].dim() > 1 else 0.0}
            for flat in self.flats
        ]
        if training.optimizer == "adamax":
            self.torch: torch.optim.Optimizer = torch.optim.Adamax(groups, lr=training.lr, foreach=True)
        else:
            self.torch = torch.optim.AdamW(groups, lr=training.lr, fused=True)

    @property
    def device(self) -> torch.device:
        """Device of the vectors."""
        return self.flats[0].vector.device

    @property
    def vectors(self) -> Sequence[nn.Parameter]:
        """The parameters of the torch optimizer."""
        return [flat.vector for flat in self.flats]

    def clip(self, norm: float | None) -> None:
        """Scale all gradients so that their joint norm is at most `norm`, as torch's own clipping does."""
        if norm is None:
            return
        found = torch.nn.utils.get_total_norm([flat.grad for flat in self.flats])
        if self.device.type == "cpu" and norm / (found + EPSILON) >= 1:
            return  # saves a pass over all gradients; on a GPU the check itself would have to wait
        torch.nn.utils.clip_grads_with_norm_(self.vectors, norm, found)

    def step(self, lr: float) -> None:
        """One step at learning rate `lr`."""
        for group in self.torch.param_groups:
            group["lr"] = lr
        self.torch.step()

    def zero_grad(self) -> None:
        """Zero the flat gradients in place: the parameters' own are views of them."""
        for flat in self.flats:
            flat.grad.zero_()
