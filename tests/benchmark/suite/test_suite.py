"""A suite: the grid it stands for, and what its overrides change."""

import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from benchmark.errors import PrunebenchError
from benchmark.suite.spec import RunSpec, Training
from benchmark.suite.suite import Suite, matches
from tests.benchmark.suites import BASE, LEAST, read

# The grid.


def test_cells_by_hand(tmp_path: Path) -> None:
    cells = read(tmp_path, BASE).cells()
    assert len(cells) == 2 * 2 * (1 + 2 * 2)
    assert [cell.cell for cell in cells[:6]] == [
        "glue/rte dense seed 0",
        "glue/rte magnitude 0.5 seed 0",
        "glue/rte magnitude 0.8 seed 0",
        "glue/rte principled 0.5 seed 0",
        "glue/rte principled 0.8 seed 0",
        "glue/rte dense seed 1",
    ]
    assert len({cell.id for cell in cells}) == len(cells)


@pytest.mark.parametrize("gate", [0, 10, 25.5])
def test_a_gate_changes_no_run(tmp_path: Path, gate: float) -> None:
    plain, declared = read(tmp_path, BASE), read(tmp_path, BASE + f"gate: {gate}\n")
    assert declared.gate == gate
    assert plain.gate == 10
    assert [cell.id for cell in plain.cells()] == [cell.id for cell in declared.cells()]


def test_the_least_a_suite_must_say(tmp_path: Path) -> None:
    dense, pruned = read(tmp_path, LEAST).cells()
    assert dense == RunSpec(task="squad")
    assert pruned == RunSpec(task="squad", criterion="random", sparsity=0.5, schedule="gradual")


def test_rows_with_their_own_regularizer(tmp_path: Path) -> None:
    text = LEAST.replace("[random]", "[random, principled + self_regularization, 'principled[signed=yes] + none']")
    assert read(tmp_path, text + "regularizers: [none, rdrop]").rows == [
        ("random", "none"),
        ("random", "rdrop"),
        ("principled", "self_regularization"),
        ("principled[signed=true]", "none"),
    ]


def test_plugins_get_their_one_spelling(tmp_path: Path) -> None:
    text = LEAST.replace("[random]", "['principled[window=10, beta1=.5]']") + "schedule: cubic[window=10]"
    spec = read(tmp_path, text).cells()[1]
    assert (spec.criterion, spec.schedule) == ("principled[beta1=0.5]", "cubic")


def test_numbers_as_people_write_them(tmp_path: Path) -> None:
    training = read(tmp_path, LEAST + "training: {lr: 3e-5, weight_decay: 1E-2, epochs: 2, clip: null}").training
    assert (training.lr, training.weight_decay, training.epochs, training.clip) == (3e-5, 0.01, 2.0, None)


@pytest.mark.parametrize(
    ("more", "heldout"),
    [
        ("", 0.0),
        ("selection: heldout", 0.1),
        ("selection: best_dev", 0.0),
        ("regularizers: ['self_regularization[teacher=best]']", 0.1),
        ("regularizers: [self_regularization]", 0.0),
        ("heldout: 0.25", 0.25),
        ("{selection: heldout, heldout: 0.2}", 0.2),
    ],
)
def test_examples_are_kept_aside_where_somebody_needs_them(tmp_path: Path, more: str, heldout: float) -> None:
    lines = more.strip("{}").replace(", ", "\n") if more.startswith("{") else more
    assert {cell.heldout for cell in read(tmp_path, LEAST + lines).cells()} == {heldout}


# Overrides.


@pytest.mark.parametrize(
    ("first", "second", "lost"),
    [
        ("glue/rte: {training: {lr: 1e-4}}", "'glue/*': {training: {lr: 2e-4}}", "training.lr"),
        ("glue/rte: {training: {steps: 9}}", "'*': {training: {epochs: 2}}", "training.budget"),
        ("'glue/r*': {sparsities: [0.5]}", "'glue/*': {sparsities: [0.6]}", "sparsities"),
        ("glue/rte: {scope: layer}", "'glue/?te': {scope: row}", "scope"),
        ("'glue/*': {scope: layer}", "glue/rte: {scope: row}", ""),
        ("glue/rte: {scope: layer}", "'glue/*': {scope: layer, training: {lr: 1e-4}}", ""),
        ("glue/rte: {scope: layer}", "'glue/*': {training: {lr: 1e-4}}", ""),
    ],
)
def test_an_override_that_a_general_one_below_it_replaces_is_refused(
    tmp_path: Path, first: str, second: str, lost: str
) -> None:
    text = LEAST.replace("squad", "glue/rte") + f"overrides: {{{first}, {second}}}\n"
    message = f"overrides.glue/r.*: its {lost} is replaced by that of '.*', which stands below it: put the general"
    with pytest.raises(PrunebenchError, match=message) if lost else nullcontext():
        read(tmp_path, text)
    general = second.partition(":")[0].strip("'")
    if "scope" in second:
        assert read(tmp_path, text, f"overrides.{general}.scope=erk").cells()[-1].scope == "erk"


