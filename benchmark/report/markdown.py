"""The table in GitHub's Markdown: best in bold, second underlined (`<ins>`), notes as superscripts."""

from tabulate import tabulate

from benchmark.report.escape import for_markdown
from benchmark.report.show import LEGEND, Shown, show, trace_lines
from benchmark.report.table import Table


def write_markdown(table: Table, trace: bool = False) -> str:
    """Heading, table, facts and notes; every string escaped."""
    headers = [for_markdown(field) for field in table.row_fields]
    headers += [" ".join(for_markdown(word) for word in line.labels if word) for line in table.columns]
    body = [
        [*map(for_markdown, line.labels), *(_cell(show(cell, table)) for cell in row)]
        for line, row in zip(table.rows, table.cells, strict=True)
    ]
    align = ["left"] * len(table.row_fields) + ["right"] * len(table.columns)
    grid = tabulate(body, headers=headers, tablefmt="pipe", disable_numparse=True, colalign=align)
    parts = [f"# {for_markdown(table.title)}" if table.title else "", grid, _below(table)]
    if trace:
        parts.append("\n".join(["Records:", "", *(f"- {for_markdown(line)}" for line in trace_lines(table))]))
    return "\n\n".join(part for part in parts if part) + "\n"


def _cell(shown: Shown) -> str:
    value = for_markdown(shown.value)
    value = {1: f"**{value}**", 2: f"<ins>{value}</ins>"}.get(shown.rank, value)
    notes = f"<sup>{shown.symbols}</sup>" if shown.symbols else ""
    return " ".join(part for part in (value, for_markdown(shown.spread), shown.count) if part) + notes


def _below(table: Table) -> str:
    lines = [f"- {for_markdown(name)}: {for_markdown(text)}" for name, text in table.facts.items()]
    legend = LEGEND.format(best="**bold**", second="<ins>underlined</ins>")
    lines += [f"- Marks: {legend}"] if table.ranked else []
    lines += [f"- <sup>{note.symbol}</sup> {for_markdown(note.text)}" for note in table.notes]
    return "\n".join(lines)
