"""Overlap of the kept weights of different rows, and of different seeds of one row.

    J(A, B) = |A and B| / |A or B|      kept sets A, B: the prunable weights that are not zero in the final model

Two independent random sets of density d overlap by d / (2 - d): the floor that a table of overlaps is read against. Needs the
weights of the cells (`prunebench run --save-weights`).
"""

import os
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from benchmark.board.board import Board
from benchmark.board.record import Record
from benchmark.board.weights import read_weights, weight_problems, weights_path
from benchmark.errors import PrunebenchError
from benchmark.machine.atomic import reason_of
from benchmark.report.cells import Cell, Run
from benchmark.report.layout import Line
from benchmark.report.table import Table
from benchmark.suite.labels import method_of

Kept = NDArray[np.bool_]


def jaccard(a: Kept, b: Kept) -> float:
    """Overlap of two kept sets [n], in [0, 1]; 1 if both are empty."""
    union = np.count_nonzero(a | b)
    return float(np.count_nonzero(a & b) / union) if union else 1.0


def chance(density_a: float, density_b: float) -> float:
    """Expected overlap of two independent random sets of these densities."""
    both = density_a * density_b
    return both / (density_a + density_b - both)


def kept_set(board: Board, record: Record) -> Kept | None:
    """The kept set of a finished cell; None if its weights were not saved.

    PrunebenchError where the file is damaged or holds other weights than the record counts; it is left as it is.
    """
    path = weights_path(board.weights_folder, record.id)
    if not os.path.lexists(path):
        return None
    try:
        weights = read_weights(path)
        problem = next(weight_problems(record, weights), "")
    except (OSError, ValueError) as error:
        problem = reason_of(error) if isinstance(error, OSError) else str(error)
    if problem:
        raise PrunebenchError(
            f"{record.spec.cell}: its kept weights do not fit its record: {problem}. Without weights/{path.name} the cell is left "
            "out of the overlap"
        )
    return np.concatenate([(weights[layer.name] != 0).numpy().reshape(-1) for layer in record.sparsity.layers])


def overlaps(records: Sequence[Record], kept: Sequence[Kept]) -> tuple[list[str], NDArray[np.float64]]:
    """Row names and their mean overlaps [rows, rows]: off the diagonal between rows at equal seeds, on it between seeds.

    `records` are cells of one task and sparsity, `kept` their kept sets. nan if there is no pair (one seed).
    """
    rows = [method_of(record.spec.row, record.spec.regularizer) for record in records]
    names = list(dict.fromkeys(rows))
    sums, counts = np.zeros((len(names),) * 2), np.zeros((len(names),) * 2)
    for (one, first, a), (two, second, b) in combinations(zip(records, rows, kept, strict=True), 2):
        i, j = names.index(first), names.index(second)
        if i == j or one.spec.seed == two.spec.seed:
            sums[i, j] += jaccard(a, b)
            counts[i, j] += 1
    sums, counts = (
        sums + np.triu(sums.T, 1) + np.tril(sums.T, -1),
        counts + np.triu(counts.T, 1) + np.tril(counts.T, -1),
    )
    return names, np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def overlap_tables(board: Board, records: Sequence[Record]) -> dict[tuple[str, float], Table]:
    """One table of overlaps for every task and sparsity, rows as in the suite, over the cells whose weights were kept.

    PrunebenchError where kept weights are not those of their record.
    """
    places = {spec.id: place for place, spec in enumerate(board.suite.cells())}
    records = sorted(records, key=lambda record: places.get(record.id, len(places)))
    kept = {
        record.id: found
        for record in records
        if not record.spec.is_dense and (found := kept_set(board, record)) is not None
    }
    tables = {}
    for task, sparsity in dict.fromkeys((r.spec.task, r.spec.sparsity) for r in records if r.id in kept):
        group = [r for r in records if r.id in kept and (r.spec.task, r.spec.sparsity) == (task, sparsity)]
        names, values = overlaps(group, [kept[record.id] for record in group])
        if np.isnan(values).all():  # one row of one seed
            continue
        tables[task, sparsity] = Table(
            title="Overlap of kept weights",
            row_fields=("row",),
            column_fields=("with",),
            rows=tuple(Line((name,), (name,)) for name in names),
            columns=tuple(Line((name,), (name,)) for name in names),
            cells=tuple(tuple(_cell(value, [record.id for record in group]) for value in row) for row in values),
            facts={
                "Overlap": "Jaccard's, of the weights that are not zero in the final models; on the diagonal between seeds of "
                "one row, off it between rows at equal seeds",
                "Chance": f"{chance(1 - sparsity, 1 - sparsity):.3f}, for two random sets of this density",
            },
        )
    return tables


def _cell(value: float, ids: Sequence[str]) -> Cell:
    return Cell() if np.isnan(value) else Cell(runs=(Run(float(value), tuple(ids)),), planned=1, text=f"{value:.3f}")
