"""One training step after another, as the harness takes it and as the naive loop does: what the measurements call."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmark.bench.naive import NaivePruner
from benchmark.bench.shapes import Shape, batch, build, loss_of
from benchmark.plugins import registry
from benchmark.pruning.dense import Dense
from benchmark.pruning.flat import PrunableWeights
from benchmark.pruning.prunable import find_prunable
from benchmark.pruning.pruner import Pruner
from benchmark.pruning.schedules.base import Schedule
from benchmark.suite.spec import DENSE, Training
from benchmark.training.cpu import prepare
from benchmark.training.cpu.dropout import cheap_dropout
from benchmark.training.optimizer import FlatOptimizer, rate

SPARSITY = 0.8

Loss = Callable[[nn.Module, dict[str, Tensor]], Tensor]


class Stepper:
    """The harness's own step on one batch: flat vectors, fused optimizer, a criterion or none."""

    def __init__(
        self,
        shape: Shape,
        device: torch.device,
        criterion: str,
        schedule: Schedule,
        total: int,
        beside: "Stepper | None" = None,
    ) -> None:
        """With `beside`, these steps are taken on that one's model by that one's optimizer, so that nothing but the criterion differs.

        Where two models lie in memory makes as much of a difference as a criterion. (A latent criterion leaves its own weights in
        the parameters, and the others' steps compute with them: their time is the same.)
        """
        self.training, self.total, self.taken = Training(), total, 0
        if beside is None:
            self.model, self.batch = prepare(build(shape, device), device), batch(shape, device)
            self.weights = PrunableWeights(find_prunable(self.model))
            self.optimizer = FlatOptimizer(self.model, self.weights, self.training)
        else:
            self.model, self.batch = beside.model, beside.batch
            self.weights, self.optimizer = beside.weights, beside.optimizer
        self.pruner: Pruner | Dense = Dense(self.weights)
        if criterion != DENSE:
            self.pruner = Pruner(
                self.model,
                registry.configure("criteria", criterion),
                schedule,
                sparsity=SPARSITY,
                total=total,
                weights=self.weights,
            )

    def __call__(self) -> None:
        """forward, backward, clip, observe, optimizer, prune."""
        lr = rate(self.taken, self.total, self.training)
        with cheap_dropout(self.model, self.optimizer.device):
            loss = loss_of(self.model, self.batch)
        loss.backward()
        self.optimizer.clip(self.training.clip)
        self.pruner.observe(lr, finite=True)
        self.optimizer.step(lr)
        self.pruner.prune()
        self.optimizer.zero_grad()
        self.taken += 1


class NaiveStepper:
    """The naive loop's step on the same batch: an optimizer that loops over parameters, a pruner that loops over names."""

    def __init__(
        self,
        shape: Shape,
        device: torch.device,
        schedule: Schedule,
        total: int,
        loss: Loss = loss_of,
        prunes: bool = True,
    ) -> None:
        self.model, self.batch, self.training, self.total = (
            build(shape, device),
            batch(shape, device),
            Training(),
            total,
        )
        names = {matrix.name for matrix in find_prunable(self.model)}
        self.pruner = NaivePruner(names, schedule, SPARSITY, total) if prunes else None
        self.optimizer = naive_optimizer(self.model, self.training.lr)
        self.loss, self.taken = loss, 0

    def __call__(self) -> None:
        """The published order: backward, clip, update the scores, optimizer, zero; the loss is read every step."""
        lr = rate(self.taken, self.total, self.training)
        loss = self.loss(self.model, self.batch)
        loss.backward()
        naive_update(self.model, self.optimizer, self.pruner, self.taken, lr, self.training.clip)
        loss.item()
        self.taken += 1


def naive_optimizer(model: nn.Module, lr: float) -> torch.optim.Optimizer:
    """AdamW as a plain loop over parameters, without decay."""
    return torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0, foreach=False, fused=False)


def naive_update(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    pruner: NaivePruner | None,
    step: int,
    lr: float,
    clip: float | None,
) -> None:
    """All that follows the naive loop's backward."""
    if clip is not None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
    for group in optimizer.param_groups:
        group["lr"] = lr
    cutoff = pruner.before_step(model, step, lr) if pruner else None
    optimizer.step()
    if pruner:
        pruner.after_step(model, cutoff)
    model.zero_grad()
