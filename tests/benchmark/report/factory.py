"""Records without training: what a run would leave behind, for tests of everything downstream."""

from collections.abc import Mapping
from typing import Any

from benchmark.board.record import SCHEMA, Cost, Layer, Point, Record, Selected, Sparsity
from benchmark.suite.spec import DENSE, RunSpec, Training

METRICS = {"glue/rte": "accuracy", "squad": "f1"}


def make_spec(
    criterion: str = "magnitude", sparsity: float = 0.8, *, seed: int = 0, task: str = "glue/rte", **changes: Any
) -> RunSpec:
    """A planned run; dense when the sparsity is 0."""
    if sparsity == 0:
        criterion = DENSE
    training = Training(steps=400)
    return RunSpec(task=task, criterion=criterion, sparsity=sparsity, seed=seed, **{"training": training, **changes})


def make_record(
    spec: RunSpec, score: float = 80.0, *, metrics: Mapping[str, float] | None = None, **changes: Any
) -> Record:
    """The record of `spec` with this headline score; any field can be replaced."""
    name = METRICS.get(spec.task, "accuracy")
    fields: dict[str, Any] = {
        "schema_version": SCHEMA,
        "id": spec.id,
        "spec": spec.recorded(),
        "metric": name,
        "metrics": {name: score, **(metrics or {})},
        "floor": {name: 52.7},
        "sparsity": make_sparsity(spec.sparsity),
        "selected": Selected(protocol=spec.selection, step=400, optimistic=spec.selection == "best_dev"),
        "curve": make_curve(spec.sparsity, score),
        "cost": Cost(
            total_seconds=12.0,
            train_seconds=10.0,
            evaluate_seconds=1.0,
            step_seconds=0.02,
            criterion_seconds=1.5,
            peak_bytes=2**28,
            steps=400,
            resumed=[],
        ),
        "splits": {"train": "train.tsv", "reported": "dev.tsv"},
        "counts": {"train": 2490, "reported": 277},
        "data_fingerprint": "da7a" * 4,
        "model_fingerprint": "30de1" * 4,
        "environment": {"prunebench": "0.1.0", "commit": "0123456789ab", "torch": "2.13.0", "device": "cpu"},
        "outcomes_sha256": "0" * 64,
    }
    return Record(**(fields | changes))


def make_sparsity(sparsity: float, *, exact: bool = True, off_by: int = 0) -> Sparsity:
    """Two matrices of 600 and 400 weights; the first takes the zeros the second leaves over."""
    zeros = round(sparsity * 1000) + off_by
    second = min(400, zeros // 2)
    layers = [
        Layer(name="encoder.layer.0.attention.query", size=600, zeros=zeros - second),
        Layer(name="encoder.layer.1.attention.query", size=400, zeros=second),
    ]
    return Sparsity(
        requested=sparsity,
        scheduled=sparsity,
        measured=zeros / 1000,
        prunable=1000,
        zeros=zeros,
        exact=exact,
        met=off_by == 0,
        layers=layers,
    )


def make_curve(sparsity: float, score: float) -> list[Point]:
    """Five points: the loss falls, the sparsity rises."""
    return [
        Point(
            step=100 * k, loss=None if k == 0 else 1 / k, lr=5e-5 * (4 - k) / 4, sparsity=sparsity * k / 4, score=score
        )
        for k in range(5)
    ]


SCORES = {"random": 55.0, "magnitude": 70.0, "movement": 78.0, "principled": 82.0}


def make_board(
    tasks: tuple[str, ...] = ("glue/rte", "squad"),
    criteria: Mapping[str, float] | None = None,
    sparsities: tuple[float, ...] = (0.5, 0.8),
    seeds: tuple[int, ...] = (0, 1),
) -> tuple[list[RunSpec], list[Record]]:
    """A full board: score = criterion's base - 10 (sparsity - 0.5) - task index, ± 0.5 by seed; dense 90."""
    specs, records = [], []
    for t, task in enumerate(tasks):
        for seed in seeds:
            wobble = 0.5 if seed % 2 else -0.5
            dense = make_spec(sparsity=0, seed=seed, task=task)
            specs.append(dense)
            records.append(make_record(dense, 90.0 - t + wobble))
            for criterion, base in (criteria or SCORES).items():
                for sparsity in sparsities:
                    spec = make_spec(criterion, sparsity, seed=seed, task=task)
                    specs.append(spec)
                    records.append(make_record(spec, base - 10 * (sparsity - 0.5) - t + wobble))
    return specs, records
