"""The paper's layout: names, blocks, averages, what is never best, and that LaTeX sets it in an article's column and page."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.report.names import STANDARD, Names, family, names_of
from benchmark.report.numbers import number
from benchmark.report.published import Published, quoted
from benchmark.report.render import render
from benchmark.report.settings import settings_table
from benchmark.report.table import PAPER, Table, build_table
from benchmark.suite.spec import portable_row
from benchmark.suite.suite import Suite
from tests.benchmark.plugin_sources import PLUGIN
from tests.benchmark.report.factory import make_board, make_record, make_spec
from tests.benchmark.report.pdflatex import faults, needs_pdflatex
from tests.benchmark.suites import LEAST, read

GLUE = tuple(f"glue/{name}" for name in ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli"))
BLOCKS: dict[str, Any] = {**PAPER, "blocks": 1}
SIX = {"magnitude": 61.0, "movement": 75.0, "taylor": 78.0, "sensitivity": 79.0, "principled": 79.4, "obert": 70.0}


def paper(tasks: tuple[str, ...] = GLUE[:4], names: Names = STANDARD, **changes: Any) -> Table:
    specs, records = make_board(tasks, SIX, (0.5, 0.8, 0.9), (0, 1, 2))
    return build_table(records, specs, **BLOCKS, average=None, title="Board", names=names, **changes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sensitivity", "PLATON"),
        ("principled + self_regularization", "PINS + self-reg."),
        ("principled[signed=true]", "PINS (signed)"),
        ("principled[lr_term=false]", "PINS (no lr term)"),
        ("sensitivity[beta1=0.9,window=5]", "PLATON (beta1 0.9, window 5)"),
        ("magnitude + none", "Magnitude"),
        ("principled (tuned)", "PINS (tuned)"),
        ("obert + distillation", "oBERT + distil."),
        ("mine.py[power=2]", "My idea (power 2)"),
        ("unheard_of", "unheard_of"),
        ("random", "Chance"),
        ("dense", "Dense"),
    ],
)
def test_methods_have_the_names_of_the_field(text: str, words: str) -> None:
    assert Names({"random": "Chance"}, {"mine.py": "My idea"}).method(text) == words


@pytest.mark.parametrize(
    ("name", "labels", "words"),
    [
        ("magnitude at the start", {}, "Magnitude at the start"),
        ("oBERT at once", {}, "oBERT at once"),
        ("2 of 4", {}, "2 of 4"),
        ("snip (ours)", {}, "Snip (ours)"),
        ("magnitude at the start", {"magnitude at the start": "at init"}, "at init"),
    ],
)
def test_named_methods_begin_like_other_rows(name: str, labels: dict[str, str], words: str) -> None:
    suite = Suite.model_validate(
        {
            "tasks": ["glue/rte"],
            "criteria": [name, f"{name} + distillation"],
            "sparsities": [0.5],
            "methods": {name: {"criterion": "magnitude", "schedule": "one_shot"}},
            "labels": labels,
        }
    )
    assert names_of(suite).method(name) == words
    assert names_of(suite).method(f"{name} + distillation") == f"{words} + distil."


def test_a_label_of_a_whole_row_comes_before_those_of_its_parts() -> None:
    names = Names({"principled": "P", "principled + rdrop": "Both", "rdrop": "R"})
    assert [names.method(text) for text in ("principled", "principled + rdrop", "magnitude + rdrop")] == [
        "P",
        "Both",
        "Magnitude + R",
    ]


def test_blocks_by_sparsity_with_the_dense_model_first_and_the_average_last() -> None:
    lines = render(paper(), "text").splitlines()
    heads = lines[2].split(), lines[3].split()
    assert heads == (["CoLA", "SST-2", "MRPC", "STS-B", "GLUE"], ["Method", *["Acc."] * 4, "avg."])
    assert lines[5].startswith("Dense")
    assert [line for line in lines if line.endswith("sparsity")] == ["50 % sparsity", "80 % sparsity", "90 % sparsity"]
    assert "GLUE avg.: mean over CoLA, SST-2, MRPC, STS-B, of complete rows" in lines
    # at 50 %: 61 - 0, -1, -2, -3 on the tasks, so 59.5 on average; the seeds are -0.5, 0.5, -0.5 about it
    assert lines[8].split()[0] == "Magnitude"
    assert "59.3 ± 0.6" in lines[8]


def test_there_is_no_average_where_no_row_is_complete_nor_over_other_families() -> None:
    specs, records = make_board(GLUE[:2], SIX, (0.5,), (0,))
    half = [record for record in records if record.spec.is_dense or record.spec.task == GLUE[0]]
    assert "avg." not in render(build_table(half, specs, **BLOCKS, average=None))
    assert "avg." not in render(paper(("squad", "e2e")))
    assert "avg." in render(build_table(records, specs, **BLOCKS, average=True))


@pytest.mark.parametrize("format", ["text", "markdown", "latex", "html"])
def test_an_average_of_several_sparsities_is_explained_once(format: str) -> None:
    specs, records = make_board(GLUE[:4], SIX, (0.5, 0.8, 0.9))
    out = render(build_table(records, specs, average=True), format)
    assert out.count("GLUE avg.: mean over CoLA, SST-2, MRPC, STS-B, of complete rows") == 1


@pytest.mark.parametrize(("value", "words"), [(-0.04, "0.0"), (-0.5, "\N{MINUS SIGN}0.5"), (0.05, "0.1"), (3.0, "3.0")])
def test_minus_signs_are_minus_signs_and_nothing_is_minus_zero(value: float, words: str) -> None:
    assert number(value, 1) == words


def test_what_is_no_better_than_the_trivial_predictor_is_daggered_and_never_best() -> None:
    records = [make_record(make_spec(name), score) for name, score in [("a", 50.0), ("b", 51.0), ("c", 52.0)]]
    table = build_table(records, **BLOCKS)
    latex = render(table, "latex")
    assert latex.count(r"\textsuperscript{$\dagger$}") == 4  # three cells and the note
    assert r"\textbf" not in latex
    assert r"\underline" not in latex
    assert "trivial" in render(table, "html")


def test_best_and_second_are_of_their_block() -> None:
    latex = render(paper(), "latex")
    assert latex.count(r"\textbf{") == latex.count(r"\underline{") == 3 * 5
    assert all(line.startswith("PINS &") for line in latex.splitlines() if r"\textbf{" in line)


def test_the_caption_is_two_sentences_and_the_rest_are_comments() -> None:
    latex = render(paper(), "latex")
    (caption,) = re.findall(r"\\caption\[.*?\]\{(.*)\}", latex)
    assert caption == (
        "Board. Mini model on CoLA, SST-2, MRPC and STS-B: mean over 3 seeds, standard deviation as subscript, in percent. "
        "Best in bold, second underlined in each block and column, the dense model apart."
    )
    assert "% Sparsity: zeros / prunable weights" in latex


@pytest.mark.parametrize(
    ("spread", "words"),
    [("none", "Dense & 89.8 & 88.8 &"), ("sd", "89.8$_{0.6}$ &"), ("interval", "89.8$_{[88.4,\\,91.3]}$ &")],
)
def test_the_spread_is_an_option(spread: str, words: str) -> None:
    """Three seeds at 89.5, 90.5 and 89.5: mean 89.83, deviation 0.577, interval 4.303 x 0.577 / sqrt 3 = 1.43 to either side."""
    assert words in render(paper(spread=spread), "latex")


def test_digits_are_an_option() -> None:
    assert "79.233" in render(paper(digits=3), "text")


@pytest.mark.parametrize("width", [80, 100, 140])
@pytest.mark.parametrize("tasks", [GLUE, ("squad", "conll2003", "e2e", *GLUE)])
@pytest.mark.parametrize("layout", ["paper", "tasks"])
def test_no_line_is_wider_than_the_terminal(width: int, tasks: tuple[str, ...], layout: str) -> None:
    specs, records = make_board(tasks, SIX, (0.5, 0.8, 0.9), (0, 1))
    table = paper(tasks) if layout == "paper" else build_table(records, specs)
    plain = render(table, "text", width=width)
    assert max(map(len, plain.splitlines())) <= width
    colored = render(table, "text", width=width, colors=True)
    assert "\x1b[1;32m*" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == plain
    assert all(plain.count(f"\N{NO-BREAK SPACE}{task}") == 0 for task in tasks)
    assert all(words in plain for words in ("CoLA", "WNLI"))


def test_what_is_too_wide_is_cut_between_families() -> None:
    latex = render(paper(("squad", "conll2003", "e2e", *GLUE)), "latex", width="column")
    tables = latex.split(r"\begin{table}")[1:]
    assert len(tables) > 1
    assert all(table.count(r"\bottomrule") == table.count("Method &") == 1 for table in tables)
    assert ("SQuAD" in tables[0], "CoLA" in tables[0]) == (True, False)


def test_a_regularizer_that_all_methods_share_is_said_once() -> None:
    records = [
        make_record(make_spec(name, regularizer="distillation"), 80.0 + i)
        for i, name in enumerate(["magnitude", "taylor"])
    ]
    out = render(build_table(records, **BLOCKS), "text")
    assert "regularizer: distil. in every row" in out
    assert "Magnitude + distil." not in out


@pytest.mark.parametrize(("label", "spelled"), [("", "PINS"), ("PINS (full)", "PINS (full)")])
def test_a_label_of_a_whole_row_stands_where_all_methods_share_a_regularizer(label: str, spelled: str) -> None:
    names = Names({"principled + self_regularization": label} if label else {})
    records = [make_record(make_spec(name, regularizer="self_regularization")) for name in ("principled", "magnitude")]
    out = render(build_table(records, **BLOCKS, names=names), "text").splitlines()
    other = "Magnitude + self-reg." if label else "Magnitude"
    assert [line.partition("  ")[0] for line in out if line.startswith(("PINS", "Magnitude"))] == [other, spelled]
    assert ("regularizer: self-reg. in every row" in out) == (not label)


@pytest.mark.parametrize(
    ("row", "spelled"),
    [
        ("principled + self_regularization", "PINS (full)"),
        ("principled (tuned) + self_regularization", "PINS (full) (tuned)"),
        ("magnitude (tuned)", "Size (tuned)"),
        ("magnitude (tuned) + self_regularization", "Size (tuned) + self-reg."),
        ("principled (tuned)", "PINS (tuned)"),
    ],
)
def test_a_tuned_row_has_the_label_of_the_row_that_was_tuned(row: str, spelled: str) -> None:
    names = Names({"principled + self_regularization": "PINS (full)", "magnitude": "Size"})
    assert names.method(row) == spelled


@pytest.mark.parametrize("format", ["text", "markdown", "latex", "html"])
@pytest.mark.parametrize(
    ("fields", "words"),
    [(("regularizer",), "distil."), (("schedule",), "cubic"), (("regularizer", "scope"), "global")],
)
def test_rows_that_differ_in_nothing_keep_a_word(format: str, fields: tuple[str, ...], words: str) -> None:
    """A single method, of which the rows name what all have in common."""
    records = [make_record(make_spec(regularizer="distillation", sparsity=sparsity)) for sparsity in (0.5, 0.8)]
    records.append(make_record(make_spec(sparsity=0)))
    out = render(build_table(records, rows=fields, columns=("task", "sparsity")), format)
    assert words in out
    assert f"{fields[-1]}: {words} in every row" not in out


def test_two_rows_that_would_share_a_name_are_spelled_out() -> None:
    out = render(paper(names=Names({"magnitude": "X", "movement": "X"})), "text")
    assert {"magnitude", "movement"} <= set(out.split())


@pytest.mark.parametrize(
    ("label", "rows", "words"),
    [
        ("Dense", ["a.py"], ["a.py"]),
        ("dense", ["a.py"], ["a.py"]),
        ("Random", ["a.py", "random"], ["a.py", "Random"]),
        ("RANDOM", ["a.py", "a.py[power=3]", "random"], ["a.py", "a.py (power 3)", "Random"]),
        ("Mine", ["a.py", "b.py"], ["a.py", "b.py"]),
        ("Mine", ["a.py", "a.py[power=3]"], ["Mine", "Mine (power 3)"]),
        ("Random", ["a.py + rdrop", "random + rdrop"], ["a.py + R-Drop", "Random + R-Drop"]),
        ("Random", ["a.py", "random + rdrop"], ["Random", "Random + R-Drop"]),
        ("PINS (Signed)", ["a.py", "principled[signed=true]"], ["a.py", "PINS (signed)"]),
    ],
)
def test_a_label_of_a_plugin_that_another_row_has_is_left_out(
    tmp_path: Path, label: str, rows: list[str], words: list[str]
) -> None:
    for name in "ab":
        text = PLUGIN.format(cls=name.upper()).replace(
            "    power:", f"    label: ClassVar[str] = {label!r}\n    power:"
        )
        (tmp_path / f"{name}.py").write_text(f"from typing import ClassVar\n{text}")
    suite = read(tmp_path, LEAST.replace("[random]", f"{rows}").replace("[squad]", "[glue/sst2]"))
    assert [names_of(suite).method(portable_row(row)) for row in suite.criteria] == words


def test_published_figures_stand_above_ours_with_their_note_and_no_rank() -> None:
    figure = Published(
        "Zhang 2022", "Table 1", "platon", "bert-base-uncased", GLUE[0], "accuracy", 0.8, 99.9, "99.9", False, 5, ""
    )
    records = make_board(GLUE[:4], SIX, (0.5, 0.8, 0.9), (0, 1, 2))[1]
    table = quoted(paper(), [figure, replace(figure, sparsity=0.95)], records)
    out = render(table, "text").splitlines()
    at = out.index("80 % sparsity")
    assert out[at + 1].startswith("PLATON, quoted")
    assert "99.9 [a]" in out[at + 1]
    assert "*" not in out[at + 1]
    assert "".join(out).count("quoted from Zhang 2022, Table 1: bert-base-uncased") == 1


def test_settings_have_a_column_for_each_task() -> None:
    specs, records = make_board()
    out = render(settings_table(records, specs, title="Board", names=Names()), "latex")
    assert "Setting & RTE & SQuAD" in out
    assert "Training length & 400 steps & 400 steps" in out
    assert r"Sparsities & 50~\%, 80~\% & 50~\%, 80~\%" in out
    (caption,) = re.findall(r"\\caption\[.*?\]\{(.*)\}", out)
    assert caption == "Board: settings. How the runs of Mini model on RTE and SQuAD were trained and pruned."
    assert "% Selection: weights after the last step" in out


def test_settings_of_rows_of_their_own_stand_in_the_caption() -> None:
    options = "movement[score_optimizer=adam,score_schedule=weights]"
    spec = make_spec(options, method="movement as published", scope="layer", schedule="cubic[window=1]")
    out = render(settings_table([], [make_spec(), spec], title="Board", names=Names()), "latex")
    (caption,) = re.findall(r"\\caption\[.*?\]\{(.*)\}", out)
    assert "movement as published: movement[score\\_optimizer=adam, score\\_schedule=weights], scope layer" in caption


@pytest.mark.parametrize("width", [60, 80])
def test_settings_and_what_stands_below_them_fit_the_terminal(width: int) -> None:
    specs, records = make_board(GLUE)
    text = render(settings_table(records, specs, title="Board", names=Names()), "text", width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "Selection: weights after the last step" in text


@pytest.mark.parametrize(
    ("task", "words", "kin"),
    [
        ("webnlg/2017", "WebNLG", "text"),
        ("webnlg/2020", "WebNLG 2020", "text"),
        ("webnlg/2017[max_new_tokens=9]", "WebNLG", "text"),
        ("dart", "DART", "text"),
        ("squad_v2", "SQuAD 2.0", "squad"),
        ("glue/stsb", "STS-B", "glue"),
        ("mine.py", "mine.py", "mine.py"),
    ],
)
def test_tasks_have_the_names_of_the_field_and_stand_by_family(task: str, words: str, kin: str) -> None:
    assert (Names().task(task), family(task)) == (words, kin)


FITS: list[tuple[tuple[str, ...], str | None, str]] = [
    (GLUE[:4], "column", "table"),
    (GLUE, "page", "table*"),
    (("squad", "conll2003", "e2e", *GLUE), "column", "table"),
    (("squad", *GLUE), None, "table*"),
]


@needs_pdflatex
@pytest.mark.parametrize("size", [10, 11])
def test_latex_fits_an_articles_column_and_page(size: int, tmp_path: Path) -> None:
    head = (
        rf"\documentclass[{size}pt,twocolumn]{{article}}\usepackage{{booktabs}}"
        r"\setlength{\textwidth}{455pt}\setlength{\columnsep}{17pt}\setlength{\textheight}{690pt}"
        r"\setlength{\topmargin}{-40pt}"
    )
    cases = {}
    for tasks, width, environment in FITS:
        body = render(paper(tasks), "latex", width=width, label=f"{len(tasks)}")
        assert rf"\begin{{{environment}}}" in body
        if len(tasks) < 11:
            assert body.count(r"\begin{tabular}") == 1
        cases[f"{len(tasks)} tasks, {width}"] = body
    assert faults(tmp_path, head, cases) == []
