"""A task counts where its dense runs are above the floor; runs that lie apart are shown one by one; budgets in epochs too."""

import json
import re
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from benchmark.board.record import Record
from benchmark.report.average import averages
from benchmark.report.names import Names
from benchmark.report.render import render
from benchmark.report.scores import scores_of
from benchmark.report.table import Table, build_table
from tests.benchmark.report.factory import make_record, make_spec

FLOOR = 52.7


def records(task: str, dense: tuple[float, ...], **rows: tuple[float, ...]) -> list[Record]:
    found = [make_record(make_spec(sparsity=0, seed=seed, task=task), score) for seed, score in enumerate(dense)]
    for name, scores in rows.items():
        found += [make_record(make_spec(name, seed=seed, task=task), score) for seed, score in enumerate(scores)]
    return found


def marks(table: Table) -> dict[tuple[str, str], set[str]]:
    return {
        (str(line.key[0]), str(column.key[0])): set(cell.marks)
        for line, row in zip(table.rows, table.cells, strict=True)
        for column, cell in zip(table.columns, row, strict=True)
    }


@pytest.mark.parametrize(
    ("dense", "gate", "passes"),
    [
        ((90.0, 80.0), 10.0, True),
        ((FLOOR + 10, 90.0), 10.0, True),
        ((FLOOR + 9.9, 90.0), 10.0, False),
        ((90.0, 52.0), 10.0, False),
        ((FLOOR, FLOOR), 10.0, False),
        ((FLOOR, FLOOR), 0.0, True),
        ((85.0, 85.0), 40.0, False),
    ],
)
def test_every_dense_run_has_to_pass(dense: tuple[float, ...], gate: float, passes: bool) -> None:
    table = build_table(records("glue/rte", dense, a=(70.0, 71.0), b=(60.0, 61.0)), gate=gate)
    assert all(("gate" in found) != passes for found in marks(table).values())
    assert table.ranked == passes
    assert scores_of(table).methods == (("a", "b") if passes else ())
    assert any(note.kind == "gate" for note in table.notes) != passes
    assert ("; glue/rte does not" in table.facts.get("Gate", "")) != passes


@pytest.mark.parametrize(("floor", "dense"), [(28, 33), (29, 34), (30, 35), (40, 45)])
def test_margins_are_free_of_rounding_errors(floor: int, dense: int) -> None:
    """Of 50 answers the constant one has `floor` right: 28 are 56.00000000000001 %, and 33 are 66.0 %, ten points more."""
    share = [100 * float(np.mean(np.arange(50) < right)) for right in range(51)]
    found = records("glue/rte", (share[dense],) * 2, a=(share[floor - 1], share[floor + 1]), b=(share[floor + 1],) * 2)
    found = [structs.replace(record, floor={"accuracy": share[floor]}) for record in found]
    kinds = marks(build_table(found))
    assert not any("gate" in marked for marked in kinds.values())
    assert ["floor" in kinds[name, "glue/rte"] for name in "ab"] == [True, False]


def test_what_does_not_count_is_shown_and_in_no_average() -> None:
    found = records("glue/rte", (90.0,), a=(70.0,), b=(60.0,)) + records("squad", (88.0,), a=(72.0,), b=(62.0,))
    found += records("glue/qnli", (55.0,), a=(55.0,), b=(99.0,))
    table = build_table(found, average=True)
    by_row = {str(line.key[0]): [cell.mean for cell in row] for line, row in zip(table.rows, table.cells, strict=True)}
    assert by_row["b"] == [99.0, 60.0, 62.0, 61.0]  # qnli, rte, squad, average
    assert table.columns[-1].labels[0] == "average of 2 tasks"
    assert [cell.rank for cell in table.cells[2]] == [0, 0, 0, 0]
    assert [cell.rank for cell in table.cells[1]] == [0, 1, 1, 1]
    assert scores_of(table).left_out == ("glue/qnli (accuracy) 0.8",)
    lines, _ = averages(table.columns[:2], table.column_fields, [row[:2] for row in table.cells])
    assert lines == []


