"""Scores as arrays: methods x cells x seeds out of a table, complete cells only, for statistics and curves."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from benchmark.report.cells import Cell
from benchmark.report.layout import Line, TableError
from benchmark.report.marks import comparable
from benchmark.report.names import distinct
from benchmark.report.show import sparsity_of, task_of
from benchmark.report.statistics.intervals import LOGARITHMIC, Floats, additive
from benchmark.report.statistics.multiple import DIGITS
from benchmark.report.table import TASKS, Table


@dataclass(frozen=True)
class Grid:
    """`scores` [methods, cells, seeds], `dense` [cells] (nan where absent) and `floor` [cells] (0 where a task has none), in
    percent, errors negated so that more is better throughout, perplexity as its logarithm in nats; names of methods and cells."""

    methods: tuple[str, ...]
    cells: tuple[str, ...]
    tasks: tuple[str, ...]
    """The task of each cell."""
    scores: Floats
    dense: Floats
    floor: Floats
    nats: tuple[bool, ...]
    """Of each cell, whether its metric counts as a logarithm."""
    left_out: tuple[str, ...]
    """What is left out: incomplete, not ranked in the table, or without a dense score above the floor where others have one."""
    alike: bool = True
    """Whether all have the same seeds; if not, `scores` are means over the seeds that each has."""
    words: Mapping[str, str] = field(default_factory=dict)
    """What each of these methods and cells is called in print."""

    @property
    def seeds(self) -> int:
        """How many numbers each cell has: one for each run, or one in all, the mean."""
        return int(self.scores.shape[2])

    def word(self, name: str) -> str:
        """What a method or a cell is called in print."""
        return self.words.get(name, name)


def grid_of(table: Table) -> Grid:
    """The grid of a table with methods as rows, tasks and sparsities as columns (build_table's default layout).

    What the table does not rank is not here either. Methods without any complete cell that is ranked are left out, then columns
    in which a remaining method has none, and columns without a dense score above the floor, unless all are.
    """
    if table.column_fields != TASKS["columns"]:
        raise TableError(
            f"statistics need the columns {', '.join(TASKS['columns'])}; found {', '.join(table.column_fields)}"
        )
    rows = [(line.method, cells) for line, cells in zip(table.rows, table.cells, strict=True)
            if not line.dense]  # fmt: skip
    methods = [(name, cells) for name, cells in rows if any(map(comparable, cells))]
    columns = [j for j, line in enumerate(table.columns) if not line.average]
    full = [j for j in columns if methods and all(comparable(cells[j]) for _, cells in methods)]
    dense_rows = [cells for line, cells in zip(table.rows, table.cells, strict=True) if line.dense]
    dense = {j: _dense([cells[j] for cells in dense_rows]) for j in full}
    floor = {j: _floor([cells[j] for _, cells in methods]) for j in full}
    full = [j for j in full if dense[j] > floor[j]] or full
    seeds = {tuple(run.seed for run in cells[j].runs) for _, cells in methods for j in full}
    pooled = len(seeds) != 1
    scores = [[_values(cells[j], pooled) for j in full] for _, cells in methods]
    gone = [name for name, _ in rows if name not in [kept for kept, _ in methods]]
    names = [table.columns[j].text for j in columns]
    said = {name: table.called.method(name) for name, _ in rows}
    said |= {name: _column(table, table.columns[j]) for j, name in zip(columns, names, strict=True)}
    return Grid(
        methods=tuple(name for name, _ in methods),
        cells=tuple(name for j, name in zip(columns, names, strict=True) if j in full),
        tasks=tuple(str(table.columns[j].key[0]) for j in full),
        scores=np.array(scores, dtype=np.float64).reshape(len(methods), len(full), -1 if full else 1),
        dense=np.array([dense[j] for j in full], dtype=np.float64),
        floor=np.array([floor[j] for j in full], dtype=np.float64),
        nats=tuple(any(cells[j].metric in LOGARITHMIC for _, cells in methods) for j in full),
        left_out=(*gone, *(name for j, name in zip(columns, names, strict=True) if j not in full)),
        alike=not pooled,
        words=distinct(said, said.__getitem__),
    )


def _column(table: Table, line: Line) -> str:
    """`SST-2 (Acc.) at 80 %`."""
    return f"{task_of(table, line)} at {sparsity_of(line)}"


def _values(cell: Cell, pooled: bool) -> list[float]:
    values = cell.utilities.tolist()
    return [float(np.mean(values))] if pooled else values


def _floor(cells: list[Cell]) -> float:
    floors = (cell.sign * float(additive(cell.metric, cell.floor)) for cell in cells if cell.floor is not None)
    return round(next(floors, 0.0), DIGITS)


def _dense(cells: list[Cell]) -> float:
    means = [round(float(cell.utilities.mean()), DIGITS) for cell in cells if cell.runs]
    return means[0] if means else float("nan")
