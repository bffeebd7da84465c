"""What a page is made of, and the data that its script reads: plain values, finite numbers, no markup."""

import glob
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.board.record import Point, Record
from benchmark.report.cells import Cell
from benchmark.report.escape import clean
from benchmark.report.layout import Line
from benchmark.report.names import Names
from benchmark.report.show import show, sparsity_of, task_of
from benchmark.report.summary import Summary, summarize
from benchmark.report.table import Table, build_table
from benchmark.suite.spec import GATE, RunSpec

if TYPE_CHECKING:
    from benchmark.report.significance import Comparison

POINTS = 200
"""A curve is thinned to about so many points."""


@dataclass(frozen=True)
class PageBoard:
    """One board: what was planned, what finished, what failed, and where it lies (for the reproducing command)."""

    title: str
    records: Sequence[Record]
    specs: Sequence[RunSpec] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    problems: Sequence[str] = ()
    """Records that could not be read, in words."""
    folder: str = "BOARD"
    gate: float = GATE
    """Points above the floor at which a task counts."""
    names: Names = field(default_factory=Names)
    comparisons: "Sequence[Comparison]" = ()
    """Every cell of `table` against the best of its column; none where they could not be made."""
    records_at: str = ""
    """Where the page finds the records, relative to itself and ready for a link; empty where it does not."""

    @cached_property
    def table(self) -> Table:
        """The headline table: criterion and regularizer down, task and sparsity across, averages over tasks last."""
        return build_table(
            self.records,
            self.specs,
            average=True,
            names=self.names,
            title=self.title,
            failures=self.failures,
            gate=self.gate,
        )

    @cached_property
    def summary(self) -> Summary | None:
        """The statistics of the table."""
        return summarize(self.table)

    @property
    def models(self) -> list[str]:
        """Models of the planned runs."""
        return list(dict.fromkeys(spec.recorded().model for spec in self.specs_by_id.values()))

    @cached_property
    def specs_by_id(self) -> dict[str, RunSpec]:
        """Planned (or else recorded) runs by id."""
        return {spec.id: spec for spec in self.specs or [record.spec for record in self.records]}


def embedded(data: object) -> str:
    """JSON that may stand inside a `<script>` element: no `<`, `>`, `&`, no line separators, no NaN."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def board_data(board: PageBoard) -> dict[str, Any]:
    """Cells by `row-column` and runs by id, for the details of a cell."""
    table, specs = board.table, board.specs_by_id
    cells = {
        f"{i}-{j}": _cell(board, line, column, cell)
        for i, (line, row) in enumerate(zip(table.rows, table.cells, strict=True))
        for j, (column, cell) in enumerate(zip(table.columns, row, strict=True))
        if cell.state != "blank"
    }
    runs = {record.id: _run(record) for record in board.records if record.id in specs}
    return {
        "title": clean(board.title),
        "folder": clean(Path(board.folder).name),
        "records": board.records_at,
        "digits": table.digits,
        "cells": cells,
        "runs": runs,
    }


def _cell(board: PageBoard, row: Line, column: Line, cell: Cell) -> dict[str, Any]:
    table, specs = board.table, board.specs_by_id
    low, high = cell.interval if cell.n > 1 else (None, None)
    ids = [*cell.ids, *cell.absent]
    reasons = dict(cell.failures)
    name = table.called.method(row.method), task_of(table, column), sparsity_of(column)
    return {
        "name": " · ".join(map(clean, name)),
        "metric": clean(table.called.metric(cell.metric)),
        "shown": show(cell, table).plain,
        "state": cell.state,
        "mean": _finite(cell.mean),
        "sd": _finite(cell.sd),
        "low": _finite(low),
        "high": _finite(high),
        "planned": cell.planned,
        "floor": _finite(cell.floor),
        "rank": cell.rank,
        "notes": [clean(note.text) for note in table.notes if note.kind in cell.marks],
        "runs": list(cell.ids),
        "absent": [[clean(specs[id_].cell), clean(reasons.get(id_, "no record"))] for id_ in cell.absent],
        "command": command(board.folder, specs[ids[0]]) if ids and not column.average else "",
    }


def command(folder: str, spec: RunSpec) -> str:
    """What reproduces all seeds of a cell, from the suite alone, in a folder of its own; run beside the board.

    There the suite's relative paths of data and model are right, on any machine.
    """
    board = Path(clean(folder)).resolve().name
    suite, again = shlex.quote(f"{board}/suite.yaml"), shlex.quote(f"{board}-again")
    only = shlex.quote(clean(f"{glob.escape(spec.unseeded)} seed *"))
    return f"mkdir {again} && cp {suite} {again} && prunebench run {again} --only {only}"


def _run(record: Record) -> dict[str, Any]:
    sparsity, cost, spec = record.sparsity, record.cost, record.spec
    environment = {clean(name): clean(text) for name, text in record.environment.items()}
    return {
        "seed": spec.seed,
        "metrics": {clean(name): _finite(value) for name, value in record.metrics.items()},
        "sparsity": f"{sparsity.zeros:,} / {sparsity.prunable:,} = {sparsity.measured:.4f}",
        "met": sparsity.met,
        "selected": f"{record.selected.protocol}, step {record.selected.step}",
        "seconds": _finite(cost.train_seconds),
        "criterion": _finite(cost.criterion_seconds),
        "peak": cost.peak_bytes,
        "curve": _curve(record.curve),
        "made": {
            "model": f"{clean(spec.model)} [{clean(record.model_fingerprint[:16])}]",
            "data": f"{clean(spec.data)} [{clean(record.data_fingerprint[:16])}]",
            "teacher": clean(record.teacher or "none"),
            **environment,
        },
        "notes": [clean(text) for text in record.notes],
    }


def _curve(points: Sequence[Point]) -> dict[str, list[float | None]]:
    step = max(1, -(-len(points) // POINTS))
    kept = [point for i, point in enumerate(points) if i % step == 0 or i == len(points) - 1]
    return {
        "step": [point.step for point in kept],
        "loss": [_finite(point.loss) for point in kept],
        "sparsity": [_finite(point.sparsity) for point in kept],
        "score": [_finite(point.score) for point in kept],
    }


def _finite(number: float | None) -> float | None:
    return number if number is not None and isfinite(number) else None
