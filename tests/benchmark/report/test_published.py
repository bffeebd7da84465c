"""Published figures: read as they are, set beside ours with the difference and honest flags."""

import re
from pathlib import Path
from typing import Any

import pytest

from benchmark.commands.views import published_text
from benchmark.report.marks import rivals
from benchmark.report.names import Names
from benchmark.report.published import (
    COLUMNS,
    Published,
    PublishedError,
    default_path,
    differs,
    load_published,
    published_table,
    quoted,
)
from benchmark.report.render import FORMATS, render
from benchmark.report.show import show
from benchmark.report.table import PAPER, build_table
from tests.benchmark.boards import finish
from tests.benchmark.boards import make_board as board_in
from tests.benchmark.report.factory import make_board, make_record, make_spec
from tests.benchmark.report.pdflatex import compiled, needs_pdflatex


def figure(method: str = "movement", **changes: object) -> Published:
    """One figure for SQuAD at 0.5."""
    fields: dict[str, object] = {
        "source": "Someone et al.", "table": "Table 1", "method": method, "model": "bert-base-uncased", "task": "squad",
        "metric": "f1", "sparsity": 0.5, "value": 80.0, "printed": "80.0", "distillation": False, "runs": 3, "note": "",
    }  # fmt: skip
    return Published(**(fields | changes))  # type: ignore[arg-type]


def test_the_committed_file_loads_and_quotes_no_pins_figure() -> None:
    found = load_published(default_path())
    assert len(found) == 217
    assert {f.method for f in found} >= {"dense", "movement", "platon", "obert"}
    assert not [f for f in found if "PINS" in f.source]
    assert all(0 < f.value <= 100 for f in found)


@pytest.mark.shared
def test_the_committed_file_is_the_shared_one(shared: Path) -> None:
    assert default_path().read_bytes() == (shared / "published" / "figures.csv").read_bytes()


def test_ours_stand_beside_with_difference_and_ids() -> None:
    specs, records = make_board()
    table = published_table([figure(), figure("obert"), figure(task="glue/qqp"), figure(sparsity=0.97)], records, specs)
    assert [line.labels[1:2] + line.labels[3:] for line in table.rows] == [
        ("movement", "squad (f1)", "0.5", "movement"),
        ("obert", "squad (f1)", "0.5", ""),
    ]
    reported, ours, gap, flag = table.cells[0]
    assert reported.text == "80.0 (n = 3)"
    assert ours.values == (76.5, 77.5)
    assert len(ours.ids) == 2
    assert gap.text == "-3.0"
    assert flag.text == ("no: model (mini, not bert-base-uncased); not known: budget, selection, sparsity basis")
    assert all(not cell.rank for row in table.cells for cell in row)


@pytest.mark.parametrize("name", ["text", "markdown", "latex", "html"])
def test_cells_without_a_mean_show_each_seed_and_no_difference(name: str) -> None:
    """Of 52.7, the floor, and 80.0 there is no mean in the board's own table."""
    specs = [make_spec("movement", 0.5, seed=seed) for seed in (0, 1)]
    records = [make_record(spec, score) for spec, score in zip(specs, (52.7, 80.0), strict=True)]
    table = published_table([figure(task=specs[0].task, metric="accuracy")], records, specs, names=Names())
    (cells,) = table.cells
    assert [show(cell, table).value for cell in cells[1:3]] == ["52.7 / 80.0", ""]
    assert "no mean is given" in render(table, name)


def test_platon_is_the_sensitivity_criterion() -> None:
    records = [make_record(make_spec("sensitivity[beta2=0.9]", task="squad", sparsity=0.9))]
    table = published_table([figure("platon", sparsity=0.9)], records)
    assert table.rows[0].labels[-1] == "sensitivity[beta2=0.9]"


