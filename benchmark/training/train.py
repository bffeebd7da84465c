"""The training loop, on one screen. It knows no criterion, no regularizer and no task by name.

forward -> regularizer.loss -> backward -> clip -> pruner.observe -> optimizer.step -> pruner.prune
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from math import isfinite
from statistics import median

import torch
from torch import Tensor, nn

from benchmark.board.record import Point
from benchmark.errors import PrunebenchError
from benchmark.machine import interrupt, parallel
from benchmark.machine.environment import git_commit
from benchmark.pruning.dense import Dense
from benchmark.pruning.once import Once, Unpruned
from benchmark.pruning.pruner import Pruner
from benchmark.suite.spec import RunSpec
from benchmark.training.accumulate import backward
from benchmark.training.optimizer import FlatOptimizer, rate
from benchmark.training.prefetch import prefetched
from criteria.regularizers.base import Regularizer
from tasks.base import Batch, Prepared

POINTS = 50
"""Points of the training curve. The loss is read from the device only at these."""

Progress = Callable[[int, int, float, float], None]
"""(steps done, steps planned, loss, measured sparsity)"""


def silent(*_: object) -> None:
    """Ignores what it is told."""


@dataclass
class Job:
    """What a run works on, and what is recorded of it."""

    spec: RunSpec
    prepared: Prepared
    model: nn.Module
    pruner: Pruner | Dense | Once | Unpruned
    regularizer: Regularizer
    device: torch.device
    total: int
    curve: list[Point] = field(default_factory=list)
    best: tuple[float, int, dict[str, Tensor]] | None = None
    """Score, step and weights of the best evaluation at full sparsity, under protocols that select."""
    intervals: list[tuple[int, float]] = field(default_factory=list)
    """Steps from one point of the curve to the next, and the seconds they took."""
    parts: int = 1
    """Parts of a batch that go through the model one after the other: the same step in less memory."""
    compiled: bool = False
    """Whether the model's training steps are compiled."""
    commits: list[str] = field(default_factory=lambda: [git_commit()])
    """Commits of the code that trained it: several where it was resumed by other code."""
    resumed: list[int] = field(default_factory=list)
    """Steps at which the run resumed from a checkpoint."""
    started: float = field(default_factory=time.perf_counter)
    """The clock at the start of the run, minus the seconds that earlier processes spent on it."""


def stop_if_signalled(_: "Run") -> None:
    """The `after_step` of a run that is not saved: end it if a signal asks to."""
    parallel.raise_if_signalled()


@dataclass(kw_only=True)
class Run(Job):
    """One training run in progress: what the loop works on, and what it has seen so far."""

    pruner: Pruner | Dense
    optimizer: FlatOptimizer
    score: Callable[[], float | None]
    """Scores the model on the split that the selection protocol looks at; returns None if it looks at none."""
    progress: Progress
    step: int = 0
    after_step: Callable[["Run"], None] = stop_if_signalled
    """Called at the end of every step; may save the run, or end it by raising."""
    running: Tensor = field(init=False)
    """Sum of the losses since the last point of the curve, kept on the device until the next one."""
    since: int = 0
    """Steps since the last point of the curve."""
    elapsed: float = 0.0
    """Seconds that an earlier process spent since the last point of the curve."""
    began: float = field(default_factory=time.perf_counter)
    """The clock at the last point of the curve."""

    def __post_init__(self) -> None:
        """The sum of losses starts at zero."""
        self.running = torch.zeros((), device=self.device)

    def reset_interval(self) -> None:
        """Start a new interval of the curve."""
        self.running.zero_()
        self.since, self.elapsed, self.began = 0, 0.0, time.perf_counter()


