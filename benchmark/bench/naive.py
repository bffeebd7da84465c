"""The naive baseline: step and whole cell in the shape of the published loops, kept naive on purpose.

One pass of Python over `named_parameters` a step, statistics in dictionaries, every update a new tensor; to mask, all scores
are concatenated, `kthvalue` finds the cut-off, `.item()` waits for it, and each parameter is compared and filled on its own, with
its score computed a second time. The arithmetic is that of `principled`, so that masks can be compared: the published rule
k = int(n sparsity) and a strict `<` spare the k-th weight and its ties.

In a whole cell every batch is padded to max_length; a teacher runs on every step (the checkpoint with the best development score so
far, looked for every 50 steps; distillation cannot be switched off there); the loss is read every step; evaluation goes at the
training batch size, padded likewise; AdamW is a loop over parameters. What differs from the published code: the first teacher is
the model's own beginning (there: a fine-tuned model of the hub, which lasts one batch), weight matrices alone are ranked, as in the
harness's cell beside it, and the score is that of the last weights rather than the best of all evaluations.

References: the released code of Ren & Zhu (PINS, https://arxiv.org/abs/2305.12394), whose loop is that of Zhang et al. (PLATON,
            https://arxiv.org/abs/2206.12562).
"""

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.bench.stepper import SPARSITY, Shape, batch, build, loss_of
from benchmark.bench.timing import wait
from benchmark.machine.environment import seed_everything
from benchmark.plugins import registry
from benchmark.pruning.prunable import find_prunable
from benchmark.pruning.schedules.base import Schedule
from benchmark.suite.spec import RunSpec, Training
from benchmark.training.optimizer import rate
from tasks.base import Batch
from tasks.pipeline.batching import Rows
from tasks.pipeline.features import Features
from tasks.pipeline.prepared import PreparedTask

EVERY = 50
"""Steps between evaluations, as in the published code (`--logging_steps 50 --evaluate_during_training`)."""

TEMPERATURE = 2.0
BETA1, BETA2 = 0.85, 0.99


class NaivePruner:
    """Scores the parameters called `names` and zeroes the lowest on `schedule`, a parameter at a time."""

    def __init__(self, names: set[str], schedule: Schedule, sparsity: float, total: int, *, window: int = 10) -> None:
        self.names, self.schedule, self.target, self.total = names, schedule, sparsity, total
        self.window = window
        self.importance: dict[str, Tensor] = {}
        self.average: dict[str, Tensor] = {}
        self.uncertainty: dict[str, Tensor] = {}

    def before_step(self, model: nn.Module, step: int, lr: float) -> float | None:
        """Update the statistics; find the score cut-off if a mask is due after this step."""
        self._update(model, step, lr)
        if self.schedule.due(step, self.total):
            return self._cutoff(self.schedule.sparsity(step, self.total, self.target))
        return None

    def after_step(self, model: nn.Module, cutoff: float | None) -> None:
        """Zero the weights that score below the cut-off."""
        if cutoff is None:
            return
        scores = self.scores()
        for name, parameter in model.named_parameters():
            if name in self.names:
                parameter.data.masked_fill_(scores[name] < cutoff, 0.0)

    def scores(self) -> dict[str, Tensor]:
        """A U for every parameter."""
        return {name: self.average[name] * self.uncertainty[name] for name in self.average}

    @torch.no_grad()
    def _update(self, model: nn.Module, step: int, lr: float) -> None:
        k = step % self.window
        for name, p in model.named_parameters():
            if name not in self.names:
                continue
            assert p.grad is not None
            if name not in self.average:
                self.importance[name] = torch.zeros_like(p)
                self.average[name] = torch.zeros_like(p)
                self.uncertainty[name] = torch.zeros_like(p)
            if k == 0:
                self.average[name] = BETA1 * self.average[name] + (1 - BETA1) * self.importance[name]
                spread = (self.importance[name] - self.average[name]).abs()
                self.uncertainty[name] = BETA2 * self.uncertainty[name] + (1 - BETA2) * spread
            importance = (-p * p.grad + lr * p.grad * p.grad).abs()
            self.importance[name] = importance if k == 0 else (self.importance[name] * k + importance) / (k + 1)

    def _cutoff(self, sparsity: float) -> float:
        scores = torch.cat([score.view(-1) for score in self.scores().values()])
        return torch.kthvalue(scores, max(1, int(len(scores) * sparsity))).values.item()


class NaiveStepper:
    """The naive loop's step: an optimizer that loops over parameters, a pruner that loops over names."""

    def __init__(self, shape: Shape, device: torch.device, schedule: Schedule, total: int, prunes: bool = True) -> None:
        self.model, self.batch = build(shape, device), batch(shape, device)
        self.training, self.total = Training(), total
        names = {matrix.name for matrix in find_prunable(self.model)}
        self.pruner = NaivePruner(names, schedule, SPARSITY, total) if prunes else None
        self.optimizer = naive_optimizer(self.model, self.training.lr)
        self.taken = 0

    def __call__(self) -> None:
        """The published order: backward, clip, update the scores, optimizer, zero; the loss is read every step."""
        lr = rate(self.taken, self.total, self.training)
        loss = loss_of(self.model, self.batch)
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
    """Everything after the backward pass of the naive loop."""
    if clip is not None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
    for group in optimizer.param_groups:
        group["lr"] = lr
    cutoff = pruner.before_step(model, step, lr) if pruner else None
    optimizer.step()
    if pruner:
        pruner.after_step(model, cutoff)
    model.zero_grad()