def test_overrides_by_pattern_the_later_on_top(tmp_path: Path) -> None:
    text = (
        BASE
        + """
training: {epochs: 3, lr: 1e-4}
schedule: linear
overrides:
  glue/*: {training: {epochs: 10, batch_size: 8}, scope: layer}
  glue/cola: {training: {steps: 50}, sparsities: [0.9], schedule: 'cubic[window=10]'}
"""
    )
    cells = read(tmp_path, text).cells()
    rte = next(cell for cell in cells if cell.task == "glue/rte" and not cell.is_dense)
    cola = [cell for cell in cells if cell.task == "glue/cola" and not cell.is_dense]
    assert rte.training == Training(epochs=10, lr=1e-4, batch_size=8)
    assert (rte.scope, rte.schedule) == ("layer", "linear")
    assert cola[0].training == Training(steps=50, lr=1e-4, batch_size=8)
    assert {cell.sparsity for cell in cola} == {0.9}
    assert (cola[0].scope, cola[0].schedule) == ("layer", "cubic")


def test_an_override_may_name_a_configured_task(tmp_path: Path) -> None:
    text = LEAST.replace("squad", "'glue/qqp[skip_malformed=true]'")
    cells = read(tmp_path, text + "overrides: {'glue/qqp[skip_malformed=true]': {training: {steps: 9}}}").cells()
    assert {cell.training.steps for cell in cells} == {9}


@pytest.mark.parametrize(
    ("text", "pattern", "found"),
    [
        ("glue/rte", "glue/*", True),
        ("glue/rte", "glue/rte", True),
        ("glue/rte", "rte", False),
        ("glue/rte", "glue/r?e", True),
        ("a[x=1]", "a[x=1]", True),
        ("a[x=1]", "a*", True),
        ("a[x=1]", "a[x=*", True),
        ("a[x=1]", "a[x=*]", True),
        ("a b[x=1,y=0.5] 0.8 seed 0", "*b[x=1,*] 0.8*", True),
        ("a b[x=1] 0.8 seed 0", "*b[x=2]*", False),
        ("a b 0.8 seed 0", "*b[x=1]*", False),
        ("seed 1", "seed [01]", True),
    ],
)
def test_a_pattern_matches_a_whole_name_and_takes_brackets_as_they_stand(text: str, pattern: str, found: bool) -> None:
    assert matches(text, pattern) == found


# Methods: rows with a scope and a schedule of their own.

METHODS = """
tasks: [squad, glue/rte]
criteria: [magnitude, magnitude at the start, movement as published + rdrop, movement as published]
sparsities: [0.5]
scope: row
methods:
  magnitude at the start: {criterion: "magnitude[]", schedule: "one_shot[at=0]"}
  movement as published:
    criterion: "movement[score_schedule=weights,score_optimizer=adam]"
    scope: layer
    schedule: cubic[window=1]
overrides: {squad: {scope: erk, schedule: linear}}
"""


def test_a_method_has_its_own_scope_and_schedule_whatever_the_boards_are(tmp_path: Path) -> None:
    pruned = [cell for cell in read(tmp_path, METHODS).cells() if not cell.is_dense]
    movement = "movement[score_optimizer=adam,score_schedule=weights]"
    assert [(c.task, c.row, c.regularizer, c.criterion, c.scope, c.schedule) for c in pruned] == [
        ("squad", "magnitude", "none", "magnitude", "erk", "linear"),
        ("squad", "magnitude at the start", "none", "magnitude", "erk", "one_shot[at=0]"),
        ("squad", "movement as published", "rdrop", movement, "layer", "cubic[window=1]"),
        ("squad", "movement as published", "none", movement, "layer", "cubic[window=1]"),
        ("glue/rte", "magnitude", "none", "magnitude", "row", "gradual"),
        ("glue/rte", "magnitude at the start", "none", "magnitude", "row", "one_shot[at=0]"),
        ("glue/rte", "movement as published", "rdrop", movement, "layer", "cubic[window=1]"),
        ("glue/rte", "movement as published", "none", movement, "layer", "cubic[window=1]"),
    ]
    assert len({cell.id for cell in pruned}) == len(pruned)


FED = """
tasks: [squad]
criteria: [magnitude, wanda, sparsegpt, obert, wanda dense]
methods: {wanda dense: {criterion: wanda, calibration_inputs: dense}}
sparsities: [0.5]
schedule: one_shot
scope: row
"""


