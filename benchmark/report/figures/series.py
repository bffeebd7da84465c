"""What figures draw: for every task and method, the cells by sparsity, out of the same table that is printed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from benchmark.board.record import Record
from benchmark.report.cells import Cell
from benchmark.report.figures.style import words
from benchmark.report.names import STANDARD, Names, distinct
from benchmark.report.table import Table, build_table
from benchmark.suite.spec import DENSE, GATE, RunSpec

NOT_PERCENT = frozenset(
    {
        "matthews_correlation",
        "pearson",
        "spearman",
        "bleu",
        "bleu_script",
        "chrf",
        "rouge_l",
        "meteor",
        "nist",
        "cider",
        "ter",
        "ter_score",
    }
)
"""Metrics that are no share of anything, though they are printed a hundredfold: papers give them without a unit."""

WHOLE = 1000
"""Most letters of a name that would look like another one if it were cut as short as usual."""
SEEDS_ALONE = "hollow: seeds where no mean is given"
UNRANKED = "*\N{NO-BREAK SPACE}grey: not ranked"


@dataclass(frozen=True)
class PlotBoard:
    """Cells of a board, out of `table`: `cells[task][method][sparsity]`, and the dense cell of each task; and the records by id."""

    table: Table
    methods: tuple[str, ...]
    cells: dict[str, dict[str, dict[float, Cell]]]
    dense: dict[str, Cell]
    records: dict[str, Record]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Tasks in the order of the table."""
        return tuple(self.cells)

    def position(self, method: str) -> int:
        """A method's place in the table, which decides how it is drawn."""
        return self.methods.index(method)

    def task(self, name: str) -> str:
        """The name of a task as figures print it."""
        return words(self.table.called.task(name))

    def method(self, name: str) -> str:
        """The name of a method as figures print it; methods that would share theirs are spelled in full, as in tables."""
        return self._methods.get(name) or words(self.table.called.method(name))

    @cached_property
    def _methods(self) -> dict[str, str]:
        found = distinct([*self.methods, DENSE], self.table.called.method)
        cut = {name: words(text) for name, text in found.items()}
        taken = Counter(cut.values())
        return {name: text if taken[text] == 1 else words(found[name], WHOLE) for name, text in cut.items()}

    def scale(self, cell: Cell) -> str:
        """The metric of a cell on an axis: `Acc. (%)`, `Mcc`, or with an arrow down where less is better."""
        name = words(self.table.called.metric(cell.metric))
        return name + (" \N{DOWNWARDS ARROW}" if cell.less_is_better else "" if cell.metric in NOT_PERCENT else " (%)")

    def unranked(self, task: str) -> bool:
        """Whether tables do not rank the task, for a dense run of it is too close to the trivial predictor."""
        return any("gate" in cell.marks for cell in self.cells_of(task))

    def cells_of(self, task: str) -> list[Cell]:
        """All cells of a task that have runs, the dense one last."""
        pruned = [cell for by_sparsity in self.cells[task].values() for cell in by_sparsity.values()]
        return [*pruned, *([self.dense[task]] if task in self.dense else [])]

    def sparsities(self, task: str) -> list[float]:
        """The sparsities of a task's pruned cells, ascending."""
        return sorted({sparsity for by_sparsity in self.cells[task].values() for sparsity in by_sparsity})

    def remarks(self) -> list[str]:
        """What must be said below panels of all tasks, as tables say it in notes."""
        apart = any(seeds_alone(cell) for task in self.tasks for cell in self.cells_of(task))
        return [*([SEEDS_ALONE] if apart else []), *([UNRANKED] if any(map(self.unranked, self.tasks)) else [])]

    def runs(self, cell: Cell) -> list[Record]:
        """The records behind a cell."""
        return [self.records[id_] for id_ in cell.ids]


def board_of(
    records: Sequence[Record],
    specs: Sequence[RunSpec] = (),
    names: Names = STANDARD,
    gate: float = GATE,
) -> PlotBoard:
    """The cells that have runs, by task, method and sparsity; `gate` is the suite's."""
    table = build_table(records, specs, names=names, gate=gate)
    cells: dict[str, dict[str, dict[float, Cell]]] = {str(line.key[0]): {} for line in table.columns}
    dense: dict[str, Cell] = {}
    for line, row in zip(table.rows, table.cells, strict=True):
        name = line.method
        for column, cell in zip(table.columns, row, strict=True):
            task = str(column.key[0])
            if not cell.runs:
                continue
            if line.dense:
                dense[task] = cell
            else:
                cells[task].setdefault(name, {})[float(column.key[1])] = cell
    methods = tuple(line.method for line in table.rows if not line.dense)
    return PlotBoard(table, methods, cells, dense, {record.id: record for record in records})


WIDE = 10
"""Errors have a logarithmic axis where the largest is more than WIDE times the smallest."""


def wide(cells: Sequence[Cell], values: Sequence[float]) -> bool:
    """Whether these values of a panel are errors, all positive, of which the largest is more than WIDE times the smallest."""
    errors = any(cell.less_is_better for cell in cells)
    return errors and min(values, default=0.0) > 0 and max(values) > WIDE * min(values)


def seeds_alone(cell: Cell) -> bool:
    """Whether tables give the cell's seeds and no mean, because a mean would lie where none of them is."""
    return "bimodal" in cell.marks
