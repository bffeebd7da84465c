"""The words of a cell, of a column and of a caption, before any writer decorates them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from benchmark.report.cells import Cell
from benchmark.report.layout import Line
from benchmark.report.marks import IN_HEADS, notes
from benchmark.report.names import listed, percent
from benchmark.report.numbers import number
from benchmark.report.sheet import Row, Sheet, shared
from benchmark.report.table import Table

LEGEND = "best {best}, second {second} of each task, metric and sparsity, where all runs are there; the dense model is not ranked"
SPREADS = {"sd": " ± standard deviation", "interval": " and 95 % t interval", "none": ""}
SUBSCRIPTS = {"sd": ", standard deviation as subscript", "interval": ", 95 % t interval as subscript", "none": ""}


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
    runs: tuple[str, ...] = ()
    """The score of each seed, where `value` holds them in place of a mean."""
    trivial: bool = False
    """No better than the trivial predictor: printed fainter, never as best or second."""

    @property
    def plain(self) -> str:
        """Value, spread and count, undecorated."""
        return " ".join(part for part in (self.value, self.spread, self.count) if part)


def show(cell: Cell, table: Table) -> Shown:
    """Mean and spread to the table's digits; `missing`, `failed` or a dash where there is no number."""
    symbols = symbols_of([mark for mark in cell.marks if mark not in IN_HEADS], table)
    if cell.text:
        blank = table.blocks and cell.text == "incomplete"
        return Shown("\N{EN DASH}" if blank else cell.text, symbols=symbols, rank=cell.rank)
    if cell.mean is None:
        blank_text = "\N{EN DASH}" if table.subject else ""
        return Shown(blank_text if cell.state == "blank" else cell.state)
    count = f"({cell.n}/{cell.planned})" if cell.state == "partial" else ""
    if "bimodal" in cell.marks:
        runs = tuple(number(value, table.digits) for value in cell.values)
        return Shown(" / ".join(runs), runs=runs, count=count, symbols=symbols)
    trivial = "floor" in cell.marks
    return Shown(number(cell.mean, table.digits), _spread(cell, table), count, symbols, rank=cell.rank, trivial=trivial)


def symbols_of(marks: Collection[str], table: Table) -> str:
    """Dagger and letters of the notes of these kinds."""
    return "".join(note.symbol for note in table.notes if note.kind in marks)


def _spread(cell: Cell, table: Table) -> str:
    if cell.sd is None or table.spread == "none":
        return ""
    if table.spread == "sd":
        return f"± {number(cell.sd, table.digits)}"
    low, high = cell.interval
    return f"[{number(low, table.digits)}, {number(high, table.digits)}]"


def task_of(table: Table, column: Line) -> str:
    """`SST-2 (Acc.)` for a column of the layout TASKS, or what the average there is called."""
    if column.average:
        return column.average
    text, label = str(column.key[0]), column.labels[0]
    metric = label.removeprefix(f"{text} (").removesuffix(")") if label != text else ""
    name = table.called.scored(text, metric)
    return f"{name} ({table.called.metric(metric)})" if metric else name


def sparsity_of(column: Line) -> str:
    """`90 %` for a column of the layout TASKS; `dense` where nothing is pruned."""
    value = column.key[1]
    return percent(value) if isinstance(value, float) else str(value)


def caption(table: Table, best: str, second: str, subscript: bool = False) -> list[str]:
    """One sentence on what is compared and what a number is, one on the marks; none for a table that is no comparison."""
    if not table.subject:
        return []
    many = any(cell.n > 1 for row in table.cells for cell in row)
    spread = (SUBSCRIPTS if subscript else SPREADS)[table.spread] if many else ""
    how = f"mean over {table.seeds}{spread}" if many else table.seeds
    said = [f"{table.subject}: {how}, {unit(table)}."]
    ranks = {show(cell, table).rank for row in table.cells for cell in row}
    if ranks - {0}:
        among = "in each block and column" if table.blocks else "among methods at one task and sparsity"
        marks = [f"best {best}"] * (1 in ranks) + [f"second {second}"] * (2 in ranks)
        said.append(f"{', '.join(marks).capitalize()} {among}, the dense model apart.")
    return said


def lettered(table: Table, shown: Sequence[Sheet]) -> Table:
    """The table with its notes lettered in the order in which these sheets have them."""
    cells = [cell for sheet in shown for block in sheet.blocks for row in block.rows for cell in row.cells]
    return replace(table, notes=notes(cells, {note.kind: note.text for note in table.notes}))


def unit(table: Table) -> str:
    """What the numbers of a table are: percent, or errors of which less is better."""
    cells = [cell for row in table.cells for cell in row if cell.runs and not cell.text]
    errors = listed(
        table.called.measure(cell.metric) for cell in cells if cell.less_is_better and cell.metric != "average"
    )
    if not errors:
        return "in percent"
    return f"{errors} (lower is better)" + (
        "" if all(cell.less_is_better for cell in cells) else ", all else in percent"
    )


def remarks(table: Table, sheet: Sheet) -> list[tuple[str, str]]:
    """(symbol, words) of what a reader of this sheet must know: notes of its cells, its average, what was left out."""
    kinds = {mark for block in sheet.blocks for row in block.rows for cell in row.cells for mark in cell.marks}
    said = [(note.symbol, note.text) for note in table.notes if note.kind in kinds or note.kind.startswith("quoted ")]
    for line in sheet.columns:
        if line.average and table.names:
            tasks = [table.called.task(task) for task in line.over]
            said.append(("", f"{line.average}: mean over {', '.join(tasks)}, of complete rows"))
    said += [
        ("", f"{name}: {table.word(name, text) or text} in every row")
        for name, text in shared(table).items()
        if text != "none"
    ]
    return list(dict.fromkeys(said))


def merged(table: Table, row: Row) -> list[tuple[Cell, int]]:
    """Cells of a row with the number of columns each stands over: the dense model's one value spans its neighbours, where sparsities
    are columns."""
    joined = row.line.dense and "sparsity" in table.column_fields
    found: list[tuple[Cell, int]] = []
    for cell in row.cells:
        if joined and found and cell.planned and found[-1][0] == cell:
            found[-1] = (cell, found[-1][1] + 1)
        else:
            found.append((cell, 1))
    return found


def trace_lines(table: Table) -> list[str]:
    """`row | column: ids` for every cell with runs, in reading order."""
    return [
        f"{line.text} | {column.text}: {' '.join(cell.ids)}"
        for line, row in zip(table.rows, table.cells, strict=True)
        for column, cell in zip(table.columns, row, strict=True)
        if cell.ids
    ]
