"""Compares all criteria of a board on the same dense training run: how similarly they rank, and the fidelity of each.

Up to the first masking a dense run is what every pruned cell trains. Each criterion watches the same weights and gradients, and at
the moment of that masking (or the first after a share of the training) their scores are compared.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from math import isnan
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator
from torch import Tensor

from benchmark.diagnose.fidelity import Fidelity, Probing, spearman
from benchmark.diagnose.observed_run import examine, loss_of
from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from benchmark.pruning.dense import Dense
from benchmark.pruning.pruner import Pruner
from benchmark.pruning.schedules.base import Schedule
from benchmark.pruning.scores import observe
from benchmark.suite.spec import RunSpec, Strict, portable_plugin
from benchmark.training.run import Options, calibration, run
from benchmark.training.train import Run

MOST = 1_000_000
"""Number of weights over which ranks are correlated; of more weights, an evenly spaced sample."""


Portable = Annotated[str, AfterValidator(portable_plugin)]
"""A configured criterion; one that is a file is named without its folder, also where an older version kept the whole path."""


class SharedRun(Strict):
    """What was measured at one step of a dense run."""

    step: int
    criteria: list[Portable]
    correlation: list[list[float | None]]
    """Spearman's, [criteria][criteria]; None where all scores are equal."""
    fidelity: dict[Portable, Fidelity]
    """By criterion."""


class Observer(Pruner):
    """A criterion that observes and prunes nothing."""

    def __init__(self, job: Run, text: str, schedule: Schedule, sparsity: float) -> None:
        weights = job.pruner.weights
        super().__init__(
            job.model,
            registry.configure("criteria", text),
            schedule,
            sparsity=sparsity,
            total=job.total,
            seed=job.spec.seed,
            weights=weights,
            peak=job.spec.training.lr,
        )
        self.effective = weights.vector.data  # also of a latent criterion: nothing is masked
        weights.point_at(self.effective)
        self.calibrate = calibration(job)

    def see_gradient(self, grad: Tensor, lr: float) -> None:
        """Show the criterion the weights and their gradient [n]."""
        step = self.step(lr)
        parts = zip(self.states, self.as_seen(self.weights.vector.data), self.as_seen(grad), strict=True)
        for state, weight, part in parts:
            observe(self.criterion, state, weight, part, step)


class ObservedDense(Dense):
    """Stands in for a dense run's pruner: shows every step to all observers, and ends the run when they have been compared."""

    def __init__(self, job: Run, texts: list[str], schedule: str, sparsity: float, probing: Probing) -> None:
        super().__init__(job.pruner.weights)
        plan: Schedule = registry.configure("schedules", schedule)
        self.job, self.probing, self.shared = job, probing, list[SharedRun]()
        self.observers = {text: Observer(job, text, plan, sparsity) for text in texts}
        self.moment = first_masking(plan, job.total, sparsity, probing.at)
        self.steps_taken = 0

    def observe(self, lr: float, finite: bool | None = None) -> None:  # noqa: ARG002 - as Dense has it
        """Show all observers the gradient."""
        grad = self.weights.collect()
        for observer in self.observers.values():
            observer.see_gradient(grad, lr)

    def prune(self) -> None:
        """Count the step; at the step of the comparison, compare and end the run."""
        self.steps_taken += 1
        for observer in self.observers.values():
            observer.steps_taken = self.steps_taken
        if self.steps_taken == self.moment:
            self.shared.append(compare_scores(self.job, self.observers, self.probing))
            raise StopRun


class StopRun(Exception):  # noqa: N818 - no error
    """Ends the run, because the rest of it is not needed."""


def compare_on_dense_run(
    spec: RunSpec,
    texts: list[str],
    schedule: str,
    sparsity: float,
    options: Options,
    probing: Probing,
) -> SharedRun:
    """Run the dense cell `spec` up to the masking that `schedule` would do, with the criteria `texts` watching."""
    seen: list[ObservedDense] = []

    def begin(job: Run) -> None:
        seen.append(ObservedDense(job, texts, schedule, sparsity, probing))
        job.pruner = seen[0]

    with suppress(StopRun):
        run(spec, replace(options, watch=begin))
    return seen[0].shared[0]


def compare_scores(job: Run, observers: Mapping[str, Observer], probing: Probing) -> SharedRun:
    """Scores of all observers now, correlated, and the fidelity of each."""
    loss, kept, fidelity = loss_of(job, probing.batches), list[NDArray[np.float32]](), dict[str, Fidelity]()
    for name, observer in observers.items():
        if observer.calibrate is not None:
            observer.calibrate(observer)
        scores = observer.scores()
        fidelity[name] = examine(job, observer, None, probing, loss)
        kept.append(scores[:: -(-len(scores) // MOST)].cpu().numpy())
        observer.states = []  # a block Fisher takes fifty numbers a weight
    table = [[None if isnan(rho := spearman(a, b)) else rho for b in kept] for a in kept]
    return SharedRun(step=observer.steps_taken, criteria=list(observers), correlation=table, fidelity=fidelity)


def can_observe_dense(text: str) -> bool:
    """Whether the criterion can observe a dense run; a latent one cannot, since its gates change the forward pass."""
    return not registry.configure("criteria", text).overrides("gate")


def first_masking(schedule: Schedule, total: int, sparsity: float, at: float) -> int:
    """Steps taken when the schedule first prunes at or after a share `at` of the run."""
    for index in range(total):
        if index + 1 >= at * total and schedule.due(index, total) and schedule.sparsity(index, total, sparsity) > 0:
            return index + 1
    raise PrunebenchError(f"no masking comes after {at:.0%} of {total} steps: choose an earlier moment by --at")
