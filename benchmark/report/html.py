"""The table in HTML: header cells with their scope, merged heads, ids of the records on every cell."""

from benchmark.report.cells import Cell
from benchmark.report.escape import for_html
from benchmark.report.layout import header_spans
from benchmark.report.show import LEGEND, Shown, merged, show, trace_lines
from benchmark.report.table import Table

STYLE = """
table{border-collapse:collapse;font:14px/1.4 system-ui,sans-serif}caption{text-align:left;padding:.4em 0}
th,td{padding:.25em .7em;text-align:right;white-space:nowrap}tbody th,thead th[scope=col].field{text-align:left}
thead th{border-bottom:1px solid}thead th[scope=colgroup]{text-align:center}td[colspan]{text-align:center}
u{text-underline-offset:.2em}
"""


def write_html(table: Table, trace: bool = False) -> str:
    """A whole small document around the table."""
    traced = "".join(f"<li>{for_html(line)}</li>" for line in trace_lines(table)) if trace else ""
    extra = f"<h2>Records</h2><ul>{traced}</ul>" if trace else ""
    title = for_html(table.title or "Results")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n{fragment(table)}{extra}</body></html>\n"
    )


def fragment(table: Table) -> str:
    """The `<table>` element and the list of facts and notes below it."""
    head = "\n".join(_head(table))
    rows = "\n".join(_row(table, i) for i in range(len(table.rows)))
    facts = "".join(f"<dt>{for_html(name)}</dt><dd>{for_html(text)}</dd>" for name, text in table.facts.items())
    legend = LEGEND.format(best="<strong>bold</strong>", second="<u>underlined</u>")
    notes = "".join(f"<li><sup>{note.symbol}</sup> {for_html(note.text)}</li>" for note in table.notes)
    facts += f"<dt>Marks</dt><dd>{legend}</dd>" if table.ranked else ""
    below = f"<dl>{facts}</dl>" + (f"<ul>{notes}</ul>" if notes else "")
    return (
        f"<table><caption>{for_html(table.title)}</caption>\n<thead>\n{head}\n</thead>\n"
        f"<tbody>\n{rows}\n</tbody></table>\n{below}\n"
    )


def _head(table: Table) -> list[str]:
    levels = len(table.column_fields)
    corner = "".join(
        f'<th scope="col" class="field" rowspan="{levels}">{for_html(field)}</th>' for field in table.row_fields
    )
    lines = []
    for level in range(levels):
        cells = "".join(_heading(name, span) for name, span in header_spans(table.columns, level))
        lines.append(f"<tr>{corner if level == 0 else ''}{cells}</tr>")
    return lines


def _heading(name: str, span: int) -> str:
    scope = f'scope="colgroup" colspan="{span}"' if span > 1 else 'scope="col"'
    return f"<th {scope}>{for_html(name)}</th>"


def _row(table: Table, i: int) -> str:
    line = table.rows[i]
    heads = "".join(f'<th scope="row">{for_html(word)}</th>' for word in line.labels)
    cells = "".join(_data(cell, show(cell, table), span) for cell, span in merged(line, table.cells[i]))
    kind = ' class="dense"' if line.dense else ""
    return f"<tr{kind}>{heads}{cells}</tr>"


def _data(cell: Cell, shown: Shown, span: int) -> str:
    over = f' colspan="{span}"' if span > 1 else ""
    value = for_html(shown.value)
    value = {1: f"<strong>{value}</strong>", 2: f"<u>{value}</u>"}.get(shown.rank, value)
    notes = f"<sup>{shown.symbols}</sup>" if shown.symbols else ""
    text = " ".join(part for part in (value, for_html(shown.spread), shown.count) if part) + notes
    return f'<td{over} class="{cell.state}" data-records="{for_html(" ".join(cell.ids))}">{text}</td>'
