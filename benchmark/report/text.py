"""The table for a terminal: plain characters, `*` before the best, `+` before the second."""

from tabulate import SEPARATING_LINE, tabulate

from benchmark.report.escape import clean
from benchmark.report.show import LEGEND, Shown, show, trace_lines
from benchmark.report.table import Table

MARKS = {0: "", 1: "*", 2: "+"}


def write_text(table: Table, trace: bool = False) -> str:
    """Title, table, caption and notes; every string cleaned of control characters."""
    headers = [clean(field) for field in table.row_fields]
    headers += ["\n".join(_narrow(clean(word)) for word in line.labels) for line in table.columns]
    body: list[list[str] | str] = []
    for i, (line, row) in enumerate(zip(table.rows, table.cells, strict=True)):
        if i and (table.rows[i - 1].dense != line.dense or line.average != table.rows[i - 1].average):
            body.append(SEPARATING_LINE)
        body.append([*map(clean, line.labels), *(_cell(show(cell, table)) for cell in row)])
    align = ["left"] * len(table.row_fields) + ["right"] * len(table.columns)
    grid = tabulate(body, headers=headers, tablefmt="simple", disable_numparse=True, colalign=align)
    parts = [clean(table.title), grid, _below(table)]
    if trace:
        parts.append("\n".join(["Records:", *(f"  {clean(line)}" for line in trace_lines(table))]))
    return "\n\n".join(part for part in parts if part) + "\n"


def _narrow(heading: str) -> str:
    return heading.replace(" (", "\n(").replace(" of ", "\nof ")


def _cell(shown: Shown) -> str:
    notes = f" [{shown.symbols}]" if shown.symbols else ""
    return f"{MARKS[shown.rank]}{clean(shown.plain)}{notes}"


def _below(table: Table) -> str:
    lines = [f"{name}: {text}" for name, text in table.facts.items()]
    lines.append(f"Marks: {LEGEND.format(best='*', second='+')}")
    lines += [f"[{note.symbol}] {note.text}" for note in table.notes]
    return "\n".join(clean(line) for line in lines)