def test_what_differs_is_flagged() -> None:
    def flags(published: Published, **changes: Any) -> list[str]:
        return differs(
            published, make_record(make_spec("movement", 0.5, task="squad", model="bert-base-uncased", **changes))
        )

    assert flags(figure()) == []
    assert flags(figure(distillation=True)) == ["distillation"]
    assert flags(figure(distillation=True), regularizer="distillation[temperature=2]") == []
    assert flags(figure(), regularizer="self_regularization") == ["another regularizer"]
    assert flags(figure(), selection="best_dev") == ["optimistic selection here"]
    assert flags(figure(note="pruned upstream, then fine-tuned")) == ["start of training (upstream pruning)"]


@pytest.mark.parametrize("name", FORMATS)
def test_every_writer_prints_it(name: str) -> None:
    out = render(published_table([figure()], make_board()[1], title="Beside"), name)
    assert "80.0 (n = 3)" in out
    assert "-3.0" in out


def test_readers_have_the_names_of_papers_and_a_table_as_wide_as_the_terminal(tmp_path: Path) -> None:
    board = board_in(tmp_path / "board", criteria=["sensitivity[beta2=0.95]"], sparsities=[0.9])
    finish(board)
    for name in ("text", "markdown", "latex", "html"):
        out = published_text(board, name, **({"width": 100} if name == "text" else {}))
        assert "SST-2 (Acc.)" in out
        assert "(accuracy)" not in out
    out = published_text(board, "text", width=100)
    assert re.search(r"PLATON +SST-2 \(Acc.\) +90 % +PLATON \(beta2 0.95\) +90.5 \[\w\]", out)
    assert max(map(len, out.splitlines())) <= 100
    assert out.count("Difference") == 2  # a head, in one table alone, and what it is


@needs_pdflatex
def test_in_a_paper_sources_are_notes_and_it_fits_the_page(tmp_path: Path) -> None:
    specs, records = make_board()
    figures = [figure(), figure("platon", note="10 epochs"), figure("dense", sparsity=0.0, value=85.0, printed="85.0")]
    out = render(published_table(figures, records, specs, title="Beside", names=Names()), "latex")
    assert r"Movement & SQuAD (F1) & 50~\% & Movement & 80.0 (n = 3)" in out
    assert "$-$3.0" in out
    assert (
        r"Someone et al., Table 1: bert-base-uncased; differs from ours in model (mini, not bert-base-uncased)" in out
    )
    assert r"Table 1: bert-base-uncased; they note: 10 epochs." in out
    assert r"in points.}" in out  # seeds, data and commit are comments
    head = r"\documentclass[10pt,twocolumn]{article}\usepackage{booktabs}\setlength{\textwidth}{455pt}\begin{document}"
    assert not re.search(r"Overfull|undefined", compiled(tmp_path, head + out + r"\end{document}"))


