"""Which differences of a table hold up on its test items: paired bootstrap, corrected over all cells of the table at once.

The items are resampled, the same for all rows and columns of a task, each row the mean over its seeds. So a mark says that these
trained models differ on items like these; whether the method would win again under other seeds, the spread over seeds has to say.
Against `best` no row is chosen on the data it is tested on: a cell is separable where it is worse than at least one row of its column.
Perplexities are compared by their logarithms, in nats, which are means over tokens.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from math import nan
from zlib import crc32

import numpy as np

from benchmark.board.record import Record
from benchmark.errors import choices
from benchmark.plugins.labels import letters
from benchmark.report.cells import Cell
from benchmark.report.layout import RIVALS, Line, TableError, dense_on_rows
from benchmark.report.marks import TEXTS, notes, rivals
from benchmark.report.names import listed
from benchmark.report.statistics.intervals import Floats, additive
from benchmark.report.statistics.multiple import LEVEL, against_the_best, step_down, studentised
from benchmark.report.statistics.resampling import Outcomes, bootstrap, same_items
from benchmark.report.table import Table, transposed
from benchmark.suite.labels import method_of

FEWEST = 20
"""Test items below which nothing is tested: a bootstrap of so few marks equal rows too often."""
RESAMPLES = 4000
"""Bootstrap samples; the error of a p near 0.05 is then 0.003."""

Load = Callable[[Record], Outcomes]
"""Per-example outcomes of a record: `lambda record: load_outcomes(folder, record)`."""
Aggregate = Callable[[str], Callable[[Outcomes], Mapping[str, float]]]
"""A task's `aggregate` by the task's name."""


@dataclass(frozen=True)
class Comparison:
    """One cell against the reference of its column: where, the difference, and p corrected over the family.

    Against `best`, the reference is the row that scores best, shown for orientation: the test is whether the cell is worse
    than any row of its column at all.
    """

    place: tuple[int, int]
    method: str
    reference: str
    column: str
    difference: float
    """Its mean score minus the reference's, in points; of perplexity in nats."""
    p_adjusted: float
    family: int
    """Hypotheses that were tested together."""
    resamples: int
    reference_place: tuple[int, int]

    @property
    def smallest_p(self) -> float:
        """The smallest p that so many resamples can give."""
        return 1 / (1 + self.resamples)


def compare(
    table: Table,
    records: Sequence[Record],
    load: Load,
    aggregate: Aggregate,
    *,
    against: str = "best",
    resamples: int = RESAMPLES,
) -> list[Comparison]:
    """Every complete cell against the best of its rivals, or against the row (or column) called `against`.

    The family is all cells that are returned (against `best`, the best ones too); p is corrected over it by step-down max-T.
    """
    against = reference_row(table, against)
    by_id = {record.id: record for record in records}
    draw = partial(_drawn, by_id=by_id, load=load, aggregate=aggregate, resamples=resamples)
    family = list(_family_of(table, against, draw, resamples))
    if not family:
        return []
    adjusted = step_down([statistic for _, statistic, _ in family], np.stack([null for *_, null in family], axis=1))
    return [
        replace(one, p_adjusted=float(p), family=len(family))
        for (one, *_), p in zip(family, adjusted, strict=True)
        if one.place != one.reference_place
    ]


def _family_of(
    table: Table, against: str, draw: Callable[[Sequence[Cell]], tuple[Floats, Floats, int]], resamples: int
) -> Iterator[tuple[Comparison, float, Floats]]:
    """Every comparison, its p not yet known, with its statistic and what that is in each bootstrap sample without a difference.

    Against `best`, the best cell itself is of the family too.
    """
    lines, fields, crossing = _sides(table)
    names = _methods(lines, fields)
    upright = dense_on_rows(table.row_fields, table.column_fields)
    for j, (cross, cells) in enumerate(crossing):
        for members in rivals(lines, fields, cells):
            if cross.average or lines[members[0]].average:
                continue
            reference = _reference(members, cells, names, against)
            if reference is None:
                continue
            scores, draws, items = draw([cells[i] for i in members])
            if items < FEWEST:
                continue
            base = members.index(reference)
            sign = float(cells[reference].sign)
            statistics, nulls = (
                against_the_best(sign * scores, sign * draws) if against == "best" else _two_sided(scores, draws, base)
            )
            for k, i in enumerate(members):
                if i == reference and against != "best":
                    continue
                comparison = Comparison(
                    place=(i, j) if upright else (j, i),
                    method=names[i],
                    reference=names[reference],
                    column=cross.text,
                    difference=float(scores[k] - scores[base]),
                    p_adjusted=nan,
                    family=0,
                    resamples=resamples,
                    reference_place=(reference, j) if upright else (j, reference),
                )
                yield comparison, float(statistics[k]), nulls[:, k]