def train(run: Run) -> None:
    """Train and prune `run.model` in place; afterwards the model holds the weights to report."""
    run.model.train()
    run.began = time.perf_counter() - run.elapsed
    with interrupt.deferred():
        batches = stream(run.prepared, run.spec, run.step, run.total)
        for batch in prefetched(batches, run.device, run.prepared.pads):
            lr = rate(run.step, run.total, run.spec.training)
            run.running += _step(run, batch, lr)
            run.step, run.since = run.step + 1, run.since + 1
            if run.step == run.total:
                run.pruner.finish()
            _note(run, lr)
            run.after_step(run)
    if run.best is not None:
        run.model.load_state_dict(run.best[2])


def _step(run: Run, batch: Batch, lr: float) -> Tensor:
    """One optimizer step; the loss, detached."""
    loss = backward(run.prepared.forward, run.regularizer, run.model, batch, run.optimizer, run.parts)
    run.optimizer.clip(run.spec.training.clip)
    # Gradients are not checked here: a run whose loss is not finite ends at the next point of its curve.
    if run.spec.call_point == "before":
        run.pruner.observe(lr, finite=True)
        run.optimizer.step(lr)
    else:
        run.optimizer.step(lr)
        run.pruner.observe(lr, finite=True)
    run.pruner.prune()
    run.optimizer.zero_grad()
    return loss


def _note(run: Run, lr: float) -> None:
    """Add a point to the curve, and evaluate, at the steps where either is due. Only here is the loss read from the device."""
    evaluates = run.step in evenly_spaced(run.total, run.spec.training.checkpoints)
    if not evaluates and run.step not in evenly_spaced(run.total, POINTS):
        return
    # It waits for the device, so that the time measured next is right.
    loss = _finite(run.running.item() / run.since, run.step)
    run.intervals.append((run.since, time.perf_counter() - run.began))
    score = _evaluate(run) if evaluates else None
    sparsity = run.pruner.measure()
    run.curve.append(Point(step=run.step, loss=loss, lr=lr, sparsity=sparsity, score=score))
    run.progress(run.step, run.total, loss, sparsity)
    run.reset_interval()


def _evaluate(run: Run) -> float | None:
    """Score the model as it would be reported, show it to the regularizer, and keep its weights if they are the best so far."""
    with run.pruner.evaluating():
        score = run.score()
        if run.step < run.total:
            utility = None if score is None else _utility(run, score)
            run.regularizer.evaluated(run.model, utility, run.pruner.measure())
        if score is None:
            return None
        if not isfinite(score):  # it selects nothing, and no record could hold it
            _require_selection(run)
            return None
        if _is_best(run, score):
            run.best = score, run.step, {name: value.clone() for name, value in run.model.state_dict().items()}
    return score


def _require_selection(run: Run) -> None:
    """PrunebenchError where the last score is undefined and no weights were selected before."""
    if run.spec.selection != "last" and run.step == run.total and run.best is None:
        raise PrunebenchError(
            f"{run.spec.task}: {run.prepared.metric} was undefined whenever weights could be selected: choose selection last, or "
            "train longer"
        )


def _is_best(run: Run, score: float) -> bool:
    """Whether the selection protocol prefers these weights: at the target sparsity, with the best score; the later of equal ones."""
    if run.spec.selection == "last" or not run.pruner.reached:
        return False
    return run.best is None or _utility(run, score) >= _utility(run, run.best[0])


def _utility(run: Run, score: float) -> float:
    """The score, negated where less is better, so that more is better."""
    return -score if run.prepared.metric in run.prepared.lower_is_better else score


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


@cache
def evenly_spaced(total: int, count: int) -> frozenset[int]:
    """`count` evenly spaced steps up to and including `total` (fewer where the run is shorter)."""
    return frozenset({max(1, round(total * i / count)) for i in range(1, count + 1)})


def typical(intervals: list[tuple[int, float]]) -> float:
    """Median over the intervals of the mean seconds of a step."""
    return median(seconds / steps for steps, seconds in intervals) if intervals else 0.0


def _finite(loss: float, step: int) -> float:
    if not isfinite(loss):
        raise PrunebenchError(f"the loss is {loss} at step {step}: try a lower learning rate or a longer warm-up")
    return loss
