"""The table for a terminal: plain characters, `*` before the best, `+` before the second."""

from tabulate import SEPARATING_LINE, tabulate

from benchmark.report.escape import clean
from benchmark.report.layout import panels
from benchmark.report.show import LEGEND, Shown, show, trace_lines
from benchmark.report.table import Table

MARKS = {0: "", 1: "*", 2: "+"}


def write_text(table: Table, trace: bool = False, width: int | None = None) -> str:
    """Title, table, caption and notes, cleaned of control characters; cut into panels where `width` characters are few."""
    heads = [[_narrow(clean(word)) for word in line.labels] for line in table.columns]
    cells = [[_cell(show(cell, table)) for cell in row] for row in table.cells]
    cut = [range(len(heads))]
    if width is not None:
        labels = sum(
            _width(field, [clean(line.labels[k]) for line in table.rows]) for k, field in enumerate(table.row_fields)
        )
        widths = [_width("\n".join(head), [row[j] for row in cells]) for j, head in enumerate(heads)]
        cut = panels(table.columns, widths, max(1, width - labels))
    grid = "\n\n".join(_panel(table, heads, cells, part) for part in cut)
    parts = [clean(table.title), grid, _below(table)]
    if trace:
        parts.append("\n".join(["Records:", *(f"  {clean(line)}" for line in trace_lines(table))]))
    return "\n\n".join(part for part in parts if part) + "\n"


def _narrow(heading: str) -> str:
    return heading.replace(" (", "\n(").replace(" of ", "\nof ")


def _panel(table: Table, heads: list[list[str]], cells: list[list[str]], part: range) -> str:
    body: list[list[str] | str] = []
    for i, line in enumerate(table.rows):
        if i and (table.rows[i - 1].dense != line.dense or line.average != table.rows[i - 1].average):
            body.append(SEPARATING_LINE)
        body.append([*map(clean, line.labels), *(cells[i][j] for j in part)])
    headers = [*table.row_fields, *("\n".join(heads[j]) for j in part)]
    align = ["left"] * len(table.row_fields) + ["right"] * len(part)
    return tabulate(body, headers=headers, tablefmt="simple", disable_numparse=True, colalign=align)


def _width(head: str, body: list[str]) -> int:
    """Characters of a column: tabulate pads heads by 2, and columns stand 2 apart."""
    return max([len(part) + 2 for part in head.split("\n")] + [len(word) for word in body]) + 2


def _cell(shown: Shown) -> str:
    notes = f" [{shown.symbols}]" if shown.symbols else ""
    return f"{MARKS[shown.rank]}{clean(shown.plain)}{notes}"


def _below(table: Table) -> str:
    lines = [f"{name}: {text}" for name, text in table.facts.items()]
    lines += [f"Marks: {LEGEND.format(best='*', second='+')}"] if table.ranked else []
    lines += [f"[{note.symbol}] {note.text}" for note in table.notes]
    return "\n".join(clean(line) for line in lines)
