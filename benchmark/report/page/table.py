"""The headline table as static HTML: readable without the script, which only hides, sorts and opens details."""

import re

from benchmark.report.cells import Cell
from benchmark.report.escape import for_html, tied
from benchmark.report.html import decorated, raised
from benchmark.report.layout import Line
from benchmark.report.names import listed
from benchmark.report.sheet import HEADS, sheets
from benchmark.report.show import LEGEND, show, sparsity_of, symbols_of, task_of, unit
from benchmark.report.table import Table

SIDEWAYS = '<p class="sideways" hidden>More columns to the right: scroll the table sideways <span>&rarr;</span></p>\n'
"""What the script shows above a table that is wider than the page."""
RANKS = {1: ", best of its column", 2: ", second of its column"}


def headline(table: Table, number: int) -> str:
    """Table `number` of the page with legend, notes and facts. Rows and columns carry what they are filtered by."""
    head = "\n".join(_head(table))
    body = "\n".join(_row(table, i, number) for i in range(len(table.rows)))
    legend = LEGEND.format(best="<strong>bold</strong>", second="<u>underlined</u>") if table.ranked else ""
    notes = "".join(f"<li><sup>{note.symbol}</sup> {for_html(note.text)}</li>" for note in table.notes)
    facts = "".join(f"<dt>{for_html(name)}</dt><dd>{for_html(text)}</dd>" for name, text in table.facts.items())
    return (
        f'<p class="hint">Score: {for_html(unit(table))}, mean ± standard deviation over seeds. Choose a cell for its runs, a '
        f"heading to sort.</p>\n{SIDEWAYS}"
        f'<div class="scroll" role="region" aria-label="Results of {for_html(table.title)}" tabindex="0">'
        f'<table class="headline">\n'
        f"<thead>\n{head}\n</thead>\n<tbody>\n{body}\n</tbody></table></div>\n"
        f'<p class="legend">{f"Marks: {legend}." if legend else ""}{_same(table)}{_averaged(table)}</p>'
        f'<ul class="notes">{notes}</ul>\n'
        f'<details class="facts"><summary>How these numbers were made</summary><dl>{facts}</dl></details>\n'
    )


def _varying(table: Table) -> list[int]:
    """The fields of the rows that tell them apart: the first, and others that are not the same in every pruned row."""
    pruned = [line for line in table.rows if not line.dense]
    return [k for k in range(len(table.row_fields)) if k == 0 or len({line.labels[k] for line in pruned}) > 1]


def _labels(table: Table, line: Line) -> list[str]:
    criterion, regularizer = (str(part) for part in line.key)
    return [table.called.method(criterion), table.called.regularizer(regularizer) if regularizer else ""]


def _same(table: Table) -> str:
    """What all pruned rows share, in words; nothing where it is `none`."""
    pruned = [_labels(table, line) for line in table.rows if not line.dense]
    left = [k for k in range(len(table.row_fields)) if k not in _varying(table)]
    said = [f"{table.row_fields[k]} {pruned[0][k]}" for k in left if pruned and pruned[0][k].lower() != "none"]
    return for_html(f" All rows: {', '.join(said)}.") if said else ""


def _averaged(table: Table) -> str:
    """What each average is over: the tasks that count and have its sparsity."""
    said: dict[str, list[str]] = {}
    for line in table.columns:
        if line.average:
            over = listed(table.called.task(task) for task in line.over)
            said.setdefault(line.average, []).append(f"{over} at {sparsity_of(line)}")
    return "".join(
        tied(for_html(f" {name}, of complete rows: mean over {'; '.join(found)}.")) for name, found in said.items()
    )


def _breakable(text: str) -> str:
    """Escaped words that may break after a space, a slash or a comma, and before a bracket, but not inside a word."""
    return re.sub(r"([,/_])|(?=[\[(])", r"\1<wbr>", for_html(text))


def _head(table: Table) -> list[str]:
    """Tasks, and sparsities that can be sorted by."""
    (sheet,) = sheets(table)
    corner = "".join(
        f'<th scope="col" class="field" rowspan="{len(sheet.heads)}" aria-sort="none">'
        f'<button type="button" class="sort" data-field="{place}">{for_html(HEADS[table.row_fields[k]])}</button></th>'
        for place, k in enumerate(_varying(table))
    )
    tasks, start = "", 0
    for task, span in sheet.heads[0]:
        where = f'colspan="{span}" data-from="{start}" data-to="{start + span}"'
        tasks += f'<th scope="colgroup" {where}>{_breakable(task.text)}{raised(symbols_of(task.marks, table))}</th>'
        start += span
    last = "".join(_sortable(table, line, j) for j, line in enumerate(table.columns))
    return [f"<tr>{corner}{tasks}</tr>", f"<tr>{last}</tr>"]


def _sortable(table: Table, line: Line, j: int) -> str:
    task, sparsity = (for_html(word) for word in (str(line.key[0]), line.labels[1]))
    less = " data-less" if any(row[j].less_is_better for row in table.cells) else ""
    label = for_html(f"sort by {task_of(table, line)} {sparsity_of(line)}")
    return (
        f'<th scope="col" data-column="{j}" data-task="{task}" data-sparsity="{sparsity}" aria-sort="none">'
        f'<button type="button" class="sort" data-column="{j}"{less} aria-label="{label}">'
        f"{for_html(sparsity_of(line))}</button></th>"
    )


def _row(table: Table, i: int, number: int) -> str:
    line = table.rows[i]
    said = _labels(table, line)
    heads = "".join(f'<th scope="row"><span>{_breakable(said[k])}</span></th>' for k in _varying(table))
    cells = "".join(_data(table, i, j, cell, number) for j, cell in enumerate(table.cells[i]))
    criterion, regularizer = (for_html(str(part)) for part in line.key)
    kind = ' class="dense"' if line.dense else ""
    return f'<tr{kind} data-row="{i}" data-criterion="{criterion}" data-regularizer="{regularizer}">{heads}{cells}</tr>'


def _data(table: Table, i: int, j: int, cell: Cell, number: int) -> str:
    shown = show(cell, table)
    where = f'data-column="{j}" data-value="{"" if cell.mean is None else cell.mean}"'
    if cell.state == "blank":
        return f"<td {where}></td>"
    spread = f' <span class="spread">{for_html(shown.spread)}</span>' if shown.spread else ""
    row, column = table.rows[i], table.columns[j]
    said = table.called.method(row.method), task_of(table, column), sparsity_of(column)
    label = f"{', '.join(said)}: {shown.plain}{RANKS.get(shown.rank, '')}"
    return (
        f'<td {where} class="{cell.state}"><button type="button" class="cell" aria-haspopup="dialog" '
        f'data-board="{number}" data-cell="{i}-{j}" aria-label="{for_html(label)}">'
        f"{decorated(shown)}{spread}{f' {shown.count}' if shown.count else ''}{raised(shown.symbols)}</button></td>"
    )
