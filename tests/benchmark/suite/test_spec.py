"""RunSpec: what enters its id and what does not, and what it refuses."""

from copy import copy, deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmark.suite.spec import RunSpec, Training, portable

PRUNED = RunSpec(
    task="glue/rte",
    model="minilm",
    data="hub",
    criterion="principled[signed=true]",
    regularizer="self_regularization",
    sparsity=0.8,
    seed=3,
    schedule="linear",
    training=Training(epochs=3, lr=3e-5),
)
DENSE = RunSpec(task="squad")


# The id.


def test_ids_stay_what_they_were() -> None:
    """A change of these renames every record there is: new fields need a default that means what was meant before."""
    assert PRUNED.id == "c4bffac92bfc8193"
    assert DENSE.id == "44df84ec89f5e90d"


def test_defaults_do_not_enter() -> None:
    spelled = RunSpec(
        task="squad",
        model="mini",
        data="mini",
        criterion="dense",
        regularizer="none",
        sparsity=0.0,
        seed=0,
        schedule="cubic",
        scope="global",
        selection="last",
        heldout=0.0,
        call_point="before",
        training=Training(batch_size=32, lr=5e-5, warmup=0.1, clip=1.0),
    )
    assert spelled.id == DENSE.id


def test_neither_paths_nor_the_kind_of_folder_enter() -> None:
    def at(model: str, data: str) -> str:
        return PRUNED.model_copy(update={"model": model, "data": data}).id

    here = at("/home/one/models/minilm", "/home/one/data")
    assert at("/mnt/two/minilm/", "../data") == here
    assert at("minilm", "anywhere") == here
    assert at("/home/one/models/other", "/home/one/data") != here
    assert at("minilm", "hub") != here
    assert at("minilm", "mini") != here


def test_a_folder_called_mini_is_not_the_embedded_model() -> None:
    folder = DENSE.model_copy(update={"model": "/home/one/mini"})
    assert folder.id != DENSE.id
    assert folder.recorded().id == folder.id
    assert portable(portable("x/mini")) == portable("x/mini")


@pytest.mark.parametrize(
    "change",
    [
        {"task": "glue/cola"},
        {"criterion": "principled"},
        {"regularizer": "none"},
        {"sparsity": 0.9},
        {"seed": 0},
        {"schedule": "cubic"},
        {"scope": "layer"},
        {"selection": "best_dev"},
        {"heldout": 0.1},
        {"call_point": "after"},
        {"calibration_inputs": "pruned"},
        {"precision": "bf16"},
        {"training": Training(steps=0, lr=3e-5)},
        {"training": Training(epochs=3, lr=3e-5, batch_size=16)},
        {"training": Training(epochs=2, lr=3e-5)},
        {"training": Training(steps=3, lr=3e-5)},
        {"training": Training(epochs=3, lr=3e-5, clip=None)},
    ],
)
def test_every_choice_enters(change: dict[str, Any]) -> None:
    assert PRUNED.model_copy(update=change).id != PRUNED.id


@given(st.floats(0.001, 0.999), st.integers(0, 10**6))
def test_the_recorded_spec_has_the_same_id_and_survives_json(sparsity: float, seed: int) -> None:
    spec = RunSpec(
        task="squad",
        model="/a/b/c",
        data="/d",
        criterion="magnitude",
        sparsity=sparsity,
        seed=seed,
        training=Training(),
    )
    recorded = spec.recorded()
    assert recorded.id == spec.id
    assert (recorded.model, recorded.data) == ("c", "files")
    assert RunSpec.model_validate_json(recorded.model_dump_json()).id == spec.id


# The dense run.


def test_the_dense_run_is_shared_by_everything_that_prunes() -> None:
    others = [
        PRUNED.model_copy(update=change)
        for change in (
            {"criterion": "random"},
            {"regularizer": "distillation"},
            {"sparsity": 0.5},
            {"schedule": "cubic"},
            {"scope": "2:4", "sparsity": 0.5},
            {"call_point": "after"},
        )
    ]
    assert {other.dense().id for other in others} == {PRUNED.dense().id}
    assert PRUNED.dense().is_dense
    assert PRUNED.dense() == RunSpec.model_validate(PRUNED.dense().model_dump())
    assert PRUNED.dense().dense().id == PRUNED.dense().id


@pytest.mark.parametrize("change", [{"seed": 4}, {"task": "squad"}, {"heldout": 0.2}, {"training": Training(epochs=1)}])
def test_another_seed_task_or_budget_has_another_dense_run(change: dict[str, Any]) -> None:
    assert PRUNED.model_copy(update=change).dense().id != PRUNED.dense().id


def test_the_name_of_a_cell_says_task_row_sparsity_and_seed() -> None:
    assert PRUNED.cell == "glue/rte principled[signed=true]+self_regularization 0.8 seed 3"
    assert DENSE.cell == "squad dense seed 0"


# The door.


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sparsity": 0.5}, "sparsity 0 and criterion 'dense' go together: found dense at sparsity 0.5"),
        ({"criterion": "random"}, "found random at sparsity 0.0"),
        ({"criterion": "random", "sparsity": 1.0}, "less than 1"),
        ({"criterion": "random", "sparsity": -0.1}, "greater than or equal to 0"),
        ({"criterion": "random", "sparsity": float("nan")}, "finite number"),
        ({"selection": "heldout"}, "selection 'heldout' needs heldout > 0"),
        ({"selection": "best"}, "'last', 'heldout' or 'best_dev'"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"prunning": 1}, "Extra inputs are not permitted"),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RunSpec(**({"task": "squad"} | fields))


@pytest.mark.parametrize("field", ["lr", "epochs", "warmup", "clip", "weight_decay"])
def test_budgets_are_finite(field: str) -> None:
    for value in (float("inf"), float("nan"), -1.0):
        with pytest.raises(ValidationError):
            Training.model_validate({field: value})


def test_specs_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        PRUNED.seed = 4


# The budget.


def test_total_hand_computed() -> None:
    assert Training(steps=7).total(1000) == 7
    assert Training(epochs=2, batch_size=32).total(100) == 8
    assert Training(epochs=0.5, batch_size=10).total(100) == 5
    assert Training(batch_size=10).total(101) == 33
    assert Training(batch_size=10).steps_per_epoch(101) == 11
    assert Training(epochs=0.001).total(10) == 1


def test_a_changed_copy_has_an_id_of_its_own() -> None:
    spec, same = RunSpec(task="squad", seed=1), RunSpec(task="squad", seed=1)
    assert spec.id == copy(spec).id == deepcopy(spec).id == same.id
    assert spec.model_copy(update={"seed": 2}).id == RunSpec(task="squad", seed=2).id != spec.id
    fresh = RunSpec(task="squad", seed=1)
    assert (spec, hash(spec), spec.model_dump(), repr(spec)) == (fresh, hash(fresh), fresh.model_dump(), repr(fresh))
