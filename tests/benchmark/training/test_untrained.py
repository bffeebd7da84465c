"""Cells of 0 steps: a pretrained model pruned once and evaluated, its record sound, and refusals where that makes no sense."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmark.board.record import as_json, load_record, meets, save_record
from benchmark.errors import PrunebenchError
from benchmark.suite.spec import RunSpec, Training
from benchmark.training.run import Options, Result, build_model, run

NONE = Training(steps=0, batch_size=4, max_length=48, train_examples=100, eval_examples=12)
CPU = Options(device="cpu")


def spec(**changes: Any) -> RunSpec:
    fields: dict[str, Any] = {
        "task": "e2e", "criterion": "wanda", "sparsity": 0.5, "scope": "row", "schedule": "one_shot", "training": NONE
    }  # fmt: skip
    return RunSpec(**(fields | changes))


DENSE = spec(criterion="dense", sparsity=0.0, scope="global")


@cache
def ran(of: RunSpec) -> Result:
    return run(of, CPU)


def test_the_record_says_what_was_done(tmp_path: Path) -> None:
    result = ran(spec(calibration_inputs="pruned"))
    record = result.record
    assert (record.cost.steps, record.cost.step_seconds, record.curve) == (0, 0.0, [])
    assert record.cost.peak_bytes > 0
    assert 0 < record.cost.criterion_seconds == record.cost.train_seconds < record.cost.total_seconds
    assert (record.sparsity.requested, record.sparsity.scheduled, record.sparsity.measured) == (0.5, 0.5, 0.5)
    assert record.sparsity.met
    path = save_record(tmp_path, record, result.outcomes)
    assert as_json(load_record(path)) == as_json(record)


def test_a_dense_cell_is_the_model_as_it_comes() -> None:
    result = ran(DENSE)
    expected = result.prepared.build(0).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in result.model.state_dict().items())
    assert result.record.metrics[result.record.metric] > ran(spec()).record.metrics[result.record.metric]
    assert result.record.sparsity.zeros == 0


def test_one_cell_one_result_and_each_choice_counts() -> None:
    first = ran(spec())
    again = run(spec(), CPU)
    assert first.outcomes == again.outcomes
    assert {k: v for k, v in as_json(first.record).items() if k != "cost"} == {
        k: v for k, v in as_json(again.record).items() if k != "cost"
    }
    others = [spec(calibration_inputs="pruned"), spec(scope="layer"), spec(criterion="sparsegpt"), spec(seed=1)]
    weights = [torch.cat([p.flatten() for p in ran(one).model.parameters()]) for one in (spec(), *others)]
    assert not any(torch.equal(weights[0], other) for other in weights[1:])


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_stays_and_is_recorded(precision: str) -> None:
    result = ran(spec(precision=precision, criterion="magnitude"))
    assert {parameter.dtype for parameter in result.model.parameters()} == {
        {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    }
    assert result.record.environment["precision"] == f"{precision} weights"
    assert result.record.sparsity.met


@pytest.mark.parametrize("steps", [0, 3])
def test_only_what_is_trained_is_prepared_for_it(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = nn.Linear(1, 1)
    monkeypatch.setattr("benchmark.training.run.prepare", lambda *_: asked)
    of = spec(training=NONE.model_copy(update={"steps": steps}))
    assert (build_model(of, ran(DENSE).prepared, torch.device("cpu")) is asked) == (steps > 0)


def test_a_fresh_head_is_refused() -> None:
    for of in (spec(task="glue/sst2"), RunSpec(task="glue/sst2", training=NONE), spec(model="random:mini")):
        with pytest.raises(PrunebenchError, match=r"training\.steps is 0, and .* is not in the files of model"):
            run(of, CPU)


def test_a_model_that_brings_its_head_is_pruned(tmp_path: Path) -> None:
    trained = run(RunSpec(task="glue/sst2", training=NONE.model_copy(update={"steps": 2})), CPU)
    trained.prepared.save(trained.model, tmp_path)
    record = run(spec(task="glue/sst2", model=str(tmp_path)), CPU).record
    assert record.sparsity.measured == 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule": "cubic"}, "expected one_shot"),
        ({"schedule": "gradual"}, "expected one_shot"),
        ({"criterion": "movement"}, "learns what to keep in training"),
        ({"criterion": "l0"}, "learns what to keep in training"),
        ({"regularizer": "rdrop"}, "adds to a training loss"),
        ({"regularizer": "label_smoothing"}, "adds to a training loss"),
        ({"selection": "best_dev"}, "chooses among training steps"),
        ({"selection": "heldout", "heldout": 0.1}, "chooses among training steps"),
        ({"training": NONE.model_copy(update={"steps": 3}), "precision": "bf16"}, "weights that are trained are fp32"),
        (
            {"training": NONE.model_copy(update={"steps": None}), "precision": "fp16"},
            "weights that are trained are fp32",
        ),
    ],
)
def test_what_only_training_gives_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PrunebenchError, match=message):
        run(spec(**changes), CPU)


def test_zeros_that_the_files_had_count_as_met_without_training_only() -> None:
    trained = spec(training=NONE.model_copy(update={"steps": 3}))
    assert [meets(spec(), zeros, 10) for zeros in (9, 10, 11)] == [False, True, True]
    assert [meets(trained, zeros, 10) for zeros in (9, 10, 11)] == [False, True, False]


def test_zeros_that_the_files_had_are_noted(tmp_path: Path) -> None:
    prepared = ran(DENSE).prepared
    model = prepared.build(0)
    matrix = next(p for name, p in model.named_parameters() if p.dim() == 2 and ".h.0." in name)
    with torch.no_grad():
        matrix[:, : matrix.shape[1] // 2 + 5] = 0
    prepared.save(model, tmp_path)
    record = run(spec(model=str(tmp_path), criterion="random", scope="layer"), CPU).record
    more = record.sparsity.zeros - record.sparsity.prunable // 2
    assert more > 0
    assert record.sparsity.met
    assert f"{more} weights are zero beyond those pruned" in " ".join(record.notes)