@pytest.mark.parametrize(
    ("old", "new", "pruned"),
    [
        ("", "", {"wanda", "sparsegpt"}),
        ("scope: row", "scope: layer", {"wanda", "sparsegpt"}),
        ("scope: row", "scope: erk", {"wanda", "sparsegpt"}),
        ("scope: row", 'scope: "2:4"', {"wanda", "sparsegpt"}),
        ("scope: row", "scope: global", set()),
        ("scope: row", "scope: published", set()),
        ("scope: row", 'scope: "block[2,2]"', set()),
        ("one_shot", '"one_shot[at=0.2]"', {"wanda", "sparsegpt"}),
        ("one_shot", "gradual", set()),
        ("scope: row", "scope: row\ncalibration_inputs: dense", set()),
        ("scope: row", "scope: row\ncalibration_inputs: pruned", {"wanda", "sparsegpt"}),
    ],
)
def test_layer_inputs_come_from_pruned_blocks_where_the_question_arises(
    tmp_path: Path, old: str, new: str, pruned: set[str]
) -> None:
    cells = read(tmp_path, FED.replace(old, new)).cells()
    assert {cell.row for cell in cells if cell.calibration_inputs == "pruned"} == pruned
    keyed = [cell.keyed for cell in cells if cell.calibration_inputs == "dense"]
    assert not any("calibration_inputs" in key for key in keyed)  # such cells have the ids that they always had


def test_a_method_leaves_the_ids_of_all_other_cells_alone(tmp_path: Path) -> None:
    plain = METHODS.partition("methods:")[0].replace(
        "[magnitude, magnitude at the start, movement as published + rdrop, movement as published]", "[magnitude]"
    )
    with_methods = {cell.id for cell in read(tmp_path, METHODS.partition("overrides")[0]).cells()}
    assert {cell.id for cell in read(tmp_path, plain).cells()} < with_methods


def test_the_dense_run_of_a_method_is_everybodys(tmp_path: Path) -> None:
    dense, *pruned = (cell for cell in read(tmp_path, METHODS).cells() if cell.task == "glue/rte")
    assert {cell.dense().id for cell in pruned} == {dense.id}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "magnitude at the start,",
            "magnitude at the stars,",
            "Methods of this suite: did you mean 'magnitude at the start'? magnitude at the start",
        ),
        (
            "    scope: layer",
            "    scop: layer",
            "unknown key 'methods.movement as published.scop'; did you mean 'scope'",
        ),
        ("    scope: layer", "    scope: lair", "did you mean 'layer'"),
        ("cubic[window=1]", "cubik", "did you mean 'cubic'"),
        ('"magnitude[]"', "magnitud", "did you mean 'magnitude'"),
        ('"magnitude[]"', "magnitude + rdrop", "name the regularizer where criteria lists the method"),
        ('criterion: "magnitude[]", ', "", "'methods.magnitude at the start.criterion' is missing"),
        ("  magnitude at the start:", "  principled:", "'principled' is a criterion's name"),
        ("  magnitude at the start:", "  dense:", "'dense' is a criterion's name"),
        ("  magnitude at the start:", "  best (tuned):", "is no name for a method"),
        ("  magnitude at the start:", "  a + b:", "is no name for a method"),
        ("  magnitude at the start:", "  'a|b':", "is no name for a method"),
        ("  magnitude at the start:", "  my/mine.py:", "is no name for a method"),
        ("  magnitude at the start:", "  ' x':", "is no name for a method"),
        ("  magnitude at the start:", f"  {'x' * 61}:", "is no name for a method"),
    ],
)
def test_what_is_wrong_with_a_method_is_said(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert METHODS.count(old) == 1
    with pytest.raises(PrunebenchError) as error:
        read(tmp_path, METHODS.replace(old, new))
    assert message in str(error.value), error.value


@pytest.mark.parametrize(
    ("key", "known"),
    [
        ("magnitude", "magnitude"),
        ("principled[signed=True]", "principled[signed=true]"),
        ("principled[signed=true] + distillation[alpha=0.25]", "principled[signed=true] + distillation[alpha=0.25]"),
        ("distillation[alpha=0.25]", "distillation[alpha=0.25]"),
        ("glue/rte", "glue/rte"),
        ("dense", "dense"),
        ("mini", "mini"),
    ],
)
def test_labels_name_what_the_suite_has_and_change_no_id(key: str, known: str) -> None:
    plain: dict[str, Any] = {
        "tasks": ["glue/rte"],
        "criteria": ["magnitude", "principled[signed=true]"],
        "regularizers": ["none", "distillation[alpha=0.25]"],
        "sparsities": [0.5],
    }
    suite = Suite.model_validate({**plain, "labels": {key: "Ours"}})
    assert {name: label.text for name, label in suite.labels.items()} == {known: "Ours"}
    assert [spec.id for spec in suite.cells()] == [spec.id for spec in Suite.model_validate(plain).cells()]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"magnitud": "M"}, "'magnitud' is nothing of this suite; did you mean 'magnitude'"),
        ({"taylor": "T"}, "'taylor' is nothing of this suite"),
        ({"magnitude + distillation": "T"}, "is nothing of this suite; did you mean 'magnitude'"),
        ({"magnitude": " "}, "expected one line of text"),
        ({"magnitude": "PINS\nours"}, "expected one line of text"),
        ({"magnitude": "\u200b\ufeff"}, "expected one line of text"),
        ({"magnitude": 3}, "valid string"),
    ],
)
def test_labels_of_what_is_not_there_are_refused(labels: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(said)):
        Suite.model_validate({"tasks": ["glue/rte"], "criteria": ["magnitude"], "sparsities": [0.5], "labels": labels})
