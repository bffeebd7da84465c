"""All criteria of a board on one and the same dense training run: how alike they rank, and how faithful each is.

Up to the first masking a dense run is what every pruned cell trains. Each criterion watches the same weights and gradients, and at
the moment of that masking (or the first after a share of the training) their scores are compared.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from math import isnan

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from benchmark.diagnose.fidelity import Fidelity, Probing, spearman
from benchmark.diagnose.observed_run import examine, loss_of
from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from benchmark.pruning.dense import Dense
from benchmark.pruning.pruner import Pruner
from benchmark.pruning.schedules.base import Schedule
from benchmark.suite.spec import RunSpec, Strict
from benchmark.training.run import Options, calibration, run
from benchmark.training.train import Run

MOST = 1_000_000
"""Weights over which ranks are correlated: of more, every few in even strides."""


class Heard(Strict):
    """What was heard at one step of a dense run."""

    step: int
    criteria: list[str]
    correlation: list[list[float | None]]
    """Spearman's, [criteria][criteria]; None where all scores are equal."""
    fidelity: dict[str, Fidelity]
    """By criterion."""


class Listener(Pruner):
    """A criterion that watches and prunes nothing."""

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
        )
        self.effective = weights.vector.data  # also of a latent criterion: nothing is masked
        weights.point_at(self.effective)

        self.calibrate = calibration(job)

    def listen(self, grad: Tensor, lr: float) -> None:
        """See the weights as they are and the gradient [n] at them."""
        step = self.step(lr)
        parts = zip(self.states, self._shown(self.weights.vector.data), self._shown(grad), strict=True)
        for state, weight, part in parts:
            self.criterion.observe(state, weight, part, step)


class Chorus(Dense):
    """In the place of a dense run's pruner: shows every step to all listeners, and ends the run once they were heard."""

    def __init__(self, job: Run, texts: list[str], schedule: str, sparsity: float, how: Probing) -> None:
        super().__init__(job.pruner.weights)
        plan: Schedule = registry.configure("schedules", schedule)
        self.job, self.how, self.heard = job, how, list[Heard]()
        self.listeners = {text: Listener(job, text, plan, sparsity) for text in texts}
        self.moment = first_masking(plan, job.total, sparsity, how.at)
        self.taken = 0

    def observe(self, lr: float) -> None:
        """Every listener sees the same."""
        grad = self.weights.collect()
        for listener in self.listeners.values():
            listener.listen(grad, lr)

    def prune(self) -> None:
        """Nothing, until the moment has come."""
        self.taken += 1
        for listener in self.listeners.values():
            listener.taken = self.taken
        if self.taken == self.moment:
            self.heard.append(hear(self.job, self.listeners, self.how))
            raise Enough


class Enough(Exception):  # noqa: N818 - no error
    """The rest of the run would tell nothing more."""


def listen(spec: RunSpec, texts: list[str], schedule: str, sparsity: float, options: Options, how: Probing) -> Heard:
    """Run the dense cell `spec` up to the masking that `schedule` would do, with the criteria `texts` watching."""
    seen: list[Chorus] = []

    def begin(job: Run) -> None:
        seen.append(Chorus(job, texts, schedule, sparsity, how))
        job.pruner = seen[0]

    with suppress(Enough):
        run(spec, replace(options, watch=begin))
    return seen[0].heard[0]


def hear(job: Run, listeners: Mapping[str, Listener], how: Probing) -> Heard:
    """Scores of all listeners now, correlated, and the fidelity of each."""
    loss, kept, fidelity = loss_of(job, how.batches), list[NDArray[np.float32]](), dict[str, Fidelity]()
    for name, listener in listeners.items():
        if listener.calibrate is not None:
            listener.calibrate(listener)
        scores = listener.scores()
        fidelity[name] = examine(job, listener, None, how, loss)
        kept.append(scores[:: -(-len(scores) // MOST)].cpu().numpy())
        listener.states = []  # a block Fisher takes fifty numbers a weight
    table = [[None if isnan(rho := spearman(a, b)) else rho for b in kept] for a in kept]
    return Heard(step=listener.taken, criteria=list(listeners), correlation=table, fidelity=fidelity)


def can_listen(text: str) -> bool:
    """Whether the criterion can watch a dense run: one with gates of its own changes the forward pass."""
    return not registry.configure("criteria", text).overrides("gate")


def first_masking(schedule: Schedule, total: int, sparsity: float, at: float) -> int:
    """Steps taken when the schedule first prunes at or after a share `at` of the run."""
    for index in range(total):
        if index + 1 >= at * total and schedule.due(index, total) and schedule.sparsity(index, total, sparsity) > 0:
            return index + 1
    raise PrunebenchError(f"no masking comes after {at:.0%} of {total} steps: choose an earlier moment by --at")
