"""Boards that are out of the ordinary, in names, numbers of columns, seeds and sparsities: nothing breaks, nothing overlaps."""

import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from benchmark.board.record import Record
from benchmark.report.figures.plot import figures
from benchmark.report.figures.style import COLUMN, drawing
from benchmark.report.names import Names
from benchmark.report.page.board import PageBoard
from benchmark.report.page.write import page
from benchmark.report.render import render
from benchmark.report.sheet import sheets
from benchmark.report.table import PAPER, TASKS, Table, build_table
from benchmark.suite.spec import RunSpec
from tests.benchmark.report.factory import make_board
from tests.benchmark.report.pdflatex import faults, needs_pdflatex

Odd = tuple[list[RunSpec], list[Record], Names]
GLUE = tuple(f"glue/{name}" for name in ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli"))
TWO = {"magnitude": 70.0, "principled": 75.0}
SEEDS = (0, 1, 2)
LONG = "A method whose name fills more than one half of a page's whole width, and then goes on (ours)"


def labelled(labels: dict[str, str]) -> Odd:
    names = {f"{letter}.py": label for letter, label in zip("abcdefgh", labels.values(), strict=False)}
    return *make_board(criteria={name: 60.0 + i for i, name in enumerate(names)}, seeds=SEEDS), Names(plugins=names)


def without(keep: Callable[[RunSpec], bool], planned: bool = True) -> Odd:
    """A board of which only what is kept was run, and, unless `planned`, only that was asked for."""
    specs, records = make_board(seeds=SEEDS)
    return [s for s in specs if planned or keep(s)], [r for r in records if keep(r.spec)], Names()


def perplexities() -> Odd:
    specs, records = make_board(("lm/wikitext2", "lm/ptb"), {"magnitude": 70.0, "wanda": 30.0}, (0.5, 0.7), SEEDS)
    found = [
        replace(record, metric="perplexity", lower_is_better=["perplexity"], floor={},
                metrics={"perplexity": record.score**2 + (1e5 if record.spec.sparsity == 0.7 else 0)})
        for record in records
    ]  # fmt: skip
    return specs, found, Names()


def slow() -> Odd:
    """One run of each cell took about ten times as long as the others."""
    specs, records = make_board(criteria=TWO, seeds=SEEDS)
    found = [
        replace(record, cost=replace(record.cost, train_seconds=(71.0, 118.0, 1190.0)[record.spec.seed] + i))
        for i, record in enumerate(records)
    ]
    return specs, found, Names()


def metrics() -> Odd:
    specs, records = make_board(criteria=TWO, seeds=SEEDS)
    more = [
        replace(record, metrics={**record.metrics, "exact_match": 55.0, "loss_%": 3.1}, lower_is_better=["loss_%"])
        for record in records
    ]
    return specs, more, Names()


BOARDS: dict[str, Callable[[], Odd]] = {
    "own plugins without a label": lambda: (
        *make_board(criteria={"my_own_plugin_with_a_long_name": 70.0, "weight_times_grad.py": 71.0, "x": 60.0}), Names(),
    ),
    "specials": lambda: labelled({"a": r"50% & #1 $x_i^2$ \o {~}", "b": '<b>"x"</b> `|`*_*', "c": "[a] *b*", "d": "100 %"}),
    "unicode": lambda: labelled({"a": "Größe ≤ β", "b": "剪枝 😀", "c": "“λ₁”, a²\u2019s", "d": "Ωμέγα", "e": "тест"}),
    "percent and control characters": lambda: (
        *make_board(criteria={"keep_50%": 70.0, "p&q_#": 71.0, "tab\tline\nend": 60.0, "prin[signed=true": 66.0}), Names(),
    ),
    "one label for three methods": lambda: labelled({"a": "PINS", "b": "PINS", "c": "PINS"}),
    "a long label": lambda: labelled({"a": LONG, "b": "Short"}),
    "a long label without spaces": lambda: labelled({"a": LONG.replace(" ", "_").replace("'", "/"), "b": "Short"}),
    "a long task": lambda: (
        *make_board(("my_task_with_a_very_long_name.py[split=validation_matched]", "other/t%"), TWO), Names(),
    ),
    "several metrics, one lower": metrics,
    "perplexity over powers of ten": perplexities,
    "slow runs": slow,
    "twelve columns": lambda: (*make_board((*GLUE, "squad", "conll2003", "e2e"), TWO, (0.5,), SEEDS), Names()),
    "one column, one method": lambda: (*make_board(("squad",), {"magnitude": 70.0}, (0.5,), SEEDS), Names()),
    "one seed": lambda: (*make_board(criteria=TWO, seeds=(0,)), Names()),
    "sparsities": lambda: (*make_board(criteria=TWO, sparsities=(0.0001, 0.875, 0.99, 0.9999, 0.99999)), Names()),
    "nothing planned is dense": lambda: without(lambda spec: not spec.is_dense, planned=False),
    "the dense runs are missing": lambda: without(lambda spec: not spec.is_dense),
    "the dense runs alone are done": lambda: without(lambda spec: spec.is_dense),
    "nothing but dense": lambda: without(lambda spec: spec.is_dense, planned=False),
    "nothing is done": lambda: without(lambda _: False),
}  # fmt: skip
LAYOUTS: dict[str, dict[str, Any]] = {"paper": {**PAPER, "blocks": 1}, "tasks": TASKS}
METRICS = ("headline", "all")


def tables(name: str) -> dict[str, Table]:
    specs, records, names = BOARDS[name]()
    return {
        f"{layout} {metric}": build_table(records, specs, **arguments, metric=metric, average=None, title=name, names=names)
        for layout, arguments in LAYOUTS.items() for metric in METRICS
    }  # fmt: skip


@pytest.mark.parametrize("name", BOARDS)
def test_every_format_is_written_and_no_line_is_wider_than_the_terminal(name: str) -> None:
    for table in tables(name).values():
        for format in ("markdown", "html", "csv", "json"):
            assert render(table, format)
        for width in (40, 80, 140):
            text = render(table, "text", width=width)
            assert max(map(cell_len, text.splitlines())) <= width
            assert text.isprintable() or set("\n") == {sign for sign in text if not sign.isprintable()}


@pytest.mark.parametrize("name", BOARDS)
def test_rows_can_be_told_apart(name: str) -> None:
    for table in (found for kind, found in tables(name).items() if kind.startswith("paper")):
        for block in sheets(table)[0].blocks:
            labels = [tuple(word.text for word in row.words) for row in block.rows]
            assert len(set(labels)) == len(labels)


@needs_pdflatex
def test_all_of_their_latex_compiles_and_fits(tmp_path: Path) -> None:
    """In a column, on a page, and where the table chooses."""
    head = (
        r"\documentclass[11pt,twocolumn]{article}\usepackage{booktabs}"
        r"\setlength{\textwidth}{455pt}\setlength{\columnsep}{17pt}\setlength{\textheight}{700pt}"
    )
    cases = {
        (case := f"{name}/{kind}/{width}".replace(" ", "-")): render(table, "latex", width=width, label=case)
        for name in BOARDS
        for kind, table in tables(name).items()
        for width in (None, "column", "page")
    }
    assert faults(tmp_path, head, cases) == []


@pytest.mark.parametrize("name", BOARDS)
def test_figures_stay_within_their_edges_and_numbers_of_an_axis_apart(name: str) -> None:
    specs, records, names = BOARDS[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for title, _, draw in figures(records, specs, training=False, names=names, width=COLUMN):
            figure = draw()
            with drawing():
                figure.draw_without_rendering()
                drawn = figure.get_tightbbox()
            width, height = figure.get_size_inches()
            assert min(drawn.x0, drawn.y0) >= -0.03, title
            assert drawn.x1 < width + 0.03, title
            assert drawn.y1 < height + 0.03, title
            assert height < 9.5, title  # of a page of 9.7 inches
            labels = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
            assert len(labels) == len(set(labels)), title
            for axis in figure.axes:
                for side in (axis.xaxis, axis.yaxis):
                    shown = [label for label in side.get_ticklabels() if label.get_text()]
                    assert not any("mathdefault" in label.get_text() for label in shown), title
                    boxes = [label.get_window_extent() for label in shown]
                    assert not any(a.overlaps(b) for a, b in pairwise(boxes)), (title, [t.get_text() for t in shown])


@pytest.mark.parametrize("name", BOARDS)
def test_the_page_is_written(name: str) -> None:
    specs, records, names = BOARDS[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = page([PageBoard(name, records, specs, names=names)])
    assert "<b>" not in text
    assert "<table" in text


def test_greek_letters_are_set_in_latex_and_letters_of_other_scripts_are_code_points() -> None:
    table = tables("unicode")["paper headline"]
    text = render(table, "latex")
    assert r"Größe $\le$ $\beta$" in text
    assert r"[U+526A][U+679D] [U+1F600]" in text
    assert r"``$\lambda$" in text
