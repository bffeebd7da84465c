"""Makes the record of a finished run. This is where sparsity is counted (`measure_sparsity`), on the final weights."""

import hashlib
import time
from datetime import UTC, datetime
from math import isfinite

from benchmark.board.record import SCHEMA, Cost, Layer, Record, Selected, Sparsity, as_read_back, meets
from benchmark.errors import PrunebenchError
from benchmark.machine import environment
from benchmark.pruning.dense import Dense
from benchmark.pruning.once import Once, Unpruned
from benchmark.pruning.prunable import left_dense
from benchmark.training.compiled import BACKEND
from benchmark.training.cpu.linear import library
from benchmark.training.train import Job, typical
from tasks.base import Evaluation


def make_record(job: Job, evaluation: Evaluation, outcomes: bytes, trained: float) -> Record:
    """The record of `job`; `outcomes` are the packed ones, `trained` the clock at the end of training.

    PrunebenchError if a metric is not a finite number, or the record could not be loaded again.
    """
    spec, prepared = job.spec, job.prepared
    metrics = {name: float(value) for name, value in evaluation.metrics.items()}
    if wrong := [f"{name} is {value}" for name, value in metrics.items() if not isfinite(value)]:
        raise PrunebenchError(f"{spec.task}: {', '.join(wrong)}: nothing to record")
    sparsity = measure_sparsity(job)
    score, step = (job.best[0], job.best[1]) if job.best else (None, job.total)
    record = Record(
        schema_version=SCHEMA,
        id=spec.id,
        spec=spec.recorded(),
        metric=prepared.metric,
        metrics=metrics,
        lower_is_better=sorted(prepared.lower_is_better & metrics.keys()),
        floor=prepared.floor,
        signatures=prepared.signatures,
        sparsity=sparsity,
        selected=Selected(protocol=spec.selection, step=step, score=score, optimistic=spec.selection == "best_dev"),
        curve=job.curve,
        cost=_cost(job, trained),
        splits=prepared.splits,
        counts=prepared.counts,
        data_fingerprint=prepared.data_fingerprint,
        model_fingerprint=prepared.model_fingerprint,
        environment=environment.describe(job.device)
        | {"date": datetime.now(UTC).date().isoformat(), "products": library(job.model)}
        | ({"precision": f"{spec.precision} weights"} if spec.precision != "fp32" else {})
        | ({"compiled": BACKEND} if job.compiled else {}),
        teacher=spec.dense().id if job.regularizer.needs_teacher else None,
        outcomes_sha256=hashlib.sha256(outcomes).hexdigest(),
        notes=_notes(job, sparsity),
    )
    return as_read_back(record)


def measure_sparsity(job: Job) -> Sparsity:
    """Zeros counted on the final weights, overall and per layer."""
    weights = job.pruner.weights
    layers = [
        Layer(name=matrix.name, size=matrix.parameter.numel(), zeros=int((matrix.parameter == 0).sum()))
        for matrix in weights.matrices
    ]
    prunable, zeros = sum(layer.size for layer in layers), sum(layer.zeros for layer in layers)
    pruner = None if isinstance(job.pruner, Dense | Unpruned) else job.pruner
    asked = pruner.scope.count(job.spec.sparsity, weights.shapes) if pruner else zeros
    return Sparsity(
        requested=job.spec.sparsity,
        scheduled=pruner.scheduled if pruner else 0.0,
        measured=zeros / prunable,
        prunable=prunable,
        zeros=zeros,
        exact=pruner.criterion.exact if pruner else True,
        met=meets(job.spec, zeros, asked),
        layers=layers,
    )


def _cost(job: Job, trained: float) -> Cost:
    """What the run has cost; `trained` is the clock at the end of training."""
    now = time.perf_counter()
    return Cost(
        total_seconds=now - job.started,
        train_seconds=sum(seconds for _, seconds in job.intervals) if job.spec.is_trained else job.pruner.seconds,
        evaluate_seconds=now - trained,
        step_seconds=typical(job.intervals),
        criterion_seconds=job.pruner.seconds,
        peak_bytes=environment.peak_bytes(job.device),
        steps=job.total,
        epochs=job.total / job.spec.training.steps_per_epoch(job.prepared.rows["train"]) if job.total else 0.0,
        resumed=job.resumed,
    )


RESUMED = "resumed by other code than began it"
"""How the note of such a run begins."""


def _notes(job: Job, sparsity: Sparsity) -> list[str]:
    """What a reader of the record must know about the run."""
    notes = list(job.prepared.notes)
    if sparsity.exact and not sparsity.met:
        notes.append(f"missed its sparsity: {sparsity.zeros} of {sparsity.prunable} weights are zero")
    if isinstance(job.pruner, Once) and (
        more := sparsity.zeros - job.pruner.scope.count(sparsity.requested, job.pruner.weights.shapes)
    ):
        notes.append(
            f"{more} weights are zero beyond those pruned: they are so in the model's files, or rounded to zero"
        )
    if said := left_dense(job.model):
        notes.append(said)
    rows, batch = job.prepared.rows["train"], job.spec.training.batch_size
    if job.spec.is_trained and batch > rows:
        notes.append(
            f"batches of {batch} were asked for; the training split has {rows} rows, and every step took all of them"
        )
    if job.parts > 1:
        notes.append(f"each batch went through the model in {job.parts} parts, for want of memory")
    if len(job.commits) > 1:
        notes.append(f"{RESUMED}: commits {', then '.join(job.commits)}")
    return notes
