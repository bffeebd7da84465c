"""Trains a cell again and observes its masks, and its criterion's fidelity at one of them, without changing the run."""

from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor, nn

from benchmark.diagnose.churn import Churn, Masks
from benchmark.diagnose.fidelity import Fidelity, Loss, Probing, measure
from benchmark.pruning.pruner import Pruner
from benchmark.suite.spec import RunSpec
from benchmark.training.run import Options, run
from benchmark.training.train import Run
from tasks.pipeline.prepared import to_device


def observe_run(spec: RunSpec, options: Options, probing: Probing) -> tuple[Churn, Fidelity | None]:
    """Run the pruned cell `spec` and observe it; fidelity is None if no new mask comes after `probing.at`."""
    seen: list[MaskObserver] = []

    def begin(job: Run) -> None:
        assert isinstance(job.pruner, Pruner)
        seen.append(MaskObserver(job, probing))
        job.pruner.on_new_mask = seen[0]

    run(spec, replace(options, watch=begin))
    return seen[0].masks.result(), seen[0].fidelity


class MaskObserver:
    """Observes every new mask of a run."""

    def __init__(self, job: Run, probing: Probing) -> None:
        self.job, self.probing, self.masks = job, probing, Masks()
        self.fidelity: Fidelity | None = None

    def __call__(self, pruner: Pruner) -> None:
        """Called with a new mask before it is applied."""
        before = self.masks.last
        self.masks.add(pruner.steps_taken, pruner.mask)
        pruning = pruner.last_masking is not None and pruner.last_masking[1] > 0
        if self.fidelity is None and pruning and pruner.steps_taken >= self.probing.at * self.job.total:
            loss = loss_of(self.job, self.probing.batches)
            self.fidelity = examine(self.job, pruner, before, self.probing, loss)


def examine(job: Run, pruner: Pruner, before: Tensor | None, probing: Probing, loss: Loss) -> Fidelity:
    """Fidelity of the pruner's criterion now, at the weights that it ranks; of a latent one, as far as the mask `before` lets them
    through."""
    weights = pruner.weights.vector.data
    if pruner.criterion.latent and before is not None:
        new, pruner.mask = pruner.mask, before
        weights = weights * pruner.gates(training=False)
        pruner.mask = new
    return measure(
        job.model,
        pruner.weights.matrices,
        weights,
        pruner.scores(),
        predicted(pruner),
        loss,
        probing,
        step=pruner.steps_taken,
        split=split_of(job),
    )


def predicted(pruner: Pruner) -> Tensor | None:
    """Predicted changes of the loss [n]; None if the criterion predicts none."""
    shown = zip(pruner.states, pruner.as_seen(pruner.weights.vector.data), strict=True)
    found = [part for part in (pruner.criterion.predicted(*one) for one in shown) if part is not None]
    return pruner.flattened(found).float() if len(found) == len(pruner.states) else None


def split_of(job: Run) -> str:
    """Held-out training data if the board has any, else training data; never the reported split."""
    return "heldout" if job.spec.heldout else "train"


def loss_of(job: Run, count: int) -> Loss:
    """The task's mean loss per decision on the first `count` batches of a fixed shuffle, the same for every criterion."""
    stream = job.prepared.batches(split_of(job), job.spec.training.batch_size, seed=0)
    batches = [to_device(batch, job.model) for batch in islice(stream, count)]

    def loss(model: nn.Module) -> float:
        with torch.no_grad():
            losses = [job.prepared.forward(model, batch)[0].double() for batch in batches]
        return float(torch.cat([part.reshape(-1) for part in losses]).mean())

    return loss
