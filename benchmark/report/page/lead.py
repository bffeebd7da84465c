"""The sentence on top of a board: who leads, who cannot be told apart, who falls behind where. It says no more than the tests do.

Where outcomes allow it, the test is the one of `table --against best`: paired over the test items, corrected over all cells of the
table. Otherwise it is that of mean ranks (Friedman, then Nemenyi over all pairs). Cells with one seed support no claim.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from benchmark.report.names import Names, listed, percent
from benchmark.report.numbers import count_of
from benchmark.report.show import sparsity_of
from benchmark.report.statistics.multiple import LEVEL
from benchmark.report.summary import Summary
from benchmark.report.table import Table

if TYPE_CHECKING:
    from benchmark.report.significance import Comparison

ONE_SEED = "One seed: differences between methods may be noise, so none is said to lead."
ONE_SEED_RESTS = (
    "Another seed of the same method can change a score by as much. Tests below speak of these trained models alone."
)
GROUPS = 4
"""At most GROUPS groups of methods that fall behind are named in the sentence; the table has the rest."""


@dataclass(frozen=True)
class Column:
    """The methods that were tested in one column: `best` are those not worse than any other there, `behind` are the others."""

    best: tuple[str, ...]
    behind: tuple[str, ...]

    @property
    def tested(self) -> tuple[str, ...]:
        """All of them, in this order."""
        return self.best + self.behind

    @property
    def decided(self) -> bool:
        """Whether any method is told apart from the best."""
        return bool(self.behind)


def columns_of(comparisons: "Sequence[Comparison]") -> dict[int, Column]:
    """What comparisons against the best say of each column that was tested, by its position; best score first."""
    found: dict[int, Column] = {}
    for j in sorted({comparison.place[1] for comparison in comparisons}):
        here = [comparison for comparison in comparisons if comparison.place[1] == j]
        behind = {comparison.method for comparison in here if comparison.p_adjusted < LEVEL}
        tested = dict.fromkeys([here[0].reference, *(comparison.method for comparison in here)])
        gap = {comparison.method: abs(comparison.difference) for comparison in here}
        order = sorted(tested, key=lambda name: gap.get(name, 0.0))
        found[j] = Column(
            tuple(name for name in order if name not in behind), tuple(name for name in order if name in behind)
        )
    return found


def lead(table: Table, comparisons: "Sequence[Comparison]", summary: Summary | None) -> tuple[str, str]:
    """The sentence, and what it rests on; names as they are in records, neither cleaned nor escaped."""
    if _one_seed(table):
        return ONE_SEED, ONE_SEED_RESTS
    repeated = [found for found in comparisons if table.cells[found.place[0]][found.place[1]].n > 1]
    columns = columns_of(repeated)
    if columns:
        return _by_items(table, columns), _rests_on_items(table, comparisons, columns) + _ranks_add(summary)
    if summary is not None and np.isfinite(summary.friedman_p):
        return _by_ranks(table.called, summary)
    return "Nothing can be told apart here.", (
        "Fewer than two methods are complete, or their outcomes are too few or not at hand: no test was made."
    )


def _one_seed(table: Table) -> bool:
    """Whether some pruned cell ran, and none under a second seed."""
    return max((cell.n for row in table.cells for cell in row if cell.planned and not cell.dense), default=0) == 1


def _by_items(table: Table, columns: Mapping[int, Column]) -> str:
    called = table.called
    names = list(dict.fromkeys(name for column in columns.values() for name in column.tested))
    behind = {name: tuple(j for j, column in columns.items() if name in column.behind) for name in names}
    everywhere = [name for name in names if all(name in column.tested for column in columns.values())]
    leaders = [name for name in _best_first(table, columns, everywhere) if not behind[name]]
    if not any(behind.values()):
        tested = _said(called, _best_first(table, columns, names))
        return f"Nothing can be told apart: of {tested}, none is found worse than another."
    unbeaten = [name for name in names if not behind[name]]  # some were not tested in every column: they cannot lead
    among = "" if len(unbeaten) == len(leaders) else "of the methods that were tested in every column, "
    if not leaders:
        first = f"No method leads everywhere: {among}each one falls behind another somewhere"
    elif len(leaders) == 1:
        first = f"{_said(called, leaders)} leads: {among}it alone falls behind no other method anywhere"
    else:
        first = f"{_said(called, leaders)} lead and cannot be told apart"
    groups: dict[tuple[int, ...], list[str]] = {}
    for name in _best_first(table, columns, names):
        if behind[name]:
            groups.setdefault(behind[name], []).append(name)
    clauses = [
        f"{_said(called, members)} {'fall' if len(members) > 1 else 'falls'} behind {_where(table, list(columns), where)}"
        for where, members in list(groups.items())[:GROUPS]
    ]
    left = sum(len(members) for members in list(groups.values())[GROUPS:])
    more = [f"{left} more {'methods fall' if left > 1 else 'method falls'} behind somewhere"] if left else []
    return ("; ".join([first, *clauses, *more]) + ".").replace(" %", "\u00a0%")


def _best_first(table: Table, columns: Mapping[int, Column], names: Sequence[str]) -> list[str]:
    """By the mean place among the tested methods of each column."""
    places = {
        name: fmean(column.tested.index(name) for column in columns.values() if name in column.tested) for name in names
    }
    order = {line.method: i for i, line in enumerate(table.rows)}
    return sorted(names, key=lambda name: (places[name], order[name]))


def _where(table: Table, tested: Sequence[int], columns: Sequence[int]) -> str:
    """`everywhere`, `at 90 %`, or `at 80 % on SST-2`: columns by sparsity, tasks named where they are not all that were tested."""
    if len(columns) == len(tested):
        (first, *more) = tested
        return "everywhere" if more else f"at {sparsity_of(table.columns[first])} on {_task(table, first)}"
    by_sparsity: dict[str, list[str]] = {}
    for j in columns:
        by_sparsity.setdefault(sparsity_of(table.columns[j]), []).append(_task(table, j))
    said = []
    single = len({_task(table, j) for j in tested}) == 1
    for sparsity, tasks in by_sparsity.items():
        every = sum(sparsity_of(table.columns[j]) == sparsity for j in tested)
        on = "" if len(tasks) == every and (every > 1 or single) else f" on {listed(tasks)}"
        said.append(f"at {sparsity}{on}")
    return listed(said)


def _task(table: Table, j: int) -> str:
    return table.called.task(str(table.columns[j].key[0]))


def _rests_on_items(table: Table, comparisons: "Sequence[Comparison]", columns: Mapping[int, Column]) -> str:
    seeds = sorted({row[j].n for row in table.cells for j in columns if row[j].n})
    where = count_of(len(columns), "column")
    return (
        f"Tested over the test items of {where} at {percent(LEVEL)}, corrected over all "
        f"{comparisons[0].family} cells that were compared (max-T). It speaks of these trained models "
        f"({listed([str(n) for n in seeds])} seeds a cell) on other items, not of other seeds."
    )


def _ranks_add(summary: Summary | None) -> str:
    """Says that mean ranks separate nothing, where that is so, because the list of conclusions below says it too."""
    if summary is None or not np.isfinite(summary.friedman_p):
        return ""
    apart = summary.friedman_p < LEVEL and not any(
        len(group) == len(summary.scores.methods) for group in summary.groups
    )
    return "" if apart else " Mean ranks over the columns, which look at no items, tell no method apart."


def _by_ranks(called: Names, summary: Summary) -> tuple[str, str]:
    cells, names, ranks = len(summary.scores.cells), summary.scores.methods, summary.ranks.mean_rank
    order = [int(m) for m in np.argsort(ranks, kind="stable")]
    nothing = f"Nothing can be told apart by rank: {_said(called, [names[m] for m in order])}."
    if not summary.ranks_can_tell:
        return nothing, (
            f"{cells} columns can separate no two methods by mean rank, whatever the scores, and the outcomes do not allow a "
            "test over items."
        )
    basis = (
        f"Tested by mean ranks over {cells} columns (Friedman p = {summary.friedman_p:.2g}; Nemenyi at 5 %, all "
        f"{len(summary.pairs)} pairs). The outcomes do not allow a test over items."
    )
    if summary.friedman_p >= LEVEL:
        return nothing, basis
    near = [names[m] for m in order if ranks[m] - ranks[order[0]] <= summary.critical_difference]
    behind = [name for name in (names[m] for m in order) if name not in near]
    if not behind:
        return nothing, basis
    first = f"{_said(called, near)} lead and cannot be told apart" if len(near) > 1 else f"{_said(called, near)} leads"
    return f"{first}; {_said(called, behind)} {'fall' if len(behind) > 1 else 'falls'} behind in mean rank.", basis


def _said(called: Names, names: Sequence[str]) -> str:
    return listed([called.method(name) for name in names])
