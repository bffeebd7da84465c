"""The headline table as static HTML: readable without the script, which only hides, sorts and opens details."""

from benchmark.report.cells import Cell
from benchmark.report.escape import for_html
from benchmark.report.layout import Line, header_spans
from benchmark.report.show import LEGEND, show
from benchmark.report.table import Table

RANKS = {1: ", best of its column", 2: ", second of its column"}


def headline(table: Table, number: int) -> str:
    """Table `number` of the page with legend, notes and facts. Rows and columns carry what they are filtered by."""
    head = "\n".join(_head(table))
    body = "\n".join(_row(table, i, number) for i in range(len(table.rows)))
    legend = LEGEND.format(best="<strong>bold</strong>", second="<u>underlined</u>") if table.ranked else ""
    notes = "".join(f"<li><sup>{note.symbol}</sup> {for_html(note.text)}</li>" for note in table.notes)
    facts = "".join(f"<dt>{for_html(name)}</dt><dd>{for_html(text)}</dd>" for name, text in table.facts.items())
    return (
        f'<div class="scroll" role="region" aria-label="Results of {for_html(table.title)}" tabindex="0">'
        f'<table class="headline"><caption>{for_html(table.title)}: score in percent, mean ± sd over seeds. '
        f'<span class="hint">Choose a cell for its runs; choose a sparsity to sort.</span></caption>\n'
        f"<thead>\n{head}\n</thead>\n<tbody>\n{body}\n</tbody></table></div>\n"
        f'<p class="legend">{f"Marks: {legend}." if legend else ""}</p>'
        f'<ul class="notes">{notes}</ul>\n'
        f'<details class="facts" open><summary>How these numbers were made</summary><dl>{facts}</dl></details>\n'
    )


def _head(table: Table) -> list[str]:
    levels = len(table.column_fields)
    corner = "".join(
        f'<th scope="col" class="field" rowspan="{levels}" aria-sort="none">'
        f'<button type="button" class="sort" data-field="{k}">{for_html(name)}</button></th>'
        for k, name in enumerate(table.row_fields)
    )
    lines = []
    for level in range(levels - 1):
        start, cells = 0, []
        for name, span in header_spans(table.columns, level):
            cells.append(f'<th scope="colgroup" colspan="{span}" data-from="{start}" data-to="{start + span}">'
                         f"{for_html(name)}</th>")  # fmt: skip
            start += span
        lines.append(f"<tr>{corner if level == 0 else ''}{''.join(cells)}</tr>")
    last = "".join(_sortable(line, j) for j, line in enumerate(table.columns))
    return [*lines, f"<tr>{'' if lines else corner}{last}</tr>"]


def _sortable(line: Line, j: int) -> str:
    task, sparsity = (for_html(word) for word in (str(line.key[0]), line.labels[1]))
    label = for_html(f"sort by {' '.join(line.labels)}")
    return (
        f'<th scope="col" data-column="{j}" data-task="{task}" data-sparsity="{sparsity}" aria-sort="none">'
        f'<button type="button" class="sort" data-column="{j}" aria-label="{label}">{sparsity}</button></th>'
    )


def _row(table: Table, i: int, number: int) -> str:
    line = table.rows[i]
    heads = "".join(f'<th scope="row">{for_html(word)}</th>' for word in line.labels)
    cells = "".join(_data(table, i, j, cell, number) for j, cell in enumerate(table.cells[i]))
    criterion, regularizer = (for_html(str(part)) for part in line.key)
    kind = ' class="dense"' if line.dense else ""
    return f'<tr{kind} data-row="{i}" data-criterion="{criterion}" data-regularizer="{regularizer}">{heads}{cells}</tr>'


def _data(table: Table, i: int, j: int, cell: Cell, number: int) -> str:
    shown = show(cell, table)
    where = f'data-column="{j}" data-value="{"" if cell.mean is None else cell.mean}"'
    if cell.state == "blank":
        return f"<td {where}></td>"
    value = for_html(shown.value)
    value = {1: f"<strong>{value}</strong>", 2: f"<u>{value}</u>"}.get(shown.rank, value)
    notes = f"<sup>{shown.symbols}</sup>" if shown.symbols else ""
    spread = f' <span class="spread">{for_html(shown.spread)}</span>' if shown.spread else ""
    words = [*table.rows[i].labels, *table.columns[j].labels]
    label = f"{', '.join(word for word in words if word)}: {shown.plain}{RANKS.get(shown.rank, '')}"
    return (
        f'<td {where} class="{cell.state}"><button type="button" class="cell" aria-haspopup="dialog" '
        f'data-board="{number}" data-cell="{i}-{j}" aria-label="{for_html(label)}">'
        f"{value}{spread}{f' {shown.count}' if shown.count else ''}{notes}</button></td>"
    )
