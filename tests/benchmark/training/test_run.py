"""run(spec) on the embedded data: bitwise repeatable, exact, and with everything a record must hold."""

import gc
import hashlib
import io
import re
import weakref
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from benchmark.board.record import Record, as_json, load_record, save_record
from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from benchmark.suite.spec import RunSpec, Training
from benchmark.training.make_record import measure_sparsity
from benchmark.training.run import Options, Result, run

TINY = Training(steps=6, batch_size=8, lr=1e-3, max_length=32, train_examples=48, eval_examples=24, checkpoints=3)
CPU = Options(device="cpu")


def spec(**changes: Any) -> RunSpec:
    fields: dict[str, Any] = {
        "task": "glue/sst2",
        "criterion": "principled",
        "sparsity": 0.7,
        "training": TINY,
    } | changes
    return RunSpec(**fields)


DENSE = spec(criterion="dense", sparsity=0.0)


@cache
def ran(of: RunSpec) -> Result:
    """A run that several tests look at."""
    return run(of, CPU)


def facts(record: Record) -> dict[str, Any]:
    """All of a record but what it cost."""
    return {name: value for name, value in as_json(record).items() if name != "cost"}


# Repeatable.


@pytest.mark.parametrize(
    "changes",
    [
        {"criterion": "dense", "sparsity": 0.0},
        {},
        {"criterion": "random", "scope": "layer", "schedule": "constant"},
        {"criterion": "movement", "regularizer": "self_regularization", "selection": "heldout", "heldout": 0.25},
        {"criterion": "magnitude", "regularizer": "distillation", "schedule": "linear"},
    ],
)
def test_two_runs_of_one_cell_agree_bitwise(changes: dict[str, Any]) -> None:
    torch.manual_seed(12345)  # whatever the process did before does not matter
    first, second = ran(spec(**changes)), run(spec(**changes), CPU)
    assert facts(first.record) == facts(second.record)
    assert first.outcomes == second.outcomes
    assert first.predictions == second.predictions
    ours, theirs = first.model.state_dict(), second.model.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_seeds_criteria_and_sparsities_differ() -> None:
    results = [ran(spec()), ran(spec(seed=1)), ran(spec(criterion="random")), ran(spec(sparsity=0.2))]
    weights = [torch.cat([p.detach().flatten() for p in result.model.parameters()]) for result in results]
    assert not any(torch.equal(weights[0], other) for other in weights[1:])


def test_tokenized_data_on_disk_change_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        again = run(spec(), replace(CPU, cache=tmp_path))
        assert facts(again.record) == facts(ran(spec()).record)
        assert again.outcomes == ran(spec()).outcomes


# Exact.


@pytest.mark.parametrize("scope", ["global", "layer", "row", "erk", "published", "2:4", "block[4,4]"])
def test_sparsity_is_exact_and_measured(scope: str) -> None:
    sparsity = 0.5 if scope == "2:4" else 0.7
    result = ran(spec(criterion="magnitude", scope=scope, sparsity=sparsity))
    found = result.record.sparsity
    assert (found.requested, found.scheduled, found.exact, found.met) == (sparsity, sparsity, True, True)
    assert found.zeros == sum(layer.zeros for layer in found.layers)
    assert found.prunable == sum(layer.size for layer in found.layers)
    assert found.measured == found.zeros / found.prunable
    if scope != "block[4,4]":
        assert found.zeros == round(sparsity * found.prunable)
    named = dict(result.model.named_parameters())
    assert all(int((named[layer.name] == 0).sum()) == layer.zeros for layer in found.layers)
    if scope == "layer":
        assert all(abs(layer.zeros - sparsity * layer.size) <= 1 for layer in found.layers)


def test_published_counts_the_biases_too() -> None:
    published = ran(spec(criterion="magnitude", scope="published")).record.sparsity
    usual = ran(spec(criterion="magnitude", scope="layer")).record.sparsity
    assert published.prunable > usual.prunable
    assert {layer.name for layer in usual.layers} < {layer.name for layer in published.layers}


def test_dense_has_its_prunable_count_and_no_zeros() -> None:
    found = ran(DENSE).record.sparsity
    assert (found.requested, found.scheduled, found.measured, found.zeros, found.met) == (0, 0, 0, 0, True)
    assert found.prunable == ran(spec()).record.sparsity.prunable


def test_criteria_whose_sparsity_is_an_outcome_say_so() -> None:
    record = ran(spec(criterion="l0")).record
    assert not record.sparsity.exact
    assert not record.sparsity.met
    assert not any("missed its sparsity" in note for note in record.notes)
    assert record.curve[-1].sparsity == record.sparsity.measured


