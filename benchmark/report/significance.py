"""Which differences of a table hold up on its test items: paired bootstrap against a reference row, Holm-corrected.

The items are resampled, the same for both rows, each row the mean over its seeds. So a mark says that these trained models
differ on items like these; whether the method would win again under other seeds, the spread over seeds has to say.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from benchmark.board.record import Record
from benchmark.errors import choices
from benchmark.report.cells import Cell
from benchmark.report.fields import TableError
from benchmark.report.layout import Line, dense_on_rows, method_name
from benchmark.report.marks import LOWER_IS_BETTER, TEXTS, better, notes, rivals
from benchmark.report.statistics.intervals import Floats
from benchmark.report.statistics.multiple import holm
from benchmark.report.statistics.paired import Difference, Outcomes, difference, drawn_items, resampled, same_items
from benchmark.report.table import Table, transposed

Load = Callable[[Record], Outcomes]
"""Per-example outcomes of a record: `lambda record: load_outcomes(folder, record)`."""
Aggregate = Callable[[str], Callable[[Outcomes], Mapping[str, float]]]
"""A task's `aggregate` by the task's name."""


@dataclass(frozen=True)
class Comparison:
    """One cell against the reference of its column: where, the difference, and p corrected over the whole table."""

    place: tuple[int, int]
    method: str
    reference: str
    column: str
    items: int
    found: Difference
    p_adjusted: float


def compare(
    table: Table,
    records: Sequence[Record],
    load: Load,
    aggregate: Aggregate,
    *,
    against: str = "best",
    resamples: int = 1000,
    seed: int = 0,
) -> list[Comparison]:
    """Every complete cell against the best of its rivals, or against the row (or column) called `against`."""
    lines, fields, crossing = _sides(table)
    names = [method_name(line.labels) for line in lines]
    if against != "best" and not any(_is(against, name) for name in names):
        raise TableError(f"against: found '{against}'; {choices(against, ['best', *names])}")
    by_id = {record.id: record for record in records}
    found: list[Comparison] = []
    for j, (cross, cells) in enumerate(crossing):
        for members in rivals(lines, fields, cells):
            reference = _reference(members, cells, names, against)
            if reference is None or cross.average or lines[members[0]].average:
                continue
            drawn = _draws([cells[i] for i in members], by_id, load, aggregate, resamples, seed)
            for i, (mean, draws, items) in zip(members, drawn, strict=True):
                if i != reference:
                    base, base_draws, _ = drawn[members.index(reference)]
                    gap = difference(mean - base, draws - base_draws)
                    place = (i, j) if dense_on_rows(table.row_fields, table.column_fields) else (j, i)
                    where = " ".join(filter(None, cross.labels))
                    found.append(Comparison(place, names[i], names[reference], where, items, gap, gap.p))
    adjusted = holm([comparison.found.p for comparison in found])
    return [replace(comparison, p_adjusted=float(p)) for comparison, p in zip(found, adjusted, strict=True)]


def with_significance(
    table: Table, comparisons: Sequence[Comparison], against: str = "best", level: float = 0.05
) -> Table:
    """The table with a note on every cell that is not separable from the best, or that differs from the reference."""
    how = f"(paired bootstrap over items, Holm over {len(comparisons)} comparisons, level {level:g})"
    texts = {
        "tied": f"not separable from the best {how}",
        "above": f"better than {against} {how}",
        "below": f"worse than {against} {how}",
    }
    cells = [list(row) for row in table.cells]
    for comparison in comparisons:
        i, j = comparison.place
        kind = _kind(cells[i][j].metric, comparison, against, level)
        if kind:
            cells[i][j] = replace(cells[i][j], marks=(*cells[i][j].marks, kind))
    flat = [cell for row in cells for cell in row]
    kept = {note.kind: note.text for note in table.notes if note.kind not in TEXTS}
    return replace(table, cells=tuple(map(tuple, cells)), notes=notes(flat, kept | texts))


def _kind(metric: str, comparison: Comparison, against: str, level: float) -> str:
    separable = comparison.p_adjusted < level
    if against == "best":
        return "" if separable else "tied"
    if not separable:
        return ""
    return "above" if better(metric, comparison.found.difference, 0.0) else "below"


def _sides(table: Table) -> tuple[tuple[Line, ...], tuple[str, ...], list[tuple[Line, list[Cell]]]]:
    """Lines of the methods, their fields, and the lines across with their cells."""
    if dense_on_rows(table.row_fields, table.column_fields):
        across = zip(table.columns, transposed(table.cells), strict=True)
        return table.rows, table.row_fields, [(line, list(cells)) for line, cells in across]
    return (
        table.columns,
        table.column_fields,
        [(line, list(cells)) for line, cells in zip(table.rows, table.cells, strict=True)],
    )


def _reference(members: Sequence[int], cells: Sequence[Cell], names: Sequence[str], against: str) -> int | None:
    if len(members) < 2:
        return None
    if against == "best":
        sign = -1 if cells[members[0]].metric in LOWER_IS_BETTER else 1
        return max(members, key=lambda i: sign * fmean(cells[i].values))
    return next((i for i in members if _is(against, names[i])), None)


def _is(against: str, name: str) -> bool:
    return against == name or name.startswith(f"{against} ")


def _draws(
    cells: Sequence[Cell],
    by_id: Mapping[str, Record],
    load: Load,
    aggregate: Aggregate,
    resamples: int,
    seed: int,
) -> list[tuple[float, Floats, int]]:
    """For each cell its mean score, its bootstrap means [resamples] on the same drawn items, and the number of items."""
    runs = [[by_id[run.ids[0]] for run in cell.runs] for cell in cells]
    loaded = [[load(record) for record in of_cell] for of_cell in runs]
    items = same_items([outcomes for of_cell in loaded for outcomes in of_cell])
    index = drawn_items(items, resamples, np.random.default_rng(seed))
    score_all = aggregate(runs[0][0].spec.task)
    metric = cells[0].metric

    def score(outcomes: Outcomes) -> float:
        found = score_all(outcomes)
        if metric not in found:
            raise TableError(
                f"{metric} is one number for a whole corpus: it cannot be compared over items (leave out --against)"
            )
        return found[metric]

    return [
        (
            float(np.mean([score(outcomes) for outcomes in of_cell])),
            np.mean([resampled(outcomes, score, index) for outcomes in of_cell], axis=0),
            items,
        )
        for of_cell in loaded
    ]
