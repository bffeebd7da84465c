"""From records to one table object, which every writer prints.

    table = build_table(records, specs)             # specs: what the suite plans, so that missing cells are seen
    print(render(table, "text"))                    # benchmark.report.render

Nothing here trains or reads a file. Every cell keeps the ids of the records behind it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from benchmark.board.record import Record
from benchmark.report.average import averages
from benchmark.report.cells import Cell, make_cell
from benchmark.report.facts import describe, seeds_of, subject_of
from benchmark.report.layout import (
    Layout,
    Line,
    Slot,
    TableError,
    check_axes,
    dense_on_rows,
    lay_out,
    planned,
    seed_groups,
    slots_of,
)
from benchmark.report.marks import Note, gated, marks_of, notes, odd_ones, passes, rank_lines
from benchmark.report.names import STANDARD, Names, listed
from benchmark.report.statistics.intervals import LOGARITHMIC
from benchmark.suite.spec import GATE, RunSpec

Spread = Literal["sd", "interval", "none"]

PAPER: dict[str, tuple[str, ...]] = {"rows": ("sparsity", "method"), "columns": ("task",)}
"""Blocks by sparsity, a row for each method, a column for each task: how pruning papers lay out their results."""
TASKS: dict[str, tuple[str, ...]] = {"rows": ("criterion", "regularizer"), "columns": ("task", "sparsity")}
"""One row of numbers for each method, from which statistics are computed."""
LAYOUTS = {"paper": PAPER, "tasks": TASKS}


@dataclass(frozen=True)
class Table:
    """Lines, cells [rows][columns] and everything that must be printed with them."""

    title: str
    row_fields: tuple[str, ...]
    column_fields: tuple[str, ...]
    rows: tuple[Line, ...]
    columns: tuple[Line, ...]
    cells: tuple[tuple[Cell, ...], ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    """How the numbers were made: seeds, selection, scope, what sparsity counts, model, data, version, commit."""
    notes: tuple[Note, ...] = ()
    spread: Spread = "sd"
    digits: int = 1
    blocks: int = 0
    """So many fields of the rows, the first ones, are printed as labels of blocks."""
    subject: str = ""
    """`MODEL on TASKS`, for the caption; a table without it explains itself by its facts alone."""
    seeds: str = ""
    """`3 seeds`."""
    sentence: str = ""
    """What a table that is no comparison shows: its caption in a paper, where its facts are comments."""
    names: Names | None = None
    """What tasks, metrics and methods are called; None prints the labels of the lines as they are."""

    @property
    def by_columns(self) -> bool:
        """Whether tasks are columns, whose heads say what holds for a whole task; else tasks are rows, or all runs are of one."""
        return "task" in self.column_fields or "task" not in self.row_fields

    def gated(self, line: Line) -> bool:
        """Whether this column, or row where tasks are rows, is of a task that does not count, as its head says once."""
        return line in self._gated_lines

    @cached_property
    def _gated_lines(self) -> frozenset[Line]:
        lines, cells = (self.columns, transposed(self.cells)) if self.by_columns else (self.rows, self.cells)
        return frozenset(
            line
            for line, found in zip(lines, cells, strict=True)
            if not line.average and any("gate" in cell.marks for cell in found)
        )

    @property
    def named(self) -> bool:
        """Whether fields are printed under the names of papers."""
        return self.names is not None

    @property
    def called(self) -> Names:
        """Its names, or those of the field."""
        return self.names or STANDARD

    def word(self, field: str, value: object) -> str:
        """How a value of a field is printed."""
        return self.names.word(field, value) if self.names else str(value)

    @property
    def ranked(self) -> bool:
        """Whether any cell is marked as best, so that the marks need a legend."""
        return any(cell.rank for row in self.cells for cell in row)

    def incomplete(self) -> list[str]:
        """One line per cell with absent runs: where, and which ids; averages repeat it and are left out."""
        found: dict[tuple[str, ...], str] = {}
        for line, row in zip(self.rows, self.cells, strict=True):
            for column, cell in zip(self.columns, row, strict=True):
                if cell.absent and not (line.average or column.average):
                    said = f"{line.text} | {column.text}: {cell.state}, without {', '.join(cell.absent)}"
                    found.setdefault(cell.absent, said)
        return list(found.values())


def build_table(
    records: Sequence[Record],
    specs: Sequence[RunSpec] = (),
    *,
    rows: Sequence[str] = TASKS["rows"],
    columns: Sequence[str] = TASKS["columns"],
    metric: str = "headline",
    spread: Spread = "sd",
    average: bool | None = False,
    title: str = "",
    digits: int = 1,
    blocks: int = 0,
    names: Names = STANDARD,
    failures: Mapping[str, str] | None = None,
    strict: bool = False,
    gate: float = GATE,
) -> Table:
    """The table of `records`; with `specs`, exactly those runs, missing ones shown.

    `metric` is `headline`, a metric's name, or `all`; `failures` maps ids of failed runs to reasons; `strict` refuses
    missing cells; `average` adds one over all tasks, or, where it is None, over GLUE's where a pruned row is complete.
    The first `blocks` fields of the rows label blocks; `gate` is the suite's.
    TableError: unknown fields or metric, runs that would be pooled though they differ, nothing to show.
    """
    row_fields, column_fields = tuple(rows), tuple(columns)
    if metric == "all" and "metric" not in (*row_fields, *column_fields):
        column_fields = (*column_fields, "metric")
    check_axes(row_fields, column_fields)
    plan, by_id = planned(records, specs)
    slots = slots_of(plan, by_id, metric, failures or {})
    axes = (*row_fields, *column_fields)
    groups = seed_groups(slots, axes)
    planned_runs = [[slot.spec for slot in group] for group in groups]
    named = {} if "metric" in axes else {group[0].spec.task: group[0].metric for group in groups}
    layout = lay_out(groups, row_fields, column_fields, named)
    used = list({slot.record.id: slot.record for slot in slots if slot.record is not None}.values())
    cells = _gated(layout, dense_on_rows(row_fields, column_fields), _cells(layout, axes, used), gate)
    row_lines, column_lines = list(layout.rows), list(layout.columns)
    if average or (average is None and "task" in column_fields):
        row_lines, column_lines, cells = _with_averages(
            row_lines, column_lines, row_fields, column_fields, cells, glue=average is None
        )
    cells = _ranked(row_lines, column_lines, row_fields, column_fields, cells, digits)
    failed = {slot.spec.id for slot in slots if slot.failure is not None}
    left_out = by_id.keys() - {spec.id for spec in plan}
    facts = describe(planned_runs, used, len(failed), len(left_out), spread, metric)
    shown = {slot.spec.task for slot in slots}
    if without := [spec.task for spec in plan if spec.task not in shown]:
        facts["Without this metric"] = listed(without)
    table = Table(
        title=title,
        row_fields=row_fields,
        column_fields=column_fields,
        rows=tuple(row_lines),
        columns=tuple(column_lines),
        cells=tuple(tuple(row) for row in cells),
        facts=facts | _gate_says(slots, gate),
        notes=notes([cell for row in cells for cell in row]),
        spread=spread,
        digits=digits,
        blocks=blocks,
        subject=subject_of([specs[0] for specs in planned_runs], names),
        seeds=seeds_of(planned_runs),
        names=names,
    )
    if strict and (lacking := table.incomplete()):
        count = f"{len(lacking)} cells are" if len(lacking) > 1 else "1 cell is"
        raise TableError(f"{count} not complete:\n" + "\n".join(f"  {line}" for line in lacking))
    return table


def _cells(layout: Layout, axes: tuple[str, ...], used: Sequence[Record]) -> list[list[Cell]]:
    odd = {
        "data": odd_ones(used, "data_fingerprint", "task", *(f for f in ("data",) if f in axes)),
        "model": odd_ones(used, "model_fingerprint", "task", "model"),
    }
    all_optimistic = all(record.selected.optimistic for record in used)
    cells = [[Cell() for _ in layout.columns] for _ in layout.rows]
    for (i, j), slots in layout.places.items():
        cell = make_cell(slots, axes)
        cells[i][j] = replace(cell, marks=marks_of(slots, cell, odd, all_optimistic))
    return cells


def _gated(layout: Layout, upright: bool, cells: list[list[Cell]], gate: float) -> list[list[Cell]]:
    """`cells` with the marks of tasks that do not pass the gate, and of cells whose runs lie apart.

    A task's dense runs speak for its cells on the same column, or on the same row where methods are columns.
    """
    places: dict[tuple[int, str], list[tuple[int, int]]] = {}
    for (i, j), slots in layout.places.items():
        places.setdefault((j if upright else i, slots[0].spec.task), []).append((i, j))
    marked = [list(row) for row in cells]
    for members in places.values():
        slots = [slot for place in members for slot in layout.places[place]]
        dense = [slot.record for slot in slots if slot.record is not None and slot.spec.is_dense]
        found = gated(dense, [cells[i][j] for i, j in members], gate)
        for (i, j), cell in zip(members, found, strict=True):
            marked[i][j] = cell
    return marked


def _gate_says(slots: Sequence[Slot], gate: float) -> dict[str, str]:
    dense = [slot.record for slot in slots if slot.record is not None and slot.spec.is_dense]
    if not gate:
        return {}
    missing = {slot.spec.task for slot in slots if slot.record is None and slot.spec.is_dense}
    unsettled = dict.fromkeys(slot.spec.task for slot in slots if slot.record is not None and slot.spec.task in missing)
    said = (
        {"Dense runs": f"missing on {listed(unsettled)}: whether a task counts is not settled there"}
        if unsettled
        else {}
    )
    if not dense:
        return said
    failing = dict.fromkeys(record.spec.task for record in dense if not passes(record, gate))
    nats = {record.metric in LOGARITHMIC for record in dense}
    margins = {False: f"{gate:g} points above the floor", True: f"{gate / 100:g} nats below the floor of perplexity"}
    rule = f"a task counts where every dense run is at least {' or '.join(margins[kind] for kind in sorted(nats))}"
    rule += f"; {', '.join(failing)} {'does' if len(failing) == 1 else 'do'} not" if failing else ""
    return said | {"Gate": rule}


def _with_averages(
    rows: list[Line],
    columns: list[Line],
    row_fields: tuple[str, ...],
    column_fields: tuple[str, ...],
    cells: list[list[Cell]],
    glue: bool,
) -> tuple[list[Line], list[Line], list[list[Cell]]]:
    if "task" in column_fields:
        lines, more = averages(columns, column_fields, cells, glue)
        return rows, columns + lines, [old + new for old, new in zip(cells, more, strict=True)]
    if "task" in row_fields:
        lines, more = averages(rows, row_fields, transposed(cells))
        return rows + lines, columns, cells + transposed(more)
    raise TableError("an average over tasks needs 'task' in the rows or columns")


def _ranked(
    rows: Sequence[Line],
    columns: Sequence[Line],
    row_fields: tuple[str, ...],
    column_fields: tuple[str, ...],
    cells: list[list[Cell]],
    digits: int,
) -> list[list[Cell]]:
    if dense_on_rows(row_fields, column_fields):
        return transposed([rank_lines(rows, row_fields, column, digits) for column in transposed(cells)])
    return [rank_lines(columns, column_fields, row, digits) for row in cells]


def transposed(cells: Sequence[Sequence[Cell]]) -> list[list[Cell]]:
    """Rows for columns."""
    return [list(column) for column in zip(*cells, strict=True)]
