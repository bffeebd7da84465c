"""The table as data: CSV with one line per cell, JSON with everything; both always carry the record ids."""

import csv
import io
import json
from typing import Any

from benchmark.report.cells import Cell
from benchmark.report.escape import for_csv
from benchmark.report.layout import Line
from benchmark.report.table import Table

COLUMNS = (
    "shown_metric", "state", "mean", "sd", "low", "high", "n", "planned", "rank", "floor", "measured_sparsity",
    "notes", "seeds", "records", "absent", "failures",
)  # fmt: skip


def write_json(table: Table, trace: bool = False) -> str:  # noqa: ARG001 - always traced
    """Title, facts, notes and every cell with its values, ids and failures; numbers in percent, unrounded."""
    content = {
        "title": table.title,
        "facts": dict(table.facts),
        "notes": {note.symbol: {"kind": note.kind, "text": note.text} for note in table.notes},
        "rows": list(table.row_fields),
        "columns": list(table.column_fields),
        "cells": [_entry(table, line, column, cell) for line, column, cell in _cells(table)],
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def write_csv(table: Table, trace: bool = False) -> str:  # noqa: ARG001 - always traced
    """One line per planned cell. Text that a spreadsheet would run as a formula is prefixed with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*table.row_fields, *table.column_fields, *COLUMNS])
    for line, column, cell in _cells(table):
        fields = [for_csv(str(part)) for part in (*line.key, *column.key)]
        entry = _entry(table, line, column, cell)
        writer.writerow([*fields, *(_flat(entry[name]) for name in COLUMNS)])
    return out.getvalue()


def _cells(table: Table) -> list[tuple[Line, Line, Cell]]:
    return [
        (line, column, cell)
        for line, row in zip(table.rows, table.cells, strict=True)
        for column, cell in zip(table.columns, row, strict=True)
        if cell.state != "blank" or cell.text
    ]


def _entry(table: Table, line: Line, column: Line, cell: Cell) -> dict[str, Any]:
    low, high = cell.interval if cell.n > 1 else (None, None)
    return {
        "row": dict(zip(table.row_fields, line.key, strict=True)),
        "column": dict(zip(table.column_fields, column.key, strict=True)),
        "dense": line.dense or column.dense,
        "average": bool(line.average or column.average),
        "shown_metric": cell.metric,
        "state": cell.text or cell.state,
        "mean": cell.mean,
        "sd": cell.sd,
        "low": low,
        "high": high,
        "n": cell.n,
        "planned": cell.planned,
        "rank": cell.rank or None,
        "floor": cell.floor,
        "measured_sparsity": cell.sparsity,
        "notes": list(cell.marks),
        "seeds": [run.seed for run in cell.runs],
        "values": list(cell.values),
        "records": list(cell.ids),
        "absent": list(cell.absent),
        "failures": dict(cell.failures),
    }


def _flat(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, dict):
        value = [f"{key}: {text}" for key, text in value.items()]
    if isinstance(value, list):
        return for_csv(" ".join(str(part) for part in value))
    return for_csv(value) if isinstance(value, str) else value
