"""Overlap of the kept weights of different rows, and of different seeds of one row.

    J(A, B) = |A and B| / |A or B|      kept sets A, B: the prunable weights that are not zero in the final model

Two independent random sets of density d overlap by d / (2 - d): the floor that a table of overlaps is read against. Needs the
weights of the cells (`prunebench run --save-weights`).
"""

import os
from collections.abc import Sequence
from itertools import combinations
from statistics import fmean

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


def overlaps(records: Sequence[Record], kept: Sequence[Kept]) -> tuple[list[str], dict[tuple[str, str], list[Run]]]:
    """Row names; and by every two of them, in either order, a run for each pair of their cells: two rows at equal seeds, one row and
    itself between seeds.

    `records` are cells of one task and sparsity, `kept` their kept sets. Two rows without such a pair are left out.
    """
    rows = [method_of(record.spec.row, record.spec.regularizer) for record in records]
    found: dict[tuple[str, str], list[Run]] = {}
    for (one, first, a), (two, second, b) in combinations(zip(records, rows, kept, strict=True), 2):
        if first == second or one.spec.seed == two.spec.seed:
            pair = Run(jaccard(a, b), (one.id, two.id))
            for place in {(first, second), (second, first)}:
                found.setdefault(place, []).append(pair)
    return list(dict.fromkeys(rows)), found


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
        names, pairs = overlaps(group, [kept[record.id] for record in group])
        if not pairs:  # one row of one seed
            continue
        tables[task, sparsity] = Table(
            title="Overlap of kept weights",
            row_fields=("row",),
            column_fields=("with",),
            rows=tuple(Line((name,), (name,)) for name in names),
            columns=tuple(Line((name,), (name,)) for name in names),
            cells=tuple(tuple(_cell(pairs.get((one, other), [])) for other in names) for one in names),
            facts={
                "Overlap": "Jaccard's, of the weights that are not zero in the final models; on the diagonal between seeds of "
                "one row, off it between rows at equal seeds",
                "Chance": f"{chance(1 - sparsity, 1 - sparsity):.3f}, for two random sets of this density",
            },
        )
    return tables


def _cell(pairs: Sequence[Run]) -> Cell:
    """The mean overlap of these pairs of cells."""
    if not pairs:
        return Cell()
    mean, ids = fmean(pair.value for pair in pairs), dict.fromkeys(id_ for pair in pairs for id_ in pair.ids)
    return Cell(runs=(Run(mean, tuple(ids)),), planned=1, text=f"{mean:.3f}")
