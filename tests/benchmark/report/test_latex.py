"""LaTeX of one's own: labels, caption and key; how notes, spreads and the seeds of a cell are set."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as changed

from benchmark.report.layout import TableError
from benchmark.report.names import STANDARD, Names
from benchmark.report.render import render
from benchmark.report.sheet import sheets
from benchmark.report.show import lettered
from benchmark.report.table import PAPER, Table, build_table
from tests.benchmark.report.factory import make_board, make_record, make_spec
from tests.benchmark.report.pdflatex import compiled, needs_pdflatex

BLOCKS: dict[str, Any] = {**PAPER, "blocks": 1}
THREE = {"magnitude": 61.0, "taylor": 78.0, "principled": 79.4}
PLAIN = Names(
    {"magnitude": "Magnitude", "mini": "Mini", "taylor": "Taylor & Co."},
    latex={"magnitude": r"Magnitude \citep{han2015}", "mini": r"MiniLM$_{6}$"},
)
LABELS = PLAIN.in_latex()


def board(tasks: tuple[str, ...] = ("glue/sst2",), names: Names = STANDARD, **changes: Any) -> Table:
    specs, records = make_board(tasks, THREE, (0.5, 0.8), (0, 1, 2))
    return build_table(records, specs, **BLOCKS, title="Board", names=names, **({"average": None} | changes))


def cells(scores: dict[str, tuple[float, ...]], task: str = "glue/sst2") -> list[Any]:
    """Records of each criterion at 80 %, one for each seed; the dense model scores 90. The floor is 52.7."""
    made = [make_record(make_spec(sparsity=0, seed=seed, task=task), 90.0) for seed in range(3)]
    for name, values in scores.items():
        made += [make_record(make_spec(name, seed=k, task=task), value) for k, value in enumerate(values)]
    return made


@pytest.mark.parametrize("label", ["*Ours", "[T] Ours", "[2pt]", " [2pt]"])
def test_a_label_is_no_argument_of_the_row_before(label: str) -> None:
    names = Names({"taylor": "Ours"}, latex={"taylor": label}).in_latex()
    assert rf"\\{chr(10)}{{}}{label} &" in render(board(names=names), "latex")


def test_labels_stand_as_latex_in_rows_and_caption_and_all_else_is_escaped() -> None:
    latex = render(board(names=LABELS), "latex")
    assert latex.count(r"Magnitude \citep{han2015} &") == 2
    assert r"MiniLM$_{6}$ on SST-2: mean" in latex
    assert r"Taylor \& Co. &" in latex


@pytest.mark.parametrize("format", ["text", "markdown", "html"])
def test_labels_are_plain_in_every_other_format(format: str) -> None:
    out = render(board(names=PLAIN), format)
    assert "Magnitude" in out
    assert "cite" not in out
    assert "\ue000" not in out


def test_a_label_is_as_wide_as_the_citation_it_becomes() -> None:
    long = Names({"magnitude": "M"}, latex={"magnitude": r"M \citep{a} \citep{b} \citep{c}"}).in_latex()
    tasks = ("glue/cola", "glue/sst2", "glue/mrpc", "glue/stsb")
    assert render(board(tasks), "latex", width="column").count(r"\begin{table}") == 1
    assert render(board(tasks, long), "latex", width="column").count(r"\begin{table}") > 1


def test_caption_and_label_are_options() -> None:
    latex = render(board(), "latex", wording=r"Scores, see \S2.", label="tab:mine")
    assert r"\caption{Scores, see \S2.}" in latex
    assert r"\label{tab:mine}" in latex


@pytest.mark.parametrize(
    ("title", "begins"), [("A board", "A board. "), ("Ours vs.", "Ours vs. "), ("Why?", "Why? "), ("", "")]
)
def test_a_title_is_one_sentence_of_the_caption(title: str, begins: str) -> None:
    assert rf"\caption[{{{title}}}]{{{begins}Mini model" in render(replace(board(), title=title), "latex")


@pytest.mark.parametrize(
    ("title", "begins"),
    [
        ("MiniLM on SST-2 at 90 % sparsity", r"MiniLM (6 layers) on SST-2 at 90~\% sparsity: mean over"),
        ("MiniLM (6 layers) on SST-2", "MiniLM (6 layers) on SST-2: mean over"),
        ("MiniLM on GLUE", "MiniLM (6 layers) on GLUE: SST-2, mean over"),
        ("Movement on SST-2", "Movement on SST-2: MiniLM (6 layers), mean over"),
        ("MiniLMs on SST-20", "MiniLMs on SST-20. MiniLM (6 layers) on SST-2: mean over"),
        ("What fails on SST-2?", "What fails on SST-2? MiniLM (6 layers) on SST-2: mean over"),
    ],
)
def test_the_model_and_the_tasks_of_a_title_are_not_said_again(title: str, begins: str) -> None:
    table = board(names=Names({"mini": "MiniLM (6 layers)"}))
    short = title.replace(" %", r"~\%")
    assert rf"\caption[{{{short}}}]{{{begins}" in render(replace(table, title=title), "latex")


def test_several_tables_have_several_labels() -> None:
    latex = render(board(("squad", "conll2003", "e2e", "glue/cola", "glue/sst2", "glue/mrpc")), "latex", width="column",
                   label="tab:x", wording="W")  # fmt: skip
    labels = re.findall(r"\\label\{(.*)\}", latex)
    assert labels == [f"tab:x-{k}" for k in range(1, len(labels) + 1)]
    assert len(labels) > 1
    assert rf"\caption{{W (1 of {len(labels)})}}" in latex


def test_notes_are_lettered_a_b_c_in_each_table_as_they_appear() -> None:
    """Of two tables, each has its own letters; the first to appear is a, whatever its kind."""
    best = make_record(make_spec("taylor", seed=0, task="squad", selection="best_dev"), 60.0)
    records = [
        make_record(make_spec("magnitude", task="glue/rte"), 70.0, notes=["gives every example the same answer"]),
        make_record(make_spec("taylor", task="glue/rte"), 71.0),
        make_record(make_spec("magnitude", task="squad"), 70.0),
        changed(best, selected=changed(best.selected, optimistic=True)),
    ]
    table = build_table(records, rows=("method", "selection"), columns=("task",))
    text = render(table, "text")
    assert "[a] at least one run" in text
    assert "[b] weights selected on the reported split" in text
    second = sheets(table, lambda sheet: len(sheet.columns) == 1)[1]
    assert [(note.symbol, note.kind) for note in lettered(table, [second]).notes] == [("a", "optimistic")]


def test_points_align_marks_stand_behind_the_spread_and_each_cell_leaves_their_room() -> None:
    """magnitude has both marks, taylor one, principled none; deviations of 10.0 and 1.0 have the same room."""
    found = cells({"magnitude": (52.0, 52.0, 52.0), "taylor": (70.0, 80.0, 90.0), "principled": (80.0, 81.0, 82.0)})
    latex = render(build_table(found, **BLOCKS, title="B"), "latex")
    mark = r"\textsuperscript{$\dagger$}"
    assert rf"Magnitude & 52.0$_{{0.0\phantom{{0}}}}${mark} \\" in latex
    assert r"Taylor & \underline{80.0}$_{10.0}$\hphantom{" + mark + r"} \\" in latex
    assert r"PINS & \textbf{81.0}$_{1.0\phantom{0}}$\hphantom{" + mark + r"} \\" in latex


def test_the_exponent_of_a_spread_is_upright() -> None:
    latex = render(build_table(cells({"magnitude": (1e6, 3e6, 5e6)}), **BLOCKS), "latex")
    assert r"$_{2.0\mathrm{e}6}$" in latex


@pytest.mark.parametrize(
    ("values", "stack", "high"),
    [
        ((53.0, 90.0, 52.0), r"\tiny 53.0 90.0 \\ \tiny 52.0", "13.4pt"),
        ((53.0, 90.0), r"\tiny 53.0 90.0", "6.4pt"),
        ((53.0, 90.0, 52.0, 91.0, 92.0), r"\tiny 53.0 90.0 \\ \tiny 52.0 91.0 \\ \tiny 92.0", "20.4pt"),
    ],
)
def test_seeds_that_lie_apart_are_printed_each_in_pairs_and_never_as_a_mean(
    values: tuple[float, ...], stack: str, high: str
) -> None:
    """A rule keeps a stack, however high, from the rows above and below."""
    table = build_table(cells({"magnitude": values, "taylor": (80.0,) * len(values)}), **BLOCKS, gate=10)
    latex = render(table, "latex")
    assert rf"\shortstack[r]{{{stack}}}" in latex
    assert rf"{{0pt}}{{{high}}}" in latex
    assert f"& {sum(values) / len(values):.1f}" not in latex


def test_seeds_that_lie_apart_leave_their_column_as_narrow_as_a_mean() -> None:
    tasks = ("glue/cola", "glue/sst2", "glue/mrpc", "glue/stsb")
    found = [
        one for task in tasks for one in cells({"magnitude": (53.0, 90.0, 52.0), "taylor": (80.0, 81.0, 82.0)}, task)
    ]
    latex = render(build_table(found, **BLOCKS, gate=10), "latex", width="column")
    assert latex.count(r"\begin{table}") == 1


@pytest.mark.parametrize(("count", "average"), [(2, False), (3, True), (4, True)])
def test_an_average_stands_from_three_tasks_on(count: int, average: bool) -> None:
    tasks = ("glue/cola", "glue/sst2", "glue/mrpc", "glue/stsb")[:count]
    assert ("avg." in render(board(tasks), "text")) is average
    assert "avg." in render(board(tasks, average=True), "text")


def test_a_note_on_an_average_names_only_tasks_that_count() -> None:
    specs, records = make_board(("glue/cola", "glue/sst2", "glue/mrpc", "glue/stsb"), THREE, (0.5,), (0,))
    low = [changed(r, floor={"accuracy": 88.0}) if r.spec.task == "glue/mrpc" else r for r in records]
    out = render(build_table(low, specs, **BLOCKS, average=None, gate=10), "text")
    assert "GLUE avg.: mean over CoLA, SST-2, STS-B, of complete rows" in out


@pytest.mark.parametrize("rows", [("sparsity", "method"), ("method", "sparsity"), ("criterion", "regularizer")])
def test_every_arrangement_has_the_same_head_and_dashes(rows: tuple[str, ...]) -> None:
    specs, records = make_board(("glue/cola", "glue/sst2"), THREE, (0.5, 0.8), (0,))
    gone = [s for s in specs if not (s.task == "glue/cola" and s.sparsity == 0.8)]
    kept = [r for r in records if r.spec.id in {s.id for s in gone}]
    columns = ("task",) if "sparsity" in rows else ("task", "sparsity")
    blocks = 1 if rows[0] == "sparsity" else 0
    lines = render(build_table(kept, gone, rows=rows, columns=columns, blocks=blocks), "text").splitlines()
    assert any(line.startswith("Method") for line in lines)
    assert not any("Criterion" in line for line in lines)
    if "sparsity" in rows:
        assert sum("\N{EN DASH}" in line for line in lines) == 3
        assert sum(line.startswith("Taylor") for line in lines) == (2 if blocks else 1)


@needs_pdflatex
def test_all_of_it_compiles_in_a_column(tmp_path: Path) -> None:
    """Labels with citations, stacked seeds, marks, phantoms, a caption of one's own."""
    found = cells({"magnitude": (53.0, 90.0, 52.0), "taylor": (70.0, 80.0, 90.0), "principled": (52.0, 52.0, 52.0)})
    body = render(build_table(found, **BLOCKS, gate=10, names=LABELS), "latex", width="column", wording=r"\emph{Ours}.")
    head = (
        r"\documentclass[11pt,twocolumn]{article}\usepackage{booktabs}\newcommand{\citep}[1]{(Han et al., 2015)}"
        r"\setlength{\textwidth}{455pt}\setlength{\columnsep}{17pt}\begin{document}"
    )
    log = compiled(tmp_path, head + body + r"\end{document}")
    assert not re.search(r"Overfull|too large|undefined", log)


def test_what_was_tested_stands_below_the_table() -> None:
    out = render(replace(board(), facts={"Significance": "6 cells were tested together"}), "latex")
    assert " 6 cells were tested together.}" in out.partition(r"\bottomrule")[2]


@pytest.mark.parametrize("wording", ["Scores at 80 % sparsity", "Ours & theirs", "Table #1"])
def test_a_caption_with_a_bare_command_of_latex_is_refused(wording: str) -> None:
    bare = next(sign for sign in "%&#" if sign in wording)
    with pytest.raises(TableError, match=rf"caption: '{bare}' is a command of LaTeX: write \\{bare}"):
        render(board(), "latex", wording=wording)
    escaped = wording.replace(bare, f"\\{bare}")
    assert rf"\caption{{{escaped}}}" in render(board(), "latex", wording=escaped)
