"""The training loop, on one screen. It knows no criterion, no regularizer and no task by name.

forward -> regularizer.loss -> backward -> clip -> pruner.observe -> optimizer.step -> pruner.prune
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import median

import torch
from torch import Tensor, nn

from benchmark.dense import Dense
from benchmark.environment import autocast
from benchmark.errors import PrunebenchError
from benchmark.optimizer import FlatOptimizer, rate
from benchmark.pruner import Pruner
from benchmark.record import Point
from benchmark.spec import RunSpec
from criteria.regularizers.base import Regularizer
from tasks.base import Batch, Prepared

POINTS = 50
"""Points of the training curve: the loss is read from the device so often and no more."""

Progress = Callable[[int, int, float, float], None]
"""(steps done, steps planned, loss, measured sparsity)"""


def silent(*_: float) -> None:
    """Progress that nobody watches."""


@dataclass
class Run:
    """One run in progress: what the loop works on, and what it has seen so far."""

    spec: RunSpec
    prepared: Prepared
    model: nn.Module
    pruner: Pruner | Dense
    optimizer: FlatOptimizer
    regularizer: Regularizer
    device: torch.device
    total: int
    score: Callable[[], float | None]
    """Scores the model on what the selection protocol looks at; None where it looks at nothing."""
    progress: Progress
    step: int = 0
    curve: list[Point] = field(default_factory=list)
    best: tuple[float, int, dict[str, Tensor]] | None = None
    """Score, step and weights of the best checkpoint at full sparsity, under protocols that select."""
    intervals: list[tuple[int, float]] = field(default_factory=list)
    """Steps from one point of the curve to the next, and the seconds they took."""


def train(run: Run) -> None:
    """Train and prune `run.model` in place; afterwards the model holds the weights to report."""
    run.model.train()
    running, since, began = torch.zeros((), device=run.device), 0, time.perf_counter()
    checkpoints = moments(run.total, run.spec.training.checkpoints)
    points = moments(run.total, POINTS)
    for batch in stream(run.prepared, run.spec, run.step, run.total):
        lr = rate(run.step, run.total, run.spec.training)
        running += _step(run, {name: tensor.to(run.device, non_blocking=True) for name, tensor in batch.items()}, lr)
        run.step, since = run.step + 1, since + 1
        if run.step == run.total:
            run.pruner.finish()
        if run.step in points or run.step in checkpoints:
            loss = _finite(running.item() / since, run.step)  # waits for the device, so that the clock is right
            run.intervals.append((since, time.perf_counter() - began))
            score = _checkpoint(run) if run.step in checkpoints else None
            sparsity = run.pruner.measure()
            run.curve.append(Point(step=run.step, loss=loss, lr=lr, sparsity=sparsity, score=score))
            run.progress(run.step, run.total, loss, sparsity)
            running.zero_()
            since, began = 0, time.perf_counter()
    if run.best is not None:
        run.model.load_state_dict(run.best[2])


def _step(run: Run, batch: Batch, lr: float) -> Tensor:
    """One optimizer step; the loss, detached."""
    with autocast(run.device):
        losses, logits = run.prepared.forward(run.model, batch)
        loss = run.regularizer.loss(losses, logits, run.model, batch)
    loss.backward()
    run.optimizer.clip(run.spec.training.clip)
    if run.spec.call_point == "before":
        run.pruner.observe(lr)
    run.optimizer.step(lr)
    if run.spec.call_point == "after":
        run.pruner.observe(lr)
    run.pruner.prune()
    run.optimizer.zero_grad()
    return loss.detach()


def _checkpoint(run: Run) -> float | None:
    """Score the model as it would be reported, let the regularizer adopt it, keep it if it is the best so far."""
    with run.pruner.evaluating():
        score = run.score()
        if run.step < run.total:
            run.regularizer.evaluated(run.model, score, run.pruner.measure())
        if score is not None and _is_best(run, score):
            run.best = score, run.step, {name: value.clone() for name, value in run.model.state_dict().items()}
    return score


def _is_best(run: Run, score: float) -> bool:
    """Whether a protocol that selects takes these weights: pruned to the target, and of equal scores the longer trained."""
    if run.spec.selection == "last" or not run.pruner.reached:
        return False
    return run.best is None or score >= run.best[0]


def stream(prepared: Prepared, spec: RunSpec, start: int, total: int) -> Iterator[Batch]:
    """Training batches of steps `start` to `total`, epoch after epoch; the same for every cell of one task and seed."""
    step, epoch = 0, 0
    while step < total:
        count = 0
        for batch in prepared.batches("train", spec.training.batch_size, seed=1000 * spec.seed + epoch):
            if step >= total:
                return
            if step >= start:
                yield batch
            step, count = step + 1, count + 1
        if count == 0:
            raise PrunebenchError(f"{spec.task}: the training split is empty")
        epoch += 1


def moments(total: int, count: int) -> set[int]:
    """`count` evenly spaced steps up to and including `total` (fewer where the run is shorter)."""
    return {max(1, round(total * i / count)) for i in range(1, count + 1)}


def typical(intervals: list[tuple[int, float]]) -> float:
    """Median over the intervals of the mean seconds of a step."""
    return median(seconds / steps for steps, seconds in intervals) if intervals else 0.0


def _finite(loss: float, step: int) -> float:
    if loss != loss or loss in (float("inf"), float("-inf")):
        raise PrunebenchError(f"the loss is {loss} at step {step}: try a lower learning rate or a longer warm-up")
    return loss
