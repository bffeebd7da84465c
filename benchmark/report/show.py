"""The words of a cell, before any writer decorates them."""

from dataclasses import dataclass

from benchmark.report.cells import Cell
from benchmark.report.layout import Line
from benchmark.report.statistics.intervals import t_interval
from benchmark.report.table import Table

LEGEND = (
    "best {best}, second {second} among complete cells that differ in the method alone; the dense model is not ranked"
)


@dataclass(frozen=True)
class Shown:
    """A cell in words: `value` alone carries the decoration of best and second."""

    value: str
    spread: str = ""
    """`± 0.5`, `[83.1, 85.5]`, or empty."""
    count: str = ""
    """`(1/2)`: runs found of runs planned, where some are missing."""
    symbols: str = ""
    """Letters of the notes that apply."""
    rank: int = 0

    @property
    def plain(self) -> str:
        """Value, spread and count, undecorated."""
        return " ".join(part for part in (self.value, self.spread, self.count) if part)


def show(cell: Cell, table: Table) -> Shown:
    """Mean and spread to the table's digits; `missing`, `failed` or nothing where there is no number."""
    symbols = "".join(note.symbol for note in table.notes if note.kind in cell.marks)
    if cell.text:
        return Shown(cell.text, symbols=symbols, rank=cell.rank)
    if cell.mean is None:
        return Shown("" if cell.state == "blank" else cell.state)
    if "bimodal" in cell.marks:
        values = " / ".join(f"{value:.{table.digits}f}" for value in cell.values)
        return Shown(
            values,
            count=f"({cell.n}/{cell.planned})" if cell.state == "partial" else "",
            symbols=symbols,
            rank=cell.rank,
        )
    count = f"({cell.n}/{cell.planned})" if cell.state == "partial" else ""
    return Shown(f"{cell.mean:.{table.digits}f}", _spread(cell, table), count, symbols, cell.rank)


def _spread(cell: Cell, table: Table) -> str:
    if cell.sd is None:
        return ""
    if table.spread == "sd":
        return f"± {cell.sd:.{table.digits}f}"
    low, high = t_interval(cell.values)
    return f"[{low:.{table.digits}f}, {high:.{table.digits}f}]"


def merged(line: Line, row: tuple[Cell, ...]) -> list[tuple[Cell, int]]:
    """Cells of a row with the number of columns each stands over: the dense model's one value spans its neighbours."""
    found: list[tuple[Cell, int]] = []
    for cell in row:
        if line.dense and found and cell.planned and found[-1][0] == cell:
            found[-1] = (cell, found[-1][1] + 1)
        else:
            found.append((cell, 1))
    return found


def trace_lines(table: Table) -> list[str]:
    """`row | column: ids` for every cell with runs, in reading order."""
    return [
        f"{' '.join(filter(None, line.labels))} | {' '.join(filter(None, column.labels))}: {' '.join(cell.ids)}"
        for line, row in zip(table.rows, table.cells, strict=True)
        for column, cell in zip(table.columns, row, strict=True)
        if cell.ids
    ]