def reference_row(table: Table, against: str) -> str:
    """The row that `against` names, as records spell it; `best` is itself. A row is named by that spelling, by its label, or by the
    beginning of one of them where no other row begins so.

    TableError names the choices, with the label of each.
    """
    lines, fields, _ = _sides(table)
    names = [
        name
        for name, line in zip(_methods(lines, fields), lines, strict=True)
        if not (line.dense or line.average or line.quoted)
    ]
    words = {name: table.called.method(name) for name in dict.fromkeys(names)}
    if against == "best" or against in words:
        return against
    if labelled := [name for name, word in words.items() if word == against]:
        return labelled[0]
    begun = [
        name
        for name, word in words.items()
        if any(text.startswith((f"{against} ", f"{against}[")) for text in (name, word))
    ]
    if len(begun) == 1:
        return begun[0]
    meant = next((name for name, word in words.items() if letters(word) == letters(against)), "")
    hint = f"did you mean '{words[meant]}'? " if meant else ""
    offered = [name if name == word else f"{name} ({word})" for name, word in words.items()]
    raise TableError(f"against: found '{against}'; {hint}{choices(against, ['best', *offered])}")


def _methods(lines: Sequence[Line], fields: Sequence[str]) -> list[str]:
    return [
        method_of(*(text for name, text in zip(fields, line.labels, strict=True) if name in RIVALS)) for line in lines
    ]


def with_significance(table: Table, comparisons: Sequence[Comparison], against: str = "best") -> Table:
    """The table with a mark on every cell that may be the best of its column, or that differs from the reference.

    The best itself is marked where it is not printed as best: its mean is not given, or is no better than a constant answer, or
    another row has the better mean of perplexities and the worse of logarithms.

    The fact `Significance` states the family, how many of it were decided, and where nothing was tested; where so few resamples were
    drawn that none could be, it says so and nothing is marked.
    """
    against = reference_row(table, against)
    row = table.called.method(against)
    untested = _untested(table, comparisons, row)
    if not comparisons:
        return replace(table, facts={**table.facts, "Significance": untested})
    first = comparisons[0]
    texts = {
        "tied": "not significantly worse than any other row of its column; cells below the best without this mark are (averages and "
        "incomplete cells are not tested)",
        "above": f"significantly better than {row}",
        "below": f"significantly worse than {row}",
    }
    reachable = first.smallest_p < LEVEL
    cells = _marked(table, comparisons if reachable else (), against)
    flat = [cell for row in cells for cell in row]
    kept = {note.kind: note.text for note in table.notes if note.kind not in TEXTS}
    said = _family(comparisons, row, reachable) + (f"; {untested}" if untested else "")
    facts = {**table.facts, "Significance": said}
    return replace(table, cells=tuple(map(tuple, cells)), notes=notes(flat, kept | texts), facts=facts)


def _marked(table: Table, comparisons: Sequence[Comparison], against: str) -> list[list[Cell]]:
    cells = [list(row) for row in table.cells]
    for comparison in comparisons:
        i, j = comparison.place
        kind = _kind(cells[i][j], comparison, against)
        if kind:
            cells[i][j] = replace(cells[i][j], marks=(*cells[i][j].marks, kind))
    for i, j in {one.reference_place for one in comparisons if against == "best"}:
        if cells[i][j].rank != 1:
            cells[i][j] = replace(cells[i][j], marks=(*cells[i][j].marks, "tied"))
    return cells


