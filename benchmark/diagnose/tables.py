"""Tables of what was diagnosed, in the form that all report writers print."""

from collections.abc import Callable, Iterable, Sequence
from math import isnan
from statistics import fmean, stdev

import numpy as np

from benchmark.board.record import Record
from benchmark.diagnose.fidelity import Fidelity, by_layer, slope, spearman
from benchmark.diagnose.store import Diagnosis
from benchmark.report.cells import Cell, Run
from benchmark.report.layout import Line, Value
from benchmark.report.table import Table
from benchmark.suite.labels import method_of
from benchmark.suite.spec import RunSpec

Measured = tuple[RunSpec, float | None]
"""A number and the run it was measured on."""
Entries = dict[tuple[Value, ...], dict[str, list[Measured]]]
"""Values of a row -> column -> numbers, one a run."""

FIDELITY: dict[str, Callable[[Fidelity], float | None]] = {
    "within matrices": lambda f: _mean(by_layer(f.bins).values()),
    "all groups": lambda f: _known(spearman(f.bins.score, f.bins.measured)),
    "single weights": lambda f: _known(spearman(f.singles.score, f.singles.measured)),
    "within, |change|": lambda f: _mean(by_layer(f.bins, size=True).values()),
    "single, |change|": lambda f: _known(spearman(f.singles.score, np.abs(f.singles.measured))),
    "slope, groups": lambda f: slope(f.bins),
    "slope, single": lambda f: slope(f.singles),
}
"""Columns of the table of fidelity."""
ROW = ("task", "criterion", "regularizer", "sparsity")


def fidelity_table(found: Sequence[Diagnosis]) -> Table | None:
    """A row per pruned row of the board, on its own run, and one per criterion on the dense run that all of them watched.

    Without the columns that hold no number, such as the slopes where no criterion predicts a loss.
    """
    entries: Entries = {}
    for one in found:
        on_dense = one.shared.fidelity if one.shared else {}
        seen: list[tuple[tuple[Value, ...], Fidelity]] = [
            ((one.spec.task, name, "on the dense run", ""), f) for name, f in on_dense.items()
        ]
        if one.fidelity:
            seen.append((_labels(one.spec), one.fidelity))
        for labels, fidelity in seen:
            for column, get in FIDELITY.items():
                entries.setdefault(labels, {}).setdefault(column, []).append((one.spec, get(fidelity)))
    facts = {
        "Correlation": "Spearman's, of the score and the measured change of the loss when weights are zeroed; bins of the score "
        "within each matrix (mean over matrices), the same bins all together by their sums, single weights at even ranks; |change|: "
        "with the size of the change, whatever its sign",
        "Slope": "measured on predicted change of the loss through zero, where the criterion predicts one: 1 is calibrated",
        "Measured": _measured(found),
    }
    known = {
        name for row in entries.values() for name, found in row.items() if any(value is not None for _, value in found)
    }
    shown = {labels: {name: row[name] for name in row if name in known} for labels, row in entries.items() if known}
    return _table("Fidelity", ROW, "quantity", shown, facts)


def churn_table(found: Sequence[Diagnosis]) -> Table | None:
    """A row per pruned row of the board; means over its maskings, in percent."""
    entries: Entries = {}
    for one in found:
        if one.churn is None:
            continue
        maskings = one.churn.maskings
        numbers = {
            "maskings": float(len(maskings) + 1),
            "flipped %": _mean(100 * m.flipped for m in maskings),
            "swapped %": _mean(100 * m.swapped for m in maskings),
            "regrown %": _mean(100 * m.regrown for m in maskings),
            "returned %": 100 * one.churn.returned,
        }
        for column, value in numbers.items():
            entries.setdefault(_labels(one.spec), {}).setdefault(column, []).append((one.spec, value))
    facts = {
        "Flipped": "mask entries that differ from the masking before, mean over maskings; swapped: beyond what the "
        "rise of sparsity needs",
        "Regrown": "of the weights pruned by the masking before, those kept now; returned: of all ever pruned, those kept in the end",
    }
    return _table("Churn", ROW, "quantity", entries, facts)


