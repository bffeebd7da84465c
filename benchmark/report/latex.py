"""The table for a paper: booktabs alone (`\\multicolumn`, `\\cmidrule`), everything escaped, no font size or width set."""

import re

from benchmark.report.escape import for_latex
from benchmark.report.layout import header_spans
from benchmark.report.show import LEGEND, Shown, merged, show, trace_lines
from benchmark.report.table import Table


def write_latex(table: Table, trace: bool = False) -> str:
    """A `table` environment that compiles with \\usepackage{booktabs}."""
    body = [
        *(f"% {for_latex(line)}" for line in (trace_lines(table) if trace else [])),
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        _caption(table),
        rf"\label{{tab:{_slug(table.title)}}}",
        rf"\begin{{tabular}}{{{'l' * len(table.row_fields)}{'r' * len(table.columns)}}}",
        r"\toprule",
        *_head(table),
        r"\midrule",
        *_body(table),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(body) + "\n"


def _caption(table: Table) -> str:
    legend = LEGEND.format(best=r"\textbf{bold}", second=r"\underline{underlined}")
    notes = " ".join(rf"\textsuperscript{{{note.symbol}}}\,{for_latex(note.text)}." for note in table.notes)
    title = for_latex(table.title)
    text = " ".join(
        part for part in (f"{title}." if title else "", for_latex(table.caption), f"Marks: {legend}.", notes) if part
    )
    return rf"\caption[{{{title}}}]{{{text}}}"


def _head(table: Table) -> list[str]:
    lines: list[str] = []
    first = len(table.row_fields)
    for level in range(len(table.column_fields)):
        last = level == len(table.column_fields) - 1
        corner = [for_latex(field) if last else "" for field in table.row_fields]
        spans = header_spans(table.columns, level)
        cells = [_over(for_latex(name), length, "c" if length > 1 else "r") for name, length in spans]
        lines.append(" & ".join([*corner, *cells]) + r" \\")
        if not last:
            lines.append(_rules(spans, first))
    return [line for line in lines if line]


def _rules(spans: list[tuple[str, int]], first: int) -> str:
    rules, column = [], first + 1
    for _, length in spans:
        rules.append(rf"\cmidrule(lr){{{column}-{column + length - 1}}}")
        column += length
    return "".join(rules)


def _body(table: Table) -> list[str]:
    lines: list[str] = []
    for i, (line, row) in enumerate(zip(table.rows, table.cells, strict=True)):
        before = table.rows[i - 1]
        if i and (before.dense != line.dense or before.average != line.average):
            lines.append(r"\midrule")
        cells = [
            _over(_cell(show(cell, table)), length, "c" if length > 1 else "r") for cell, length in merged(line, row)
        ]
        lines.append(" & ".join([*map(for_latex, line.labels), *cells]) + r" \\")
    return lines


def _over(text: str, columns: int, align: str) -> str:
    return rf"\multicolumn{{{columns}}}{{{align}}}{{{text}}}" if columns > 1 else text


def _cell(shown: Shown) -> str:
    value = for_latex(shown.value)
    value = {1: rf"\textbf{{{value}}}", 2: rf"\underline{{{value}}}"}.get(shown.rank, value)
    notes = rf"\textsuperscript{{{shown.symbols}}}" if shown.symbols else ""
    return " ".join(part for part in (value, for_latex(shown.spread), shown.count) if part) + notes


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "results"
