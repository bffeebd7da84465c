"""The table for a paper: booktabs alone (`\\multicolumn`, `\\cmidrule`), everything escaped, no font size or width set."""

import re
from collections.abc import Sequence

from benchmark.report.escape import for_latex
from benchmark.report.layout import Line, header_spans, panels
from benchmark.report.show import LEGEND, Shown, merged, show, trace_lines
from benchmark.report.table import Table

ACROSS = 4
"""Columns side by side in an article's text width; what is wider continues in a panel below."""


def write_latex(table: Table, trace: bool = False) -> str:
    """A `table` environment that compiles with \\usepackage{booktabs}."""
    cut = panels(table.columns, [1] * len(table.columns), ACROSS)
    width = max(len(part) for part in cut)
    body = [
        *(f"% {for_latex(line)}" for line in (trace_lines(table) if trace else [])),
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        _caption(table),
        rf"\label{{tab:{_slug(table.title)}}}",
        rf"\begin{{tabular}}{{@{{}}{'l' * len(table.row_fields)}{'r' * width}@{{}}}}",
        *(
            line
            for k, part in enumerate(cut)
            for line in _panel(table, part, r"\midrule[\heavyrulewidth]" if k else r"\toprule")
        ),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(body) + "\n"


def _caption(table: Table) -> str:
    legend = LEGEND.format(best=r"\textbf{bold}", second=r"\underline{underlined}")
    notes = " ".join(rf"\textsuperscript{{{note.symbol}}}\,{for_latex(note.text)}." for note in table.notes)
    title = for_latex(table.title)
    marks = f"Marks: {legend}." if table.ranked else ""
    text = " ".join(part for part in (f"{title}." if title else "", for_latex(table.caption), marks, notes) if part)
    return rf"\caption[{{{title}}}]{{{text}}}"


def _panel(table: Table, part: range, rule: str) -> list[str]:
    """Head and body of some columns."""
    columns = [table.columns[j] for j in part]
    return [rule, *_head(table, columns), r"\midrule", *_body(table, part)]


def _head(table: Table, columns: Sequence[Line]) -> list[str]:
    lines: list[str] = []
    first = len(table.row_fields)
    for level in range(len(table.column_fields)):
        last = level == len(table.column_fields) - 1
        corner = [for_latex(field) if last else "" for field in table.row_fields]
        spans = header_spans(columns, level)
        cells = [_over(for_latex(name), length, "c" if length > 1 else "r") for name, length in spans]
        lines.append(" & ".join([*corner, *cells]) + r" \\")
        if not last:
            lines.append(_rules(spans, first))
    return lines


def _rules(spans: list[tuple[str, int]], first: int) -> str:
    rules, column = [], first + 1
    for _, length in spans:
        rules.append(rf"\cmidrule(lr){{{column}-{column + length - 1}}}")
        column += length
    return "".join(rules)


def _body(table: Table, part: range) -> list[str]:
    lines: list[str] = []
    for i, (line, row) in enumerate(zip(table.rows, table.cells, strict=True)):
        before = table.rows[i - 1]
        if i and (before.dense != line.dense or before.average != line.average):
            lines.append(r"\midrule")
        pieces = merged(line, row[part.start : part.stop])
        cells = [_over(_cell(show(cell, table)), length, "c" if length > 1 else "r") for cell, length in pieces]
        lines.append(" & ".join([*map(for_latex, line.labels), *cells]) + r" \\")
    return lines


def _over(text: str, columns: int, align: str) -> str:
    return rf"\multicolumn{{{columns}}}{{{align}}}{{{text}}}" if columns > 1 else text


def _cell(shown: Shown) -> str:
    value = for_latex(shown.value)
    value = {1: rf"\textbf{{{value}}}", 2: rf"\underline{{{value}}}"}.get(shown.rank, value)
    notes = rf"\textsuperscript{{{shown.symbols}}}" if shown.symbols else ""
    spread = shown.spread.replace("± ", r"\pm ")
    spread = rf"$_{{{spread}}}$" if spread else ""
    return value + spread + (f" {shown.count}" if shown.count else "") + notes


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "results"