def test_without_a_floor_a_task_counts_from_zero_and_without_dense_runs_it_counts() -> None:
    low = [
        make_record(make_spec(sparsity=0, task="squad"), 7.1, floor={}),
        make_record(make_spec(task="squad"), 5.0, floor={}),
    ]
    assert all("gate" in found for found in marks(build_table(low)).values())
    assert not any("gate" in found for found in marks(build_table(low[1:])).values())


@pytest.mark.parametrize("metric", ["ter", "ter_score", "wer", "mse", "mae", "brier_score"])
def test_errors_that_the_hub_counts_are_better_where_they_are_less(metric: str) -> None:
    error = [
        make_record(spec, score, metric=metric, metrics={metric: score}, floor={})
        for spec, score in ((make_spec(sparsity=0, task="e2e"), 70.0), (make_spec(task="e2e"), 75.0))
    ]
    assert all(record.less_is_better(metric) for record in error)
    assert not any("gate" in found for found in marks(build_table(error)).values())


def test_the_layout_does_not_matter() -> None:
    found = records("glue/rte", (53.0, 90.0), a=(70.0, 71.0)) + records("squad", (88.0, 88.0), a=(72.0, 53.0))
    turned = build_table(found, rows=("task", "sparsity"), columns=("criterion", "regularizer"))
    upright = marks(build_table(found))
    assert {(column, row): kinds for (row, column), kinds in upright.items()} == marks(turned)
    assert upright[("a", "glue/rte")] >= {"gate", "bimodal"}
    assert upright[("a", "squad")] == {"bimodal"}
    assert upright[("dense", "squad")] == set()


LAYOUTS: list[tuple[dict[str, Any], int]] = [
    ({"rows": ("sparsity", "method"), "columns": ("task",), "blocks": 1}, 1),
    ({"rows": ("criterion", "regularizer"), "columns": ("task", "sparsity")}, 1),
    ({"rows": ("method",), "columns": ("sparsity", "task")}, 2),
    ({"rows": ("task", "method"), "columns": ("sparsity",)}, 1),
    ({"rows": ("task", "method"), "columns": ("sparsity",), "blocks": 1}, 1),
    ({"rows": ("task", "sparsity"), "columns": ("method",)}, 1),
    ({"rows": ("sparsity", "task"), "columns": ("method",)}, 2),
]
"""Arguments of a table of two sparsities, and how often the head of a task stands in it."""
MARKED = {
    "text": ("RTE (Acc.) [a]", "RTE [a]"),
    "markdown": ("RTE (Acc.)<sup>a</sup>", "RTE<sup>a</sup>"),
    "latex": (r"RTE (Acc.)\textsuperscript{a}", r"RTE\textsuperscript{a}"),
    "html": ("RTE (Acc.)<sup>a</sup>", "RTE<sup>a</sup>"),
}


@pytest.mark.parametrize("format", MARKED)
@pytest.mark.parametrize(
    ("layout", "count"), LAYOUTS, ids=lambda value: "-".join(value.get("rows", ())) if isinstance(value, dict) else ""
)
def test_a_task_that_does_not_count_is_marked_once_at_its_name(layout: dict[str, Any], count: int, format: str) -> None:
    found = records("glue/rte", (55.0, 56.0), a=(70.0, 71.0), b=(60.0, 61.0))
    found += records("squad", (88.0, 89.0), a=(72.0, 73.0), b=(60.0, 61.0))
    found += [
        make_record(make_spec(name, 0.5, seed=seed, task=task), 80.0 + seed)
        for task in ("glue/rte", "squad") for name in "ab" for seed in (0, 1)
    ]  # fmt: skip
    table = build_table(found, names=Names(), **layout)
    if format == "markdown" and len(table.column_fields) > 1:
        count = 2  # a head cannot span there, so each of the two columns says its task
    text = render(table, format)
    body = text[: text.index("too close")]
    said = re.sub(r"<[^s/][^>]*>|\n", " ", body) if format == "html" else body
    assert sum(said.count(form) for form in MARKED[format]) == count
    assert len(re.findall(r"\[a\]|<sup>a</sup>|\\textsuperscript\{a\}", body)) == count + 1  # and the note's own letter
    assert "SQuAD" in text
    assert not re.search(r"SQuAD( \(F1\))?( \[|<sup>|\\textsup)", text)
    gated = {json_cell["row"].get("task") or json_cell["column"].get("task")
             for json_cell in json.loads(render(table, "json"))["cells"] if "gate" in json_cell["notes"]}  # fmt: skip
    assert gated == {"glue/rte"}


