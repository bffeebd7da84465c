"""A whole cell as the published code runs it: the baseline that a cell of the harness is measured against.

Every batch padded to max_length; a teacher forward on every step (the checkpoint with the best development score so far, looked for
every 50 steps; distillation cannot be switched off there); the loss read every step; evaluation at the training batch size, padded
likewise; AdamW as a loop over parameters; scores and masks as in naive.py. What differs from the published code: the first
teacher is the model's own beginning (there: a fine-tuned model of the hub, which lasts one batch), weight matrices alone are
ranked, as in the harness's cell beside it, and the score is that of the last weights rather than the best of all evaluations.
"""

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.bench.naive import NaivePruner
from benchmark.bench.padded import padded, shuffled
from benchmark.bench.steps import naive_optimizer, naive_update
from benchmark.bench.timing import wait
from benchmark.machine.environment import seed_everything
from benchmark.plugins import registry
from benchmark.pruning.prunable import find_prunable
from benchmark.suite.spec import RunSpec
from benchmark.training.optimizer import rate
from tasks.base import Batch
from tasks.pipeline.prepared import PreparedTask

EVERY = 50
"""Steps between evaluations, as published (`--logging_steps 50 --evaluate_during_training`)."""

TEMPERATURE = 2.0


@dataclass
class NaiveCell:
    """What a naive cell gave: its last score, all of its seconds, those of its parts, how often it evaluated, its weights."""

    score: float = 0.0
    seconds: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)
    evaluations: int = 0
    model: nn.Module = field(default_factory=nn.Module)


def run_naive(spec: RunSpec, prepared: PreparedTask[Any], device: torch.device) -> NaiveCell:
    """Train, prune and evaluate the cell `spec` naively, in fp32; data are already read and tokenized."""
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