def test_another_row_of_the_board_does_not_make_a_figure_differ() -> None:
    spec: dict[str, Any] = {"task": "glue/rte", "model": "bert-base-uncased"}
    made = [make_record(make_spec("taylor", 0.5, regularizer=name, **spec)) for name in ("none", "self_regularization")]
    quote = [figure("platon", task="glue/rte", metric="accuracy")]

    def said(records: list[Any]) -> str:
        table = quoted(build_table(records, rows=PAPER["rows"], columns=PAPER["columns"]), quote, records)
        return table.notes[0].text

    assert "another regularizer" not in said(made)
    assert "another regularizer" in said(made[1:])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a,b,c,d,e,f,0.9,high,no,,", "could not convert"),
        ("a,b,c,d,e,f,1.5,80,no,,", r"sparsity in \[0, 1\)"),
        ("a,b,c,d,e,f,0.5,80,maybe,,", "yes or no"),
        ("a,b,c", "expected 11 fields"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "figures.csv"
    path.write_text(f"{','.join(COLUMNS)}\n{line}\n")
    with pytest.raises(PublishedError, match=rf"figures.csv:2: .*{said}"):
        load_published(path)


def test_a_missing_file_and_other_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(PublishedError, match="cannot read"):
        load_published(tmp_path / "none.csv")
    path = tmp_path / "figures.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(PublishedError, match="expected the columns source"):
        load_published(path)


@pytest.mark.parametrize(("metric", "expected"), [("headline", "91.0"), ("accuracy", "91.0"), ("f1", "93.0")])
def test_a_column_quotes_figures_of_its_own_metric_alone(metric: str, expected: str) -> None:
    records = [make_record(make_spec(name, 0.5), metrics={"f1": 85.0}) for name in ("magnitude", "movement")]
    figures = [
        figure(task="glue/rte", metric="f1", value=93.0, printed="93.0"),
        figure(task="glue/rte", metric="accuracy", value=91.0, printed="91.0"),
    ]
    table = quoted(build_table(records, metric=metric, rows=PAPER["rows"], columns=PAPER["columns"]), figures, records)
    assert [row[0].text for line, row in zip(table.rows, table.cells, strict=True) if line.quoted] == [expected]
    assert {row[0].metric for row in table.cells} == {"f1" if metric == "f1" else "accuracy"}


def test_figures_of_another_budget_have_a_row_and_a_letter_of_their_own() -> None:
    records = [make_record(make_spec(name, 0.5), score) for name, score in (("obert", 70.0), ("movement", 80.0))]
    figures = [
        figure("obert", task="glue/rte", metric="accuracy", printed=printed, note=note)
        for printed, note in (("87.98", "10 epochs"), ("88.31", "30 epochs"))
    ]
    table = quoted(build_table(records, rows=PAPER["rows"], columns=PAPER["columns"]), figures, records)
    shown = [row[0] for line, row in zip(table.rows, table.cells, strict=True) if line.quoted]
    assert [cell.text for cell in shown] == ["87.98", "88.31"]
    notes = {note.kind: note.text for note in table.notes}
    assert "Table 1: bert-base-uncased (10 epochs)," in notes[shown[0].marks[0]]
    assert "Table 1: bert-base-uncased (30 epochs)," in notes[shown[1].marks[0]]


def test_every_figure_of_the_committed_file_has_a_place_and_a_letter() -> None:
    found = load_published(default_path())
    specs = {(f.task, f.metric, f.sparsity): make_spec("magnitude", f.sparsity, task=f.task) for f in found}
    metrics = {f.task: {g.metric: 80.0 for g in found if g.task == f.task} for f in found}
    records = {spec.id: make_record(spec, metric=m, metrics=metrics[t]) for (t, m, _), spec in specs.items()}
    for metric in sorted({f.metric for f in found}):
        table = build_table(list(records.values()), metric=metric, rows=PAPER["rows"], columns=PAPER["columns"])
        table = quoted(table, found, list(records.values()))
        shown = [cell.text for line, row in zip(table.rows, table.cells, strict=True) if line.quoted for cell in row]
        assert sorted(filter(None, shown)) == sorted(f.printed for f in found if f.metric == metric)
        symbols = {note.kind: note.symbol for note in table.notes}
        cells = [cell for line, row in zip(table.rows, table.cells, strict=True) if line.quoted for cell in row]
        assert all(symbols[mark] for cell in cells for mark in cell.marks)
        assert all(cell.marks for cell in cells if cell.text)


def test_quoted_figures_are_no_rivals() -> None:
    records = [make_record(make_spec(name, 0.5), score) for name, score in (("magnitude", 70.0), ("movement", 80.0))]
    published = [figure(task="glue/rte", metric="accuracy", value=99.0, printed="99.0")]
    table = quoted(build_table(records, rows=PAPER["rows"], columns=PAPER["columns"]), published, records)
    lines = {line.labels[1]: i for i, line in enumerate(table.rows)}
    ours = [i for i, line in enumerate(table.rows) if not line.quoted]
    assert len(lines) > len(ours)
    assert rivals(table.rows, table.row_fields, [row[0] for row in table.cells]) == [ours]


def test_nothing_is_said_of_a_gate_where_nothing_is_ranked() -> None:
    specs, records = make_board()
    assert not [name for name in published_table([figure()], records, specs).facts if "gate" in name.lower()]


def test_where_no_figure_concerns_a_table_it_says_so() -> None:
    records = [make_record(make_spec("magnitude", 0.5))]
    table = quoted(build_table(records, rows=PAPER["rows"], columns=PAPER["columns"]), [figure()], records)
    assert table.facts["Published"] == "no figure is of a task, metric and sparsity of this table"
