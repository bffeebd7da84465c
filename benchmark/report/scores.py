"""The scores of a table as arrays, methods x cells x seeds, complete cells only: what statistics are computed of."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmark.report.cells import Cell
from benchmark.report.marks import comparable
from benchmark.report.names import distinct
from benchmark.report.show import sparsity_of, task_of
from benchmark.report.statistics.intervals import LOGARITHMIC, Floats, additive
from benchmark.report.statistics.multiple import DIGITS
from benchmark.report.table import Table


@dataclass(frozen=True)
class Scores:
    """`values` [methods, cells, seeds], `dense` [cells] (nan where absent) and `floor` [cells] (0 where a task has none), in
    percent, errors negated so that more is better throughout, perplexity as its logarithm in nats; names of methods and cells."""

    methods: tuple[str, ...]
    cells: tuple[str, ...]
    tasks: tuple[str, ...]
    """The task of each cell."""
    values: Floats
    dense: Floats
    floor: Floats
    nats: tuple[bool, ...]
    """Of each cell, whether its metric counts as a logarithm."""
    left_out: tuple[str, ...]
    """What is left out: incomplete, not ranked in the table, or without a dense score above the floor where others have one."""
    alike: bool
    """Whether all have the same seeds; if not, `values` are means over the seeds that each has."""
    words: Mapping[str, str]
    """What each of these methods and cells is called in print."""

    @property
    def seeds(self) -> int:
        """How many numbers each cell has: one for each run, or one in all, the mean."""
        return int(self.values.shape[2])

    def word(self, name: str) -> str:
        """What a method or a cell is called in print."""
        return self.words[name]


def scores_of(table: Table) -> Scores:
    """The scores of a table in the layout TASKS.

    What the table does not rank is not here either. Methods without any complete cell that is ranked are left out, then columns
    in which a remaining method has none, and columns without a dense score above the floor, unless all are.
    """
    rows = {line.method: cells for line, cells in zip(table.rows, table.cells, strict=True) if not line.dense}
    ranked = {name: cells for name, cells in rows.items() if any(map(comparable, cells))}
    columns = {j: line for j, line in enumerate(table.columns) if not line.average}
    full = [j for j in columns if ranked and all(comparable(cells[j]) for cells in ranked.values())]
    dense_rows = [cells for line, cells in zip(table.rows, table.cells, strict=True) if line.dense]
    dense = {j: _dense([cells[j] for cells in dense_rows]) for j in full}
    floor = {j: _floor([cells[j] for cells in ranked.values()]) for j in full}
    full = [j for j in full if dense[j] > floor[j]] or full
    alike = len({tuple(run.seed for run in cells[j].runs) for cells in ranked.values() for j in full}) == 1
    runs = [[cells[j].utilities for j in full] for cells in ranked.values()]
    values = runs if alike else [[cell.mean() for cell in cells] for cells in runs]
    words = {name: table.called.method(name) for name in rows}
    words |= {line.text: f"{task_of(table, line)} at {sparsity_of(line)}" for line in columns.values()}
    return Scores(
        methods=tuple(ranked),
        cells=tuple(columns[j].text for j in full),
        tasks=tuple(str(columns[j].key[0]) for j in full),
        values=np.array(values, dtype=np.float64).reshape(len(ranked), len(full), -1 if full else 1),
        dense=np.array([dense[j] for j in full], dtype=np.float64),
        floor=np.array([floor[j] for j in full], dtype=np.float64),
        nats=tuple(any(cells[j].metric in LOGARITHMIC for cells in ranked.values()) for j in full),
        left_out=(
            *(name for name in rows if name not in ranked),
            *(line.text for j, line in columns.items() if j not in full),
        ),
        alike=alike,
        words=distinct(words, words.__getitem__),
    )


def _floor(cells: list[Cell]) -> float:
    floors = (cell.sign * float(additive(cell.metric, cell.floor)) for cell in cells if cell.floor is not None)
    return round(next(floors, 0.0), DIGITS)


def _dense(cells: list[Cell]) -> float:
    means = [round(float(cell.utilities.mean()), DIGITS) for cell in cells if cell.runs]
    return means[0] if means else float("nan")