def test_a_missed_sparsity_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    measure = measure_sparsity

    def missed(job: Any) -> Any:
        return msgspec.structs.replace(measure(job), met=False, zeros=7)

    monkeypatch.setattr("benchmark.training.make_record.measure_sparsity", missed)
    assert run(spec(), CPU).record.notes[-1].startswith("missed its sparsity: 7 of ")


# What a record holds.


def test_the_record_survives_its_file(tmp_path: Path) -> None:
    result = ran(spec())
    assert load_record(save_record(tmp_path, result.record, result.outcomes)) == result.record


def test_the_record_holds_all_that_is_promised() -> None:
    record = ran(spec()).record
    assert record.id == record.spec.id == spec().id
    assert record.metric in record.metrics
    assert 0 <= record.score <= 100
    assert as_json(record.selected) == {"protocol": "last", "step": 6, "score": None, "optimistic": False}
    assert [point.step for point in record.curve] == [1, 2, 3, 4, 5, 6]
    assert record.counts["train"] == 48
    assert record.counts["reported"] == 24
    assert any("24 of" in note for note in record.notes)
    assert re.fullmatch(r"[0-9a-f]{64}", record.data_fingerprint)
    assert re.fullmatch(r"[0-9a-f]{64}", record.model_fingerprint)
    assert (record.environment["precision"], record.environment["products"]) == ("fp32", "torch")  # a tiny model's
    assert {"python", "torch", "transformers", "numpy", "commit", "device", "threads"} <= set(record.environment)
    assert datetime.now(UTC).date() - date.fromisoformat(record.environment["date"]) <= timedelta(days=1)
    cost = record.cost
    assert cost.steps == 6
    assert cost.epochs == 1  # 48 rows in batches of 8
    assert 0 < cost.criterion_seconds < cost.total_seconds
    assert cost.train_seconds + cost.evaluate_seconds <= cost.total_seconds
    assert cost.peak_bytes > 2**20
    assert record.teacher is None


def test_metrics_can_be_made_again_from_the_outcomes() -> None:
    result = ran(spec())
    assert hashlib.sha256(result.outcomes).hexdigest() == result.record.outcomes_sha256
    with np.load(io.BytesIO(result.outcomes), allow_pickle=False) as archive:
        outcomes = {name: archive[name] for name in archive.files}
    assert {len(values) for values in outcomes.values()} == {24}
    assert registry.configure("tasks", "glue/sst2").aggregate(outcomes) == result.record.metrics


# Teachers.


def test_a_teacher_is_the_dense_cell_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained on the spot, once, and as good as the dense cell's own weights."""
    distilled = spec(criterion="magnitude", regularizer="distillation", schedule="linear")
    trained: list[str] = []
    original = run

    def counted(of: RunSpec, options: Options | None = None) -> Result:
        trained.append(of.id)
        return original(of, options)

    monkeypatch.setattr("benchmark.training.run.run", counted)
    alone = original(distilled, CPU)
    assert trained == [DENSE.id]
    given = original(distilled, replace(CPU, teacher=lambda *_: dict(ran(DENSE).model.state_dict())))
    assert trained == [DENSE.id]
    assert alone.record.teacher == given.record.teacher == DENSE.id
    assert facts(alone.record) == facts(given.record)
    assert alone.outcomes == given.outcomes


def test_a_run_leaves_no_cycle_that_holds_its_model() -> None:
    """The next cell must find the memory free at once: on a GPU nobody else makes Python collect."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        result = run(spec(criterion="wanda", schedule="one_shot[at=1]"), CPU)
        model = weakref.ref(result.model)
        del result
        assert model() is None
    finally:
        if was_enabled:
            gc.enable()


def test_distillation_is_not_the_plain_loss() -> None:
    plain = ran(spec(criterion="magnitude", schedule="linear"))
    taught = ran(spec(criterion="magnitude", regularizer="distillation", schedule="linear"))
    assert [point.loss for point in plain.record.curve] != [point.loss for point in taught.record.curve]


# The door.


def test_the_check_comes_before_training() -> None:
    def refuse(prepared: Any) -> None:
        raise PrunebenchError(f"not with {prepared.metric}")

    def progress(*_: float) -> None:
        pytest.fail("it was trained")

    with pytest.raises(PrunebenchError, match="not with accuracy"):
        run(spec(), replace(CPU, check=refuse, progress=progress))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "/nowhere"}, "glue/sst2: data: '/nowhere' is no folder"),
        ({"task": "glue/rte"}, "glue/rte: data: mini has no glue/RTE/train.tsv"),
        ({"model": "/nowhere/model"}, "glue/sst2: cannot open model '/nowhere/model'"),
        ({"training": TINY.model_copy(update={"max_length": 100_000})}, "glue/sst2: max_length is 100000"),
    ],
)
def test_data_and_models_that_are_not_there(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PrunebenchError, match=re.escape(message)):
        run(spec(**changes), CPU)
