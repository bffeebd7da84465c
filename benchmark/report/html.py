"""The table in HTML: header cells with their scope, blocks, merged heads, ids of the records on every cell."""

from benchmark.report.cells import Cell
from benchmark.report.escape import for_html
from benchmark.report.sheet import Row, Sheet, Words, sheets
from benchmark.report.show import LEGEND, Shown, caption, merged, remarks, show, symbols_of, trace_lines
from benchmark.report.table import Table

STYLE = """
table{border-collapse:collapse;font:14px/1.4 system-ui,sans-serif}caption{text-align:left;padding:.4em 0}
th,td{padding:.25em .7em;text-align:right;white-space:nowrap}tbody th,thead th[scope=col].field{text-align:left}
thead th{border-bottom:1px solid}thead th[scope=colgroup]{text-align:center}td[colspan]{text-align:center}
u{text-underline-offset:.2em}tbody+tbody{border-top:1px solid}tr.block th{font-style:italic}td.trivial{color:#767676}
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
    """The `<table>` element, caption and notes below it, and the facts in a fold."""
    (sheet,) = sheets(table)
    head = "\n".join(_head(table, sheet))
    body = "\n".join(_body(table, sheet))
    facts = "".join(f"<dt>{for_html(name)}</dt><dd>{for_html(text)}</dd>" for name, text in table.facts.items())
    notes = "".join(
        f"<li>{f'<sup>{symbol}</sup> ' if symbol else ''}{for_html(text)}</li>"
        for symbol, text in remarks(table, sheet)
    )
    notes = f"<ul>{notes}</ul>" if notes else ""
    sentences = caption(table, "in bold", "underlined")
    if sentences:
        fold = f"<details><summary>How these numbers were made</summary><dl>{facts}</dl></details>"
        below = f"<p>{for_html(' '.join(sentences))}</p>{notes}{fold}"
    else:
        legend = LEGEND.format(best="<strong>bold</strong>", second="<u>underlined</u>")
        below = f"<dl>{facts}{f'<dt>Marks</dt><dd>{legend}</dd>' if table.ranked else ''}</dl>{notes}"
    return f"<table><caption>{for_html(table.title)}</caption>\n<thead>\n{head}\n</thead>\n{body}</table>\n{below}\n"


def decorated(shown: Shown) -> str:
    """The value of a cell, the best in bold and the second underlined."""
    value = for_html(shown.value)
    return {1: f"<strong>{value}</strong>", 2: f"<u>{value}</u>"}.get(shown.rank, value)


def raised(symbols: str) -> str:
    """The letters of notes, above the line."""
    return f"<sup>{symbols}</sup>" if symbols else ""


def _head(table: Table, sheet: Sheet) -> list[str]:
    corner = "".join(
        f'<th scope="col" class="field" rowspan="{len(sheet.heads)}">{for_html(name)}</th>' for name in sheet.fields
    )
    return [
        f"<tr>{corner if k == 0 else ''}{''.join(_heading(table, word, span) for word, span in level)}</tr>"
        for k, level in enumerate(sheet.heads)
    ]


def _heading(table: Table, words: Words, span: int) -> str:
    scope = f'scope="colgroup" colspan="{span}"' if span > 1 else 'scope="col"'
    return f"<th {scope}>{_words(table, words)}</th>"


def _words(table: Table, words: Words) -> str:
    return for_html(words.text) + raised(symbols_of(words.marks, table))


def _body(table: Table, sheet: Sheet) -> list[str]:
    """One `<tbody>` a block."""
    wide = len(sheet.fields) + len(sheet.columns)
    found = []
    for block in sheet.blocks:
        label = f'<tr class="block"><th scope="rowgroup" colspan="{wide}">{_words(table, block.label)}</th></tr>\n'
        rows = "\n".join(_row(table, row) for row in block.rows)
        found.append(f"<tbody>\n{label if block.label.text else ''}{rows}\n</tbody>")
    return found


def _row(table: Table, row: Row) -> str:
    heads = "".join(f'<th scope="row">{_words(table, word)}</th>' for word in row.words)
    cells = "".join(_data(cell, show(cell, table), span) for cell, span in merged(table, row))
    kind = ' class="dense"' if row.line.dense else ""
    return f"<tr{kind}>{heads}{cells}</tr>"


def _data(cell: Cell, shown: Shown, span: int) -> str:
    over = f' colspan="{span}"' if span > 1 else ""
    text = " ".join(part for part in (decorated(shown), for_html(shown.spread), shown.count) if part)
    kind = f"{cell.state} trivial" if shown.trivial else cell.state
    return f'<td{over} class="{kind}" data-records="{for_html(" ".join(cell.ids))}">{text}{raised(shown.symbols)}</td>'
