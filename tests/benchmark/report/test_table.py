"""One table from records: places, means, marks, missing cells, and what it refuses."""

import msgspec
import pytest

from benchmark.board.index import PRINTED, shortened
from benchmark.board.record import Record
from benchmark.report.cells import Cell
from benchmark.report.layout import TableError
from benchmark.report.table import Table, build_table
from tests.benchmark.report.factory import make_board, make_record, make_sparsity, make_spec


def cell(table: Table, row: str, column: str) -> Cell:
    """The cell whose labels, joined by spaces, are these."""
    i = [" ".join(filter(None, line.labels)) for line in table.rows].index(row)
    j = [" ".join(line.labels) for line in table.columns].index(column)
    return table.cells[i][j]


def test_means_spread_and_ids_of_a_full_board() -> None:
    specs, records = make_board()
    table = build_table(records, specs)
    found = cell(table, "magnitude none", "glue/rte (accuracy) 0.5")
    assert found.values == (69.5, 70.5)
    assert found.mean == 70.0
    assert found.sd == pytest.approx(0.5**0.5)
    assert found.ids == tuple(make_spec("magnitude", 0.5, seed=seed).id for seed in (0, 1))
    assert table.incomplete() == []


def test_shortened_records_give_the_same_table() -> None:
    specs, records = make_board()
    machine = {name: f"{name} of this machine" for name in (*PRINTED, "python", "numpy", "date")}
    whole = [msgspec.structs.replace(record, environment=machine) for record in records]
    table = build_table([shortened(record) for record in whole], specs)
    assert table == build_table(whole, specs)
    assert all(machine[name] in table.facts["Made with"] for name in PRINTED)


def test_remarks_that_differ_in_their_first_number_are_one() -> None:
    notes = [
        ["7 weights are zero."],
        ["a sample of 3 of 9"],
        ["12 weights are zero"],
        ["a sample of 4 of 9"],
        ["9 left"],
    ]
    records = [make_record(make_spec(seed=seed), notes=found) for seed, found in enumerate(notes)]
    said = build_table(records).facts["Remarks of the runs"]
    assert said == "7 to 12 weights are zero; a sample of 3 of 9; a sample of 4 of 9; 9 left"


def test_a_task_and_its_machine_are_said_once_with_all_commits() -> None:
    def made(*runs: tuple[str, str]) -> str:
        records = [
            make_record(make_spec(task=task, seed=k), environment={"prunebench": "1"} | ({"commit": c} if c else {}))
            for k, (task, c) in enumerate(runs)
        ]
        return build_table(records).facts["Made with"]

    assert made(("squad", "a"), ("squad", "b"), ("squad", "a"), ("squad", "")) == "prunebench 1, commits a and b"
    assert made(("squad", "a"), ("e2e", "b")) == "prunebench 1, commit b (e2e); prunebench 1, commit a (squad)"
    assert made(("squad", "")) == "prunebench 1"


def test_dense_comes_first_with_one_value_per_task_under_every_sparsity() -> None:
    specs, records = make_board()
    table = build_table(records, specs)
    assert [line.labels for line in table.rows][:2] == [("dense", ""), ("random", "none")]
    assert [line.labels[1] for line in table.columns] == ["0.5", "0.8", "0.5", "0.8"]
    dense = table.cells[0]
    assert dense[0] == dense[1]
    assert dense[2] == dense[3]
    assert dense[0].mean == 90.0
    assert dense[2].mean == 89.0


def test_best_and_second_leave_out_the_dense_model_and_incomplete_cells() -> None:
    specs, records = make_board()
    best = make_spec("principled", 0.8, seed=1)
    table = build_table([record for record in records if record.id != best.id], specs)
    ranks = {row.labels[0]: [cell.rank for cell in cells] for row, cells in zip(table.rows, table.cells, strict=True)}
    assert ranks["dense"] == [0, 0, 0, 0]
    assert ranks["principled"] == [1, 0, 1, 1]
    assert ranks["movement"] == [2, 1, 2, 2]
    assert cell(table, "principled none", "glue/rte (accuracy) 0.8").marks == ("partial",)


def test_numbers_that_print_equal_tie() -> None:
    records = [
        make_record(make_spec(name), score) for name, score in [("a", 80.01), ("b", 80.04), ("c", 79.0), ("d", 70.0)]
    ]
    table = build_table(records)
    assert [row[0].rank for row in table.cells] == [1, 1, 0, 0]
    assert [row[0].rank for row in build_table(records, digits=2).cells] == [2, 1, 0, 0]