def test_letters_begin_with_the_heads_and_cells_keep_their_own() -> None:
    found = records("squad", (88.0, 89.0), a=(72.0, 52.7), b=(90.0, 91.0))
    found += records("webnlg/2017", (55.0, 56.0), a=(70.0, 71.0))
    table = build_table(found, rows=("sparsity", "method"), columns=("task",), blocks=1, names=Names())
    assert [(note.symbol, note.kind) for note in table.notes] == [("a", "gate"), ("b", "bimodal")]
    text = render(table, "text")
    assert "WebNLG [a]" in text
    assert "72.0 / 52.7 [b]" in text


@pytest.mark.parametrize(
    ("values", "apart"),
    [
        ((52.0, 79.0, 78.0), True),
        ((52.7, 52.7, 63.0), True),
        ((52.0, 53.0, 52.5), False),
        ((62.0, 66.0, 70.0), False),
        ((64.0, 78.0, 90.0), False),  # far apart, but none at the floor
        ((60.0, 69.0, 78.0), False),  # a slope, not two heaps
        ((30.0, 45.0, 52.0), False),  # all below the floor
        ((52.0,), False),
    ],
)
def test_runs_at_the_floor_and_far_above_are_shown_one_by_one(values: tuple[float, ...], apart: bool) -> None:
    table = build_table(records("glue/rte", tuple(90.0 for _ in values), a=values))
    text = render(table, "text")
    assert (" / ".join(f"{value:.1f}" for value in values) in text and len(values) > 1) == apart
    assert ("bimodal" in marks(table)[("a", "glue/rte")]) == apart


def test_a_column_of_bimodal_dense_runs_prints_the_runs_of_every_row() -> None:
    table = build_table(records("glue/rte", (53.0, 90.0), a=(70.0, 71.0)))
    text = render(table, "text")
    assert "53.0 / 90.0" in text
    assert "70.0 / 71.0" in text
    assert "±" not in text.split(" on ")[0]


def test_budgets_are_said_in_passes_over_the_training_data() -> None:
    (record,) = records("glue/rte", (90.0,))  # 400 steps of 32 from 2490 examples
    assert build_table([record]).facts["Epochs"] == "5.1 passes over the 2,490 training examples"


@pytest.mark.parametrize("task", ["e2e", "webnlg/2017", "dart", "squad", "squad_v2[skip_malformed=true]", "glue/rte"])
@pytest.mark.parametrize("epochs", [0.076, None])
def test_passes_are_over_rows_where_an_example_has_several(task: str, epochs: float | None) -> None:
    """Where a record does not say how many rows there were, passes over them are not known."""
    made = make_record(make_spec(task=task))
    record = structs.replace(made, cost=structs.replace(made.cost, epochs=epochs))
    said = build_table([record]).facts["Epochs"]
    assert said.partition(" ")[0] == ("0.076" if epochs else "5.1" if task == "glue/rte" else "passes")


def test_a_missing_dense_run_leaves_the_gate_open() -> None:
    found = records("glue/rte", (90.0, 91.0), a=(70.0, 71.0)) + records("squad", (88.0, 89.0), a=(72.0, 73.0))
    specs = [record.spec for record in found]
    assert "Dense runs" not in build_table(found, specs).facts
    rest = [
        record for record in found if not (record.spec.is_dense and record.spec.seed and record.spec.task == "squad")
    ]
    said = "missing on squad: whether a task counts is not settled there"
    assert build_table(rest, specs).facts["Dense runs"] == said
    assert f"Dense runs: {said}" in render(build_table(rest, specs), "text")


def test_tasks_without_a_metric_are_named() -> None:
    found = records("glue/rte", (90.0,), a=(70.0,)) + records("squad", (88.0,), a=(72.0,))
    facts = build_table(found, [record.spec for record in found], metric="f1").facts
    assert facts["Without this metric"] == "glue/rte"
    assert "Left out" not in facts
