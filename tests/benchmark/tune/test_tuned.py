"""Tuned cells: what tuning found enters the spec, its id, its row's name and the caption, and changes no untuned cell."""

from pathlib import Path
from typing import Any

import pytest

from benchmark.suite.spec import RunSpec, Training
from tests.benchmark.report.factory import make_record
from tests.benchmark.suites import read, refusal

SUITE = """\
tasks: [glue/rte, glue/cola]
criteria: [magnitude, principled + distillation]
sparsities: [0.5, 0.8]
seeds: [0, 1]
training: {steps: 100, lr: 1e-3}
"""
FOUND = """\
tuned:
- {task: glue/rte, row: principled, regularizer: distillation, sparsity: 0.8, criterion: "principled[window=7]",
   found_lr: 0.002, lr: 0.001, trials: 20, seed: 2, heldout: 0.1, space: abc}
- {task: glue/rte, row: magnitude, sparsity: 0.8, criterion: magnitude, found_lr: 0.003, lr: 0.001, trials: 20, seed: 2,
   heldout: 0.1, space: def}
"""


def cells(tmp_path: Path, text: str) -> list[RunSpec]:
    return read(tmp_path, text).cells()


def test_a_tuned_suite_has_the_tuned_cells_and_the_dense_ones(tmp_path: Path) -> None:
    found = cells(tmp_path, SUITE + FOUND)
    assert [spec.cell for spec in found if spec.task == "glue/rte" and spec.seed == 1] == [
        "glue/rte dense seed 1",
        "glue/rte magnitude (tuned) 0.8 seed 1",
        "glue/rte principled (tuned)+distillation 0.8 seed 1",
    ]
    principled = next(spec for spec in found if "principled" in spec.cell)
    assert (principled.criterion, principled.training.lr, principled.training.steps) == (
        "principled[window=7]",
        0.002,
        100,
    )
    assert principled.tuned.model_dump() == {
        "row": "principled", "trials": 20, "lr": 0.001, "seed": 2, "heldout": 0.1, "space": "abc",
    }  # fmt: skip


def test_dense_runs_and_teachers_are_those_of_the_untuned_board(tmp_path: Path) -> None:
    untuned = {spec.id for spec in cells(tmp_path, SUITE)}
    tuned = cells(tmp_path, SUITE + FOUND)
    assert {spec.dense().id for spec in tuned} <= untuned
    assert not {spec.id for spec in tuned if not spec.is_dense} & untuned


def test_a_tuned_cell_is_another_one_even_where_tuning_found_the_defaults() -> None:
    untuned = RunSpec(task="squad", criterion="magnitude", sparsity=0.5, training=Training(steps=3))
    tuned = untuned.model_copy(
        update={"tuned": untuned.tuned.model_copy(update={"row": "magnitude", "trials": 3, "lr": 5e-5})}
    )
    assert tuned.id != untuned.id
    assert RunSpec.model_validate_json(tuned.recorded().model_dump_json()).id == tuned.id


def test_one_row_whatever_was_found_for_each_column(tmp_path: Path) -> None:
    from benchmark.report.render import render
    from benchmark.report.table import build_table

    other = FOUND.replace("0.8", "0.5").replace("window=7", "window=9").removeprefix("tuned:\n")
    specs = [spec for spec in cells(tmp_path, SUITE + FOUND + other) if spec.task == "glue/rte"]
    table = build_table([make_record(spec, 70.0 + spec.sparsity) for spec in specs], specs)
    text, facts = render(table), " ".join(table.facts.values())
    assert text.count("PINS (tuned)") == 1
    assert "learning rate tuned" in facts
    assert "options and learning rate by 20 trials each at seed 2, scored on 10% of the training data held out" in facts


TWICE = FOUND + FOUND.removeprefix("tuned:\n")
OTHER = "overrides: {glue/rte: {sparsities: [0.6]}}\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            FOUND.replace("row: magnitude", "row: random"),
            "glue/rte random is no row of this suite that was tuned",
        ),
        (FOUND.replace("glue/rte", "squad"), "squad principled + distillation is no row of this suite that was tuned"),
        (FOUND.replace("trials: 20", "trials: 0"), "is no row of this suite that was tuned"),
        (FOUND.replace("0.8", "0.7"), "principled + distillation is at sparsity 0.7, expected 0.5 or 0.8"),
        (FOUND + OTHER, "principled + distillation is at sparsity 0.8, expected 0.6"),
        (
            FOUND.replace("criterion: magnitude", "criterion: taylor"),
            "has the criterion taylor, expected magnitude with",
        ),
        (FOUND.replace("found_lr: 0.003", "found_lr: 100"), "tuned.1.found_lr: found 100: expected at most 10"),
        (FOUND.replace("found_lr: 0.003, lr: 0.001", "found_lr: 0.003"), "'tuned.1.lr' is missing"),
        (TWICE, "principled + distillation at sparsity 0.8 is given twice, expected one result of tuning"),
        (TWICE.replace("window=7", "window=9", 1), "is given twice"),
    ],
)
def test_what_was_tuned_must_be_a_cell_of_this_suite_and_stand_there_once(
    text: str, reason: str, tmp_path: Path
) -> None:
    assert reason in refusal(tmp_path, SUITE + text)


def test_the_row_of_a_tuned_cell_is_recorded_without_the_folder_of_its_plugin() -> None:
    spec = RunSpec(task="squad", criterion="/a/mine.py[power=2]", sparsity=0.5)
    changes: dict[str, Any] = {"row": "/a/mine.py", "trials": 3, "lr": 5e-5}
    tuned = spec.model_copy(update={"tuned": spec.tuned.model_copy(update=changes)})
    assert tuned.recorded().row == "mine.py (tuned)"
    assert tuned.recorded().id == tuned.id