@dataclass
class NaiveCell:
    """The result of a naive cell: its last score, total seconds, seconds of its parts, number of evaluations, weights."""

    score: float = 0.0
    seconds: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)
    evaluations: int = 0
    model: nn.Module = field(default_factory=nn.Module)


def run_naive(spec: RunSpec, prepared: PreparedTask[Any], device: torch.device) -> NaiveCell:
    """Train, prune and evaluate the cell `spec` naively, in the precision that is set; `prepared` is read and tokenized already."""
    started, cell = time.perf_counter(), NaiveCell()
    seed_everything(spec.seed)
    size = spec.training.batch_size
    task = padded(prepared, size)
    cell.model = model = prepared.build(spec.seed).to(device)
    total = spec.training.total(prepared.rows["train"])
    names = {matrix.name for matrix in find_prunable(model)}
    pruner = NaivePruner(names, registry.configure("schedules", spec.schedule), spec.sparsity, total)
    optimizer = naive_optimizer(model, spec.training.lr)
    teacher = copy.deepcopy(model).eval()
    best, batches = float("-inf"), shuffled(task, size, spec.seed)
    for step in range(total):
        model.train()
        batch = {name: tensor.to(device) for name, tensor in next(batches).items()}
        loss = _loss(task, model, teacher, batch, cell, device)
        loss.backward()
        naive_update(model, optimizer, pruner, step, rate(step, total, spec.training), spec.training.clip)
        loss.item()
        if step % EVERY == 0 or step == total - 1:
            cell.score = _evaluate(task, model, cell, device)
            if cell.score > best:
                best = cell.score
                teacher.load_state_dict(copy.deepcopy(model.state_dict()))
    wait(device)
    cell.seconds = time.perf_counter() - started
    return cell


def _loss(
    task: PreparedTask[Any], model: nn.Module, teacher: nn.Module, batch: Batch, cell: NaiveCell, device: torch.device
) -> Tensor:
    """alpha T^2 CE(teacher, student) + (1 - alpha) CE(label, student), alpha 1 - H / log C; regression: the task loss alone."""
    losses, logits = task.forward(model, batch)
    with torch.no_grad(), _timed(cell, "teacher", device):
        target = task.forward(teacher, batch)[1]
    if logits.shape[1] == 1:
        return losses.mean()
    student = F.softmax(logits.detach(), dim=-1)
    entropy = -(student * student.clamp(min=1e-12).log()).sum(-1)
    alpha = 1 - entropy / torch.tensor(float(logits.shape[1])).log()
    soft = F.softmax(target / TEMPERATURE, dim=-1) * F.log_softmax(logits / TEMPERATURE, dim=-1)
    return (alpha * -soft.sum(-1) * TEMPERATURE**2 + (1 - alpha) * losses).mean()


def _evaluate(task: PreparedTask[Any], model: nn.Module, cell: NaiveCell, device: torch.device) -> float:
    """The score on the reported split, as published."""
    cell.evaluations += 1
    with _timed(cell, "evaluation", device):
        return task.evaluate(model, "reported").metrics[task.metric]


@contextmanager
def _timed(cell: NaiveCell, part: str, device: torch.device) -> Iterator[None]:
    wait(device)
    started = time.perf_counter()
    yield
    wait(device)
    cell.parts[part] = cell.parts.get(part, 0.0) + time.perf_counter() - started


def padded(prepared: PreparedTask[Any], size: int) -> PreparedTask[Any]:
    """A copy that shares data and checkpoint: batches padded to the task's max_length, evaluated `size` rows at a time in order."""
    made = copy.copy(prepared)
    length = prepared.setting.max_length

    def collate(features: Features, rows: Rows) -> Batch:
        return lengthened(prepared.collate(features, rows), length, dict(prepared.pads))

    made.collate = collate  # type: ignore[method-assign]
    made.evaluation_batches = lambda split: made.batches(split, size, None)  # type: ignore[method-assign]
    return made


def shuffled(prepared: PreparedTask[Any], size: int, seed: int) -> Iterator[Batch]:
    """Endless training batches in random order, not grouped by length; the last of an epoch may be smaller."""
    features, generator = prepared.features("train"), np.random.default_rng(seed)
    while True:
        order = generator.permutation(len(features))
        for start in range(0, len(order), size):
            yield prepared.collate(features, order[start : start + size])


def lengthened(batch: Batch, length: int, pads: dict[str, int]) -> Batch:
    """The batch with its token columns [rows, width] filled up to `length` columns."""
    columns = {**pads, "attention_mask": 0}
    return {
        name: F.pad(tensor, (0, length - tensor.shape[1]), value=columns[name]) if name in columns else tensor
        for name, tensor in batch.items()
    }