def test_two_rivals_have_a_best_and_no_second_and_one_has_neither() -> None:
    records = [make_record(make_spec("a"), 80.0), make_record(make_spec("b"), 79.0)]
    assert [row[0].rank for row in build_table(records).cells] == [1, 0]
    assert [row[0].rank for row in build_table(records[:1]).cells] == [0]


def test_where_all_rivals_are_equal_none_is_best() -> None:
    records = [make_record(make_spec(name), 50.3) for name in "abc"]
    assert [row[0].rank for row in build_table(records).cells] == [0, 0, 0]


def test_missing_failed_and_partial_cells_are_told_apart_and_strict_refuses_them() -> None:
    specs, records = make_board(tasks=("glue/rte",), sparsities=(0.5,))
    gone = {make_spec(name, 0.5, seed=seed).id for name, seed in [("random", 0), ("random", 1), ("movement", 0)]}
    failed = {make_spec("magnitude", 0.5, seed=seed).id: "out of memory" for seed in (0, 1)}
    kept = [record for record in records if record.id not in gone | failed.keys()]
    table = build_table(kept, specs, failures=failed)
    assert [row[0].state for row in table.cells] == ["done", "missing", "failed", "partial", "done"]
    assert len(table.incomplete()) == 3
    with pytest.raises(TableError, match=r"3 cells are not complete:\n  random none \| glue/rte"):
        build_table(kept, specs, failures=failed, strict=True)


def test_a_task_without_any_record_keeps_its_column() -> None:
    specs, records = make_board()
    table = build_table([record for record in records if record.spec.task == "squad"], specs)
    assert cell(table, "random none", "glue/rte 0.8").state == "missing"


@pytest.mark.parametrize(
    ("rows", "columns", "shape"),
    [
        (("criterion", "regularizer"), ("task", "sparsity"), (5, 4)),
        (("task", "sparsity"), ("criterion", "regularizer"), (4, 5)),
        (("criterion", "sparsity"), ("task",), (9, 2)),
        (("task",), ("criterion", "sparsity"), (2, 9)),
        (("sparsity", "criterion"), ("task",), (9, 2)),
        (("task", "criterion"), ("sparsity",), (10, 2)),
        (("criterion",), ("seed", "task", "sparsity"), (5, 8)),
    ],
)
def test_any_arrangement_has_the_same_numbers(
    rows: tuple[str, ...], columns: tuple[str, ...], shape: tuple[int, int]
) -> None:
    specs, records = make_board()
    table = build_table(records, specs, rows=rows, columns=columns)
    assert (len(table.rows), len(table.columns)) == shape
    assert {id_ for row in table.cells for found in row for id_ in found.ids} == {record.id for record in records}
    assert all(found.state in ("done", "blank") for row in table.cells for found in row)
    best = {id_ for row in table.cells for found in row if found.rank == 1 for id_ in found.ids}
    assert best == {record.id for record in records if record.spec.criterion == "principled"}


def test_runs_that_differ_in_more_than_the_seed_are_never_pooled() -> None:
    records = [make_record(make_spec("magnitude")), make_record(make_spec("movement", seed=1))]
    with pytest.raises(TableError, match=r"differ in criterion \(criterion: magnitude and movement\)"):
        build_table(records, rows=("task",), columns=("sparsity",))
    schedules = [make_record(make_spec(schedule=name, seed=seed)) for seed, name in enumerate(("cubic", "linear"))]
    with pytest.raises(TableError, match="schedule: cubic and linear"):
        build_table(schedules)
    assert len(build_table(schedules, rows=("criterion", "schedule")).rows) == 2


def test_bad_requests_name_the_choices() -> None:
    specs, records = make_board()
    with pytest.raises(TableError, match="did you mean 'criterion'"):
        build_table(records, specs, rows=("criterium",))
    with pytest.raises(TableError, match="named twice: task"):
        build_table(records, specs, rows=("task", "criterion"), columns=("task",))
    with pytest.raises(TableError, match="did you mean 'accuracy'"):
        build_table(records, specs, metric="acuracy")
    with pytest.raises(TableError, match="nothing to show"):
        build_table([])


def test_all_metrics_stand_in_their_own_columns_headline_first() -> None:
    records = [make_record(make_spec(task="glue/mrpc"), 88.0, metrics={"f1": 91.0})]
    table = build_table(records, metric="all")
    assert [line.labels for line in table.columns] == [("glue/mrpc", "0.8", "accuracy"), ("glue/mrpc", "0.8", "f1")]
    assert [found.mean for found in table.cells[0]] == [88.0, 91.0]
    assert build_table(records, metric="f1").cells[0][0].mean == 91.0


def test_a_metric_that_is_not_a_number_is_a_failed_cell() -> None:
    table = build_table([msgspec.structs.replace(make_record(make_spec()), metrics={"accuracy": float("nan")})])
    assert table.cells[0][0].state == "failed"