def correlation_tables(found: Sequence[Diagnosis]) -> dict[str, Table]:
    """For each task, Spearman's correlation of the criteria's scores on the dense run, means over its seeds."""
    by_task: dict[str, Entries] = {}
    for one in found:
        if one.shared is None:
            continue
        entries = by_task.setdefault(one.spec.task, {})
        for name, row in zip(one.shared.criteria, one.shared.correlation, strict=True):
            for other, rho in zip(one.shared.criteria, row, strict=True):
                entries.setdefault((name,), {}).setdefault(other, []).append((one.spec, rho))
    facts = {
        "Correlation": "Spearman's, of the scores of at most a million prunable weights, on the same dense run at the same step"
    }
    made = {task: _table("Correlation of scores", ("criterion",), "with", e, facts) for task, e in by_task.items()}
    return {task: table for task, table in made.items() if table is not None}


def layer_tables(records: Sequence[Record]) -> dict[tuple[str, float], Table]:
    """For each task and sparsity, the measured sparsity of every matrix, in percent, a column per row of the board."""
    groups: dict[tuple[str, float], Entries] = {}
    for record in records:
        spec = record.spec
        if spec.is_dense:
            continue
        entries = groups.setdefault((spec.task, spec.sparsity), {})
        column = method_of(spec.row, spec.regularizer)
        for layer in record.sparsity.layers:
            entries.setdefault((layer.name,), {}).setdefault(column, []).append((spec, 100 * layer.zeros / layer.size))
    facts = {"Sparsity": "zeros of each matrix in percent, counted on the final weights, means over seeds"}
    made = {key: _table("Sparsity by matrix", ("matrix",), "row", e, facts) for key, e in groups.items()}
    return {key: table for key, table in made.items() if table is not None}


def _table(title: str, rows: tuple[str, ...], columns: str, entries: Entries, facts: dict[str, str]) -> Table | None:
    """The entries laid out in the order in which they came; None where there are none."""
    if not entries:
        return None
    names = list(dict.fromkeys(name for row in entries.values() for name in row))
    return Table(
        title=title,
        row_fields=rows,
        column_fields=(columns,),
        rows=tuple(Line(key, tuple(_label(value) for value in key)) for key in entries),
        columns=tuple(Line((name,), (name,)) for name in names),
        cells=tuple(tuple(_cell(row.get(name, [])) for name in names) for row in entries.values()),
        facts={**facts, "Spread": "standard deviation over seeds (n - 1)"},
    )


def _cell(found: Sequence[Measured]) -> Cell:
    runs = tuple(Run(value, (spec.id,), spec.seed) for spec, value in found if value is not None)
    values = [run.value for run in runs]
    spread = f" ± {_number(stdev(values))}" if len(values) > 1 else ""
    return Cell(runs=runs, planned=len(runs), text=f"{_number(fmean(values))}{spread}" if runs else "")


def _number(value: float) -> str:
    """Two decimals between 0.1 and 1000 and for what rounds to 0; two significant digits otherwise."""
    return f"{value:.2f}" if 0.1 <= abs(value) < 1000 or round(value, 4) == 0 else f"{value:.2g}"


def _labels(spec: RunSpec) -> tuple[Value, ...]:
    return (spec.task, spec.row, spec.regularizer, spec.sparsity)


def _label(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _known(value: float) -> float | None:
    return None if isnan(value) else value


def _mean(values: Iterable[float]) -> float | None:
    known = [value for value in values if not isnan(value)]
    return fmean(known) if known else None


def _measured(found: Sequence[Diagnosis]) -> str:
    """When and on what, each once."""
    seen = [f for one in found for f in (one.shared.fidelity.values() if one.shared else [one.fidelity]) if f]
    words = {
        f"after step {f.step} on {f.split} batches, {len(f.bins.size)} groups and {len(f.singles.size)} single weights"
        for f in seen
    }
    return "; ".join(sorted(words))
