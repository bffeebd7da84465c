"""The writers: the same numbers in every format, and nothing hostile gets through."""

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.report import escape
from benchmark.report.render import FORMATS, render
from benchmark.report.table import Table, build_table
from tests.benchmark.report.factory import make_board, make_record, make_spec
from tests.benchmark.report.pdflatex import compiled, needs_pdflatex

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    '=HYPERLINK("http://x","y")',
    "@SUM(A1)",
    r"\input{/etc/passwd}",
    "50% & $x^2$ #1 ~a {b} \\",
    "[*]{x}",
    "a|b|`c` **d** [e](javascript:f) _g_ <u>",
    "\x1b[31mred\x1b]0;title\x07",
    "\u202eoverride\u2066 \ud800 \u0000",
    "Ümläut Þorn Ωmega 漢字 ﷽ --dash-- ?`",
]


@pytest.fixture(scope="module")
def table() -> Table:
    specs, records = make_board()
    gone = make_spec("movement", 0.5, seed=0).id
    kept = [record for record in records if record.id != gone]
    return build_table(kept, specs, title="Mini board", average=True)


@pytest.fixture(scope="module")
def hostile() -> Table:
    records = [
        make_record(make_spec(name, seed=seed, task=f"task {name}"), 60.0 + i, notes=[name], counts={name: 1})
        for seed in (0, 1)
        for i, name in enumerate(HOSTILE)
    ]
    gone = {records[0].id: HOSTILE[0]}
    specs = [record.spec for record in records]
    title = " ".join(HOSTILE)
    return build_table(
        records[1:], specs, columns=("sparsity",), rows=("criterion", "task"), title=title, failures=gone
    )


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_the_numbers_the_caption_and_the_gap(table: Table, name: str) -> None:
    out = render(table, name)
    assert "dense" in out.lower()
    assert "81.0" in out
    assert "incomplete" in out
    if name != "csv":
        assert "Mini board" in out
    if name not in ("csv", "text"):
        assert "zeros / prunable weights" in out


def test_text_marks_best_second_and_partial(table: Table) -> None:
    lines = {line.split()[0]: line for line in render(table, "text").splitlines() if line.strip()}
    assert "*82.0 ± 0.7" in lines["PINS"]
    assert "78.5 (1/2) [a]" in lines["Movement"]
    assert "+70.0 ± 0.7" in lines["Magnitude"]


def test_markdown_marks_best_and_second(table: Table) -> None:
    out = render(table, "markdown")
    assert "**82.0** ± 0.7" in out
    assert "<ins>70.0</ins> ± 0.7" in out


def test_latex_uses_booktabs_and_merged_cells_alone(table: Table) -> None:
    out = render(table, "latex")
    assert r"\multicolumn{2}{c}{RTE (Acc.)}" in out
    assert r"\multicolumn{2}{c}{90.0$_{0.7}$}" in out
    assert r"\cmidrule(lr){2-3}\cmidrule(lr){4-5}" in out
    assert not re.search(r"multirow|resizebox|\\hline|siunitx", out)


class Cells(HTMLParser):
    """Grid width of each row, the tags seen, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.widths: list[int] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        given = dict(attrs)
        if tag == "tr":
            self.widths.append(0)
        if tag in ("td", "th"):
            self.widths[-1] += int(given.get("colspan") or 1)
            self.ids += (given.get("data-records") or "").split()


def test_html_rows_have_equal_width_and_cells_carry_their_ids(table: Table) -> None:
    parser = Cells()
    parser.feed(render(table, "html"))
    body = parser.widths[len(table.column_fields) :]
    assert set(body) == {1 + len(table.columns)}  # the regularizer is none in every row
    assert {id_ for row in table.cells for cell in row for id_ in cell.ids} <= set(parser.ids)


def test_json_and_csv_carry_every_number_and_id(table: Table) -> None:
    content = json.loads(render(table, "json"))
    rows = list(csv.DictReader(io.StringIO(render(table, "csv"))))
    assert len(rows) == len(content["cells"]) == len(table.rows) * len(table.columns)
    for entry, row in zip(content["cells"], rows, strict=True):
        assert row["records"].split() == entry["records"]
        assert row["task"] == entry["column"]["task"]  # without its metric, which has a column of its own
        assert row["mean"] == ("" if entry["mean"] is None else str(entry["mean"]))
        assert entry["state"] == "incomplete" or len(entry["records"]) + len(entry["absent"]) == entry["planned"]


@pytest.mark.parametrize("name", ["text", "markdown", "latex", "html"])
def test_trace_names_the_records_of_every_cell(table: Table, name: str) -> None:
    out = render(table, name, trace=True)
    for row in table.cells:
        for cell in row:
            assert " ".join(cell.ids) in out


def test_interval_instead_of_sd() -> None:
    specs, records = make_board(seeds=(0, 1, 2))
    out = render(build_table(records, specs, spread="interval"))
    assert "*81.8 [80.4, 83.3]" in out
    assert "95 % t interval" in out


@pytest.mark.parametrize("name", FORMATS)
def test_no_control_or_invisible_character_leaves_any_writer(hostile: Table, name: str) -> None:
    out = render(hostile, name, trace=True)
    out.encode("utf-8")
    assert not set(out) & set("\x1b\x07\x00\u202e\u2066\ud800")


def test_html_stays_inert(hostile: Table) -> None:
    parser = Cells()
    parser.feed(render(hostile, "html", trace=True))
    assert not parser.tags & {"script", "img", "a"}


def test_markdown_keeps_its_columns_and_has_no_live_markup(hostile: Table) -> None:
    out = render(hostile, "markdown")
    grid = [line for line in out.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in grid} == {4}
    assert not re.search(r"<(script|img|u)\b|(?<!\\)\]\(", out)


def test_csv_cells_never_begin_as_formulas(hostile: Table) -> None:
    for row in csv.reader(io.StringIO(render(hostile, "csv"))):
        for content in row:
            assert not content.startswith(("=", "+", "@", "-"))


@given(st.text())
def test_escapes_hold_for_any_text(text: str) -> None:
    assert "\n" not in escape.clean(text)
    assert escape.clean(escape.clean(text)) == escape.clean(text)
    assert not re.search(r"[<>\"']", escape.for_html(text))
    assert not escape.for_csv(text).startswith(("=", "+", "-", "@"))
    assert escape.for_latex(text).isascii() or re.search("[À-ž]", text)


@needs_pdflatex
def test_latex_compiles_even_with_hostile_names(hostile: Table, table: Table, tmp_path: Path) -> None:
    body = render(table, "latex") + render(hostile, "latex", trace=True)
    head = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n\\listoftables\n"
    compiled(tmp_path, head + body + "\\end{document}\n")