def test_records_of_other_boards_are_left_out_and_counted() -> None:
    specs, records = make_board(tasks=("glue/rte",))
    stray = make_record(make_spec("stray"))
    table = build_table([*records, stray], specs)
    assert "stray" not in [line.labels[0] for line in table.rows]
    assert table.facts["Left out"].startswith("1 record ")


def test_averages_are_over_tasks_and_only_where_all_cells_are_complete() -> None:
    specs, records = make_board()
    gone = make_spec("random", 0.5, seed=0, task="squad").id
    table = build_table([record for record in records if record.id != gone], specs, average=True)
    assert cell(table, "principled none", "average of 2 tasks 0.5").values == (81.0, 82.0)
    assert len(cell(table, "principled none", "average of 2 tasks 0.5").ids) == 4
    assert cell(table, "random none", "average of 2 tasks 0.5").text == "incomplete"
    assert cell(table, "principled none", "average of 2 tasks 0.8").rank == 1
    turned = build_table(records, specs, rows=("task", "sparsity"), columns=("criterion",), average=True)
    assert turned.rows[-1].labels == ("average of 2 tasks", "0.8")


def test_an_average_over_glue_counts_each_task_once() -> None:
    records = [
        make_record(make_spec(task="glue/rte"), 70.0),
        make_record(make_spec(task="glue/mrpc"), 80.0, metrics={"f1": 90.0}),
    ]
    table = build_table(records, metric="all", average=True)
    assert table.columns[-1].labels == ("GLUE-style average of 2 tasks", "0.8", "mean")
    assert table.cells[0][-1].mean == pytest.approx((70 + 85) / 2)


def test_what_a_reader_must_know_is_marked() -> None:
    def marks(**changes: object) -> tuple[str, ...]:
        odd = make_record(make_spec("c"), **changes)  # type: ignore[arg-type]
        table = build_table([make_record(make_spec("a")), make_record(make_spec("b")), odd])
        assert table.cells[0][0].marks == ()
        assert [note.kind for note in table.notes] == list(table.cells[2][0].marks)
        return table.cells[2][0].marks

    assert marks(score=52.7) == ("floor",)
    assert marks(sparsity=make_sparsity(0.8, off_by=-1)) == ("missed",)
    assert marks(sparsity=make_sparsity(0.8, exact=False, off_by=-7)) == ("outcome",)
    assert marks(data_fingerprint="0" * 16) == ("data",)
    assert marks(model_fingerprint="0" * 16) == ("model",)


def test_optimistic_selection_is_flagged() -> None:
    best, last = make_spec("a", selection="best_dev"), make_spec("b")
    table = build_table([make_record(best), make_record(last)])
    assert "optimistic" in table.facts["Selection"]
    assert table.cells[0][0].marks == ("optimistic",)
    assert table.cells[1][0].marks == ()


def test_the_caption_states_what_a_number_depends_on() -> None:
    specs, records = make_board()
    caption = " ".join(build_table(records, specs, title="Mini").facts.values())
    for part in (
        "0, 1 (n = 2 for each cell)",
        "weights after the last step",
        "scope global, schedule cubic, criteria observe before the optimizer step",
        "zeros / prunable weights",
        "1,000 prunable",
        "mini [30de130d]",
        "277 reported from dev.tsv [da7ada7a]",
        "400 steps of batch 32",
        "prunebench 0.1.0, commit 0123456789ab",
        "36 of 36 finished",
    ):
        assert part in caption


def test_a_fact_on_which_tasks_differ_is_said_for_each() -> None:
    specs, records = make_board()
    other = [replace_counts(record) if record.spec.task == "squad" else record for record in records]
    data = build_table(other, specs).facts["Data"]
    assert "277 reported from dev.tsv [da7ada7a] (glue/rte)" in data
    assert "5 reported from dev.tsv [da7ada7a] (squad)" in data


def replace_counts(record: Record) -> Record:
    """The record with other counts."""
    return msgspec.structs.replace(record, counts={"reported": 5})


def test_a_score_at_another_sparsity_does_not_compete() -> None:
    scores = {"magnitude": 80.0, "movement": 70.0, "l0": 95.0}
    records = [
        make_record(
            make_spec(name), score, sparsity=make_sparsity(0.8, exact=name != "l0", off_by=-300 if name == "l0" else 0)
        )
        for name, score in scores.items()
    ]
    table = build_table(records)
    ranks = {line.labels[0]: row[0].rank for line, row in zip(table.rows, table.cells, strict=True)}
    assert ranks == {"magnitude": 1, "movement": 0, "l0": 0}