def _family(comparisons: Sequence[Comparison], against: str, reachable: bool) -> str:
    first = comparisons[0]
    tested, do = (
        ("is worse than any other row of its column", "are") if against == "best" else (f"differs from {against}", "do")
    )
    cells = "1 cell was tested" if first.family == 1 else f"{first.family} cells were tested together"
    how = f"paired bootstrap over the test items, {first.resamples} draws, step-down max-T"
    asked = f"{cells}, whether {'it' if first.family == 1 else 'each'} {tested} ({how})"
    if not reachable:
        return f"{asked}; {first.resamples} draws cannot go below p = {first.smallest_p:.3g}, so nothing is marked"
    decided = sum(comparison.p_adjusted < LEVEL for comparison in comparisons)
    return (
        f"{asked}: {decided} {do}, at level {LEVEL:g} for all of them. This speaks of these trained models on other items, not "
        "of other seeds"
    )


def _untested(table: Table, comparisons: Sequence[Comparison], against: str) -> str:
    """Columns with runs in which no cell was tested, and what that takes."""
    tested = {comparison.column for comparison in comparisons}
    wheres = [cross.text for cross, cells in _sides(table)[2] if not cross.average and any(cell.runs for cell in cells)]
    if not (left := [where for where in dict.fromkeys(wheres) if where not in tested]):
        return ""
    among = "" if against == "best" else f", {against} among them"
    return f"nothing was tested on {listed(left)}: a test takes two complete, comparable rows{among}, and {FEWEST} test items"


def _kind(cell: Cell, comparison: Comparison, against: str) -> str:
    separable = comparison.p_adjusted < LEVEL
    if against == "best":
        return "" if separable else "tied"
    if not separable:
        return ""
    return "above" if cell.sign * comparison.difference > 0 else "below"


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
        return max(members, key=lambda i: cells[i].utilities.mean())
    return next((i for i in members if names[i] == against), None)


def _two_sided(scores: Floats, draws: Floats, base: int) -> tuple[Floats, Floats]:
    """Statistics [rows] of "no difference from row `base`", and their null draws [draws, rows]."""
    pairs = [studentised(float(scores[k] - scores[base]), draws[:, k] - draws[:, base]) for k in range(len(scores))]
    return np.abs([observed for observed, _ in pairs]), np.abs(np.stack([null for _, null in pairs], axis=1))


def _drawn(
    cells: Sequence[Cell], *, by_id: Mapping[str, Record], load: Load, aggregate: Aggregate, resamples: int
) -> tuple[Floats, Floats, int]:
    """Mean scores [cells], their bootstrap means [resamples, cells] on the same items of the task, and the number of items; of
    perplexity all in its logarithm."""
    runs = [[by_id[run.ids[0]] for run in cell.runs] for cell in cells]
    loaded = [[load(record) for record in of_cell] for of_cell in runs]
    flat = [outcomes for of_cell in loaded for outcomes in of_cell]
    items = same_items(flat)
    metric, task = cells[0].metric, runs[0][0].spec.task
    score_all = aggregate(task)

    def score(outcomes: Outcomes) -> float:
        try:
            found = score_all(outcomes)
        except Exception as error:  # a task's own code, on outcomes that may be another task's
            told = f"{type(error).__name__}: {error}"
            raise TableError(
                f"{runs[0][0].id}.npz: its outcomes do not fit the task {task} ({told}): `verify` says more"
            ) from error
        if metric not in found:
            raise TableError(
                f"{metric} is one number for a whole corpus: it cannot be compared over items (leave out --against)"
            )
        return found[metric]

    observed = additive(metric, [score(outcomes) for outcomes in flat])
    seed = crc32(task.encode())  # of its own, because its items are others
    drawn = additive(metric, bootstrap(flat, score, metric, items, resamples, seed))
    ends = np.cumsum([0, *(len(of_cell) for of_cell in loaded)])
    sides = [slice(start, end) for start, end in pairwise(ends)]
    scores = np.array([np.mean(observed[side]) for side in sides])
    return scores, np.stack([drawn[side].mean(axis=0) for side in sides], axis=1), items
