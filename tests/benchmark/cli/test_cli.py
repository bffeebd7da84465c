"""The command line end to end on tiny boards: what is printed, what is written, and the exit codes 0, 1, 2 and 130."""

import csv
import gzip
import json
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import benchmark.commands.run
from benchmark import cli
from benchmark.board.board import Board
from benchmark.board.record import record_path
from benchmark.engine.cell import Settings
from benchmark.plugins.registry import load
from benchmark.training.contract import _breach
from tests.benchmark.boards import NOT_FINITE, TINY, make_board, times
from tests.command import Command, Printed

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.usefixtures("fresh_registry")


# Running.


def test_a_board_from_suite_to_table(tmp_path: Path, prunebench: Printed) -> None:
    board = make_board(tmp_path / "tiny")
    code, printed = prunebench("run", board.folder, "--device", "cpu")
    assert code == 0
    assert "3 cells run, 0 done before, 0 failed." in printed
    assert "glue/sst2 dense seed 0: " in printed
    assert all(row in printed for row in ("dense", "random", "magnitude"))
    table = (board.folder / "table.md").read_text()
    assert "| Magnitude" in table
    assert "Tiny" in table
    before = times(board)
    code, printed = prunebench("run", board.folder)
    assert (code, times(board)) == (0, before)
    assert "0 cells run, 3 done before, 0 failed." in printed
    assert (board.folder / "table.md").read_text() == table


@pytest.mark.parametrize("command", ["run", "compare"])
@pytest.mark.parametrize(("flags", "choice"), [([], False), (["--compile"], True), (["--compile-auto"], "auto")])
def test_what_is_to_be_compiled_is_told_to_the_run(
    command: str,
    flags: list[str],
    choice: object,
    finished_board: Board,
    prunebench: Printed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Settings] = []
    monkeypatch.setattr("benchmark.commands.run.run_board", lambda _, __, settings, *___: asked.append(settings))
    monkeypatch.setattr("benchmark.commands.compare.compare", lambda _, __, settings, *___: asked.append(settings))
    added = ["--add", "taylor"] if command == "compare" else []
    assert prunebench(command, *flags, finished_board.folder, *added)[0] == 0
    assert [settings.compile for settings in asked] == [choice]
    code, printed = prunebench(command, finished_board.folder, *added, "--compile", "--compile-auto")
    assert (code, len(asked)) == (2, 1)
    assert "--compile and --compile-auto: give one of them" in " ".join(printed.split())


def test_only_and_set_run_and_show_the_cells_they_name(tmp_path: Path, prunebench: Printed) -> None:
    board = make_board(tmp_path / "tiny", tasks=["glue/sst2", "squad"])
    code, printed = prunebench("run", board.folder, "--only", "*sst2 random*", "--set", "training.steps=3")
    assert code == 0
    assert "1 cell run, 0 done before, 0 failed." in printed
    changed = Board.open(board.folder, {"training.steps": 3})
    assert [record.cost.steps for record in changed.records()[0]] == [3]
    assert board.records()[0] == []
    code, printed = prunebench("status", board.folder, "--set", "training.steps=3")
    assert "glue/sst2: 1 done, 0 failed, 2 missing" in printed
    assert "in all 1 of 6 done" in printed
    code, printed = prunebench("run", board.folder, "--only", "rte")
    assert code == 2
    assert printed == "prunebench: --only 'rte' matches no cell; tasks: glue/sst2, squad\n"


def test_given_data_and_model_have_ids_of_their_own(tmp_path: Path, prunebench: Printed) -> None:
    embedded = ROOT / "tasks" / "mini"
    board = make_board(tmp_path / "tiny", criteria=["random"])
    places = ("--data", embedded, "--model", embedded / "encoder")
    assert prunebench("run", board.folder, *places)[0] == 0
    assert "0 done, 0 failed, 2 missing" in prunebench("status", board.folder)[1]
    assert "2 done, 0 failed, 0 missing" in prunebench("status", board.folder, *places)[1]
    assert prunebench("table", board.folder, "--strict")[0] == 2
    assert prunebench("table", board.folder, *places, "--strict")[0] == 0
    record = Board.open(board.folder, {}, data=str(embedded), model=str(embedded / "encoder")).records()[0][0]
    assert (record.spec.data, record.spec.model) == ("files", "encoder")


def test_predicted_text_only_where_it_is_asked_for(tmp_path: Path, finished_board: Board, prunebench: Printed) -> None:
    assert list(finished_board.records_folder.glob("*predictions*")) == []
    board = make_board(tmp_path / "tiny")
    assert prunebench("run", board.folder, "--only", "*dense*", "--save-predictions")[0] == 0
    (kept,) = board.records_folder.glob("*.predictions.json.gz")
    assert len(json.loads(gzip.decompress(kept.read_bytes()))) == 24


def test_a_failed_cell_is_exit_code_1_and_the_others_finish(tmp_path: Path, prunebench: Printed) -> None:
    plugin = tmp_path / "broken.py"
    plugin.write_text(NOT_FINITE)
    board = make_board(tmp_path / "tiny", criteria=[str(plugin), "random"])
    code, printed = prunebench("run", board.folder)
    assert code == 1
    assert "2 cells run, 0 done before, 1 failed." in printed
    assert f"FAILED glue/sst2 {plugin} 0.5 seed 0: criterion '{plugin}' breaks its contract: Broken gives " in printed
    assert "failed" in (board.folder / "table.md").read_text()
    code, printed = prunebench("status", board.folder)
    assert code == 0
    assert "glue/sst2: 2 done, 1 failed, 0 missing" in printed
    assert "FAILED glue/sst2" in printed
    code, printed = prunebench("run", board.folder)
    assert code == 1
    assert (
        f"FAILED before, left alone: glue/sst2 {plugin} 0.5 seed 0: criterion '{plugin}' breaks its contract: Broken gives "
        in printed
    )
    assert "--retry-failed tries them again." in printed
    plugin.write_text(NOT_FINITE.replace('weight * float("nan")', "weight.abs()"))
    load.cache_clear()
    _breach.cache_clear()  # both are a process's own: the next command of a user starts afresh
    code, printed = prunebench("run", board.folder, "--retry-failed")
    assert code == 0
    assert "1 cell run, 2 done before, 0 failed." in printed
    assert board.failures() == {}
    assert list(board.records_folder.glob("*.failed.json")) == []


def test_records_that_cannot_be_read_are_reported_and_made_again(tmp_path: Path, prunebench: Printed) -> None:
    """An empty one and half of one; a file that is no cell's is named and left."""
    board = make_board(tmp_path / "tiny", criteria=["random"])
    board.records_folder.mkdir()
    paths = [record_path(board.records_folder, spec.id) for spec in board.suite.cells()]
    for path, content in zip(paths, ("", '{"schema": 1'), strict=True):
        path.write_text(content)
    stray = board.records_folder / "mine.json"
    stray.write_text("not yours")
    code, printed = prunebench("status", board.folder)
    assert all(f"unreadable, not counted: {path}: not a readable record" in printed for path in paths)
    assert "in all 0 of 2 done; time left unknown until a cell is done" in printed
    code, printed = prunebench("run", board.folder)
    assert code == 0
    assert all(f"unreadable, made again: {path}: not a readable record" in printed for path in paths)
    assert f"unreadable, not counted: {stray}: not a readable record" in printed
    assert "2 cells run, 0 done before, 0 failed." in printed
    assert stray.read_text() == "not yours"
    printed = prunebench("status", board.folder)[1]
    assert not any(str(path) in printed for path in paths)


def test_an_interrupted_run_says_how_to_go_on(
    tmp_path: Path, prunebench: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmark.commands.run, "pick_engine", lambda *_: interrupt)
    code, printed = prunebench("run", make_board(tmp_path / "tiny").folder)
    assert code == 130
    assert "prunebench: interrupted; what is done is saved, run the same command to go on" in printed


# Refused before anything runs.


def test_a_wrong_suite_is_exit_code_2(tmp_path: Path, prunebench: Printed) -> None:
    (tmp_path / "suite.yaml").write_text(json.dumps(TINY | {"sparsities": [1.5]}))
    for command in ("run", "status", "table"):
        code, printed = prunebench(command, tmp_path)
        assert code == 2
        assert printed.startswith(
            f"prunebench: {tmp_path / 'suite.yaml'}: sparsities.0: found 1.5: expected less than 1"
        )
    assert [path.name for path in tmp_path.iterdir()] == ["suite.yaml"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "--only", "a*", "--only", "b*"), "--only is given 2 times: expected once"),
        (("run", "--jobs", "1", "--jobs=2"), "--jobs is given 2 times"),
        (("status", "--data", "mini", "--model", "mini", "--data", "hub"), "--data is given 2 times"),
        (("table", "--format", "csv", "--format", "csv", "--format", "json"), "--format is given 3 times"),
    ],
)
def test_an_option_of_one_value_is_given_once(
    tmp_path: Path, prunebench: Printed, words: tuple[str, ...], said: str
) -> None:
    """What may be repeated, and flags, may."""
    folder = make_board(tmp_path / "tiny").folder
    code, printed = prunebench(words[0], folder, *words[1:])
    assert (code, said in printed) == (2, True)
    code, printed = prunebench(
        "table", folder, "--only", "*", "--only", "*0.5*", "--set", "title=x", "--set", "seeds=[1]", "--strict"
    )
    assert "is given" not in printed


def test_data_that_is_not_here_is_missed_by_who_runs_not_by_who_looks(tmp_path: Path, prunebench: Printed) -> None:
    (tmp_path / "suite.yaml").write_text(json.dumps(TINY | {"data": "missing/folder", "model": "./missing"}))
    code, printed = prunebench("run", tmp_path)
    assert code == 2
    assert "data: no folder 'missing/folder' (looked beside the suite and below the working direc" in printed
    for command in ("status", "table"):
        code, printed = prunebench(command, tmp_path)
        assert code == 0
        assert "missing" in printed
    assert [path.name for path in tmp_path.iterdir()] == ["suite.yaml"]


@pytest.mark.parametrize(
    "words",
    [
        ("status", "{}"), ("table", "{}"), ("table", "{}", "{other}"), ("report", "{}"), ("statistics", "{}"), ("doctor", "{}"),
        ("verify", "{}"), ("run", "{}"), ("plot", "{}", "--format", "svg"), ("merge", "{}", "{other}"),
    ],
)  # fmt: skip
def test_a_board_may_be_named_by_its_suite(
    words: tuple[str, ...], finished_board: Board, tmp_path: Path, prunebench: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    board = shutil.copytree(finished_board.folder, tmp_path / "board")
    other = shutil.copytree(finished_board.folder, tmp_path / "other")
    code, printed = prunebench(*(word.format(board / "suite.yaml", other=other / "suite.yaml") for word in words))
    assert code == 0, printed
    monkeypatch.chdir(board)
    assert prunebench("status", "suite.yaml")[0] == 0


def test_no_board_is_exit_code_2(tmp_path: Path, prunebench: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, printed = prunebench("run", tmp_path)
    assert code == 2
    assert printed.startswith(f"prunebench: {tmp_path}: no board there: expected a folder with a suite.yaml")
    assert "prunebench new board" in prunebench("run", tmp_path / "nothing")[1]


def test_a_device_that_is_not_there_is_refused_before_anything_runs(
    tmp_path: Path, prunebench: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    board = make_board(tmp_path / "tiny")
    code, printed = prunebench("run", board.folder, "--device", "cuda")
    assert code == 2
    assert (
        printed == "prunebench: device 'cuda' was asked for, but torch finds no CUDA device here; choices: auto, cpu\n"
    )
    code, printed = prunebench("run", board.folder, "--device", "gpu")
    assert code == 2
    assert "Invalid value for '--device'" in printed
    assert not board.records_folder.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("rum {}", "No such command 'rum'"),
        ("run", "Missing argument 'BOARD'"),
        ("run {} --onyl x", "No such option"),
        ("table {} --format pdf", "is not one of"),
    ],
)
def test_wrong_usage_is_exit_code_2(finished_board: Board, prunebench: Printed, arguments: str, said: str) -> None:
    code, printed = prunebench(*arguments.format(finished_board.folder).split())
    assert code == 2
    assert said in printed


# Tables.


def test_table_and_status_train_nothing(
    finished_board: Board, prunebench: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.engine.cell.run", lambda *_: pytest.fail("it trained"))
    code, printed = prunebench("status", finished_board.folder)
    assert code == 0
    assert printed.splitlines() == ["glue/sst2: 3 done, 0 failed, 0 missing", "in all 3 of 3 done; nothing left to run"]
    before = times(finished_board)
    for format in ("text", "markdown", "latex", "html", "csv", "json"):
        code, printed = prunebench("table", finished_board.folder, "--format", format)
        assert code == 0
        assert ("magnitude" if format in ("csv", "json") else "Magnitude") in printed
    assert times(finished_board) == before


@pytest.mark.parametrize(
    "words",
    [
        *(f"table BOARD --format {format}" for format in ("text", "markdown", "latex", "html", "csv", "json")),
        "table BOARD --notes",
        "table BOARD --efficiency",
        "table BOARD --published --layout tasks",
        "statistics BOARD",
        "plot BOARD --output OUT --format svg",
        "report BOARD --output OUT/page.html",
        "site BOARD --output OUT",
        "diagnose BOARD",
    ],
)
@pytest.mark.parametrize("count", [0, 1, 2])
def test_what_shows_results_names_records_that_cannot_be_read(
    finished_board: Board, tmp_path: Path, command: Command, words: str, count: int
) -> None:
    folder = shutil.copytree(finished_board.folder, tmp_path / "board")
    damaged = [record_path(folder / "records", spec.id) for spec in finished_board.suite.cells()[-count:] if count]
    for path in damaged:
        path.write_bytes(path.read_bytes()[:500])
    given = words.replace("BOARD", str(folder)).replace("OUT", str(tmp_path / "out"))
    code, _, err = command(*given.split())
    assert code == 0
    said = [line for line in err.splitlines() if "prunebench" in line]
    assert len(said) == min(count, 1)
    assert all(str(path) in said[0] for path in damaged)
    assert all("as missing" in line for line in said)


def test_every_number_of_a_table_leads_to_its_records(finished_board: Board, prunebench: Printed) -> None:
    _, printed = prunebench("table", finished_board.folder, "--trace")
    assert all(spec.id in printed for spec in finished_board.suite.cells())
    _, printed = prunebench("table", finished_board.folder, "--format", "json")
    assert all(spec.id in printed for spec in finished_board.suite.cells())
    json.loads(printed)


def test_the_table_shows_what_the_records_say(finished_board: Board, prunebench: Printed) -> None:
    record = next(record for record in finished_board.records()[0] if record.spec.criterion == "magnitude")
    _, printed = prunebench("table", finished_board.folder, "--format", "csv")
    assert any(repr(record.score) == cell for row in csv.reader(printed.splitlines()) for cell in row)


def test_table_to_a_file(finished_board: Board, tmp_path: Path, prunebench: Printed) -> None:
    out = tmp_path / "new" / "table.tex"
    code, printed = prunebench("table", finished_board.folder, "--format", "latex", "--output", out)
    assert (code, printed) == (0, "")
    assert r"\begin{tabular}" in out.read_text()


def test_strict_refuses_missing_cells(finished_board: Board, tmp_path: Path, prunebench: Printed) -> None:
    assert prunebench("table", finished_board.folder, "--strict")[0] == 0
    code, printed = prunebench("table", make_board(tmp_path / "tiny").folder, "--strict")
    assert code == 2
    assert printed.startswith("prunebench: ")


def test_an_unfinished_board_has_a_table_too(tmp_path: Path, prunebench: Printed) -> None:
    code, printed = prunebench("table", make_board(tmp_path / "tiny").folder)
    assert code == 0
    assert "Magnitude" in printed


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        *((f"table BOARD --efficiency --format {form}", 0, "0 of 3 finished") for form in ("text", "latex", "json")),
        ("table BOARD --published --layout tasks", 0, "Runs: 0 of 3 finished"),
        ("table BOARD", 0, "Runs: 0 of 3 finished"),
        ("statistics BOARD", 0, "nothing is compared"),
        ("plot BOARD --output OUT", 0, "nothing is drawn: no run of a pruned model has finished yet"),
        ("plot BOARD --output OUT --figure ranks", 2, "no figure 'ranks' of this board; no run of a pruned model has"),
    ],
)
def test_without_a_finished_run_it_is_said(
    tmp_path: Path, prunebench: Printed, words: str, code: int, said: str
) -> None:
    folder = make_board(tmp_path / "tiny").folder
    given = words.replace("BOARD", str(folder)).replace("OUT", str(tmp_path / "out"))
    found, printed = prunebench(*given.split())
    assert found == code
    assert said in printed


# Quick.


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--help"], "A benchmark of pruning criteria"),
        (["run", "--help"], "BOARD"),
        (["list", "criteria"], "principled"),
        (["list"], "self_regularization"),
    ],
)
def test_heavy_libraries_are_not_imported_for_light_commands(arguments: list[str], expected: str) -> None:
    heavy = "torch transformers datasets numpy scipy matplotlib"
    code = (
        "import sys; from benchmark.cli import main\n"
        f"sys.argv = ['prunebench', *{arguments!r}]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print('HEAVY', sorted(set(sys.modules) & set({heavy!r}.split())))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert expected in done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_list_shows_claims_options_and_variants(prunebench: Printed) -> None:
    code, printed = prunebench("list", "criteria")
    assert code == 0
    assert "  principled\n      Keeps the weights whose loss would rise most" in printed
    assert "beta1=0.85 " in printed
    assert "signed=false " in printed
    assert "glue/{cola,sst2," in prunebench("list", "tasks")[1]
    assert "cubic" in prunebench("list", "schedules")[1]
    assert prunebench("list", "criterions")[0] == 2


# The same changes everywhere.


def test_every_command_on_a_board_takes_the_changes_of_run() -> None:
    from typer.main import get_command

    commands = get_command(cli.app).commands  # type: ignore[attr-defined]
    on_a_board = {
        name: {option for parameter in command.params for option in parameter.opts}
        for name, command in commands.items()
        if {"board", "boards"} & {parameter.name for parameter in command.params}
    }
    assert {"run", "table", "statistics", "plot", "report", "merge", "export", "diagnose"} <= set(on_a_board)
    for name, options in on_a_board.items():
        assert {"--set", "--data", "--model"} <= options, name


def test_what_was_run_with_set_is_shown_and_merged_with_set(tmp_path: Path, prunebench: Printed) -> None:
    board, elsewhere = make_board(tmp_path / "tiny"), make_board(tmp_path / "elsewhere")
    changes = ("--set", "training.steps=3", "--model", "mini")
    assert prunebench("run", elsewhere.folder, *changes)[0] == 0
    assert "0 records merged" in prunebench("merge", board.folder, elsewhere.folder)[1]
    assert "3 records merged" in prunebench("merge", board.folder, elsewhere.folder, *changes)[1]
    assert "Runs: 0 of 3 finished" in prunebench("table", board.folder)[1]
    assert "Runs: 3 of 3 finished" in prunebench("table", board.folder, *changes)[1]
    code, printed = prunebench("plot", board.folder, *changes, "--format", "svg")
    assert code == 0
    assert ".svg" in printed
    one = ("--format", "svg", "--width", "page", "--figure", "score-sparsity", "--output", tmp_path / "one")
    assert prunebench("plot", board.folder, *changes, *one)[0] == 0
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["score-sparsity.svg"]
    assert 'width="453.3' in (tmp_path / "one" / "score-sparsity.svg").read_text()
    assert prunebench("report", board.folder, *changes)[0] == 0
    assert "Runs: 3 of 3 finished" in prunebench("table", board.folder, *changes)[1]


# Tables for a paper.


def test_caption_label_and_names_of_a_paper_are_options(finished_board: Board, prunebench: Printed) -> None:
    latex = ("table", finished_board.folder, "--format", "latex")
    key = f"tab:{finished_board.folder.name}"
    assert rf"\label{{{key}}}" in prunebench(*latex)[1]
    assert rf"\label{{{key}-notes}}" in prunebench(*latex, "--notes")[1]
    assert rf"\label{{{key}-glue-sst2}}" in prunebench(*latex, "--only", "glue/sst2")[1]
    assert rf"\label{{{key}-tasks}}" in prunebench(*latex, "--layout", "tasks")[1]
    name = r"labels.random={text: Random, latex: 'Random \citep{lee2019}'}"
    code, out = prunebench(*latex, "--caption", r"Scores of \emph{ours}.", "--label", "tab:mine", "--set", name)
    assert code == 0
    assert all(
        text in out for text in (r"\caption{Scores of \emph{ours}.}", r"\label{tab:mine}", r"Random \citep{lee2019} &")
    )
    assert "citep" not in prunebench("table", finished_board.folder, "--set", name)[1]


@pytest.mark.parametrize(
    ("option", "text", "accepted"),
    [
        ("--caption", "Scores {of ours", False),
        ("--caption", "Scores }of{ ours", False),
        ("--caption", "At $x", False),
        ("--caption", r"A \{ and 5 \$, \emph{ours}, $x_{1}$", True),
        ("--label", "tab:a{b", False),
        ("--label", "two words", False),
        ("--label", "tab:glue_1-a.b", True),
    ],
)
def test_latex_that_would_not_compile_is_refused(
    finished_board: Board, prunebench: Printed, option: str, text: str, accepted: bool
) -> None:
    code, out = prunebench("table", str(finished_board.folder), "--format", "latex", option, text)
    assert (code == 0) == accepted, out
    assert accepted or f"{option.removeprefix('--')}: " in out


@pytest.mark.parametrize("option", ["--caption x", "--label x", "--width page"])
@pytest.mark.parametrize("format", ["text", "markdown", "csv"])
def test_options_of_latex_outside_of_latex_are_refused(
    finished_board: Board, prunebench: Printed, option: str, format: str
) -> None:
    code, out = prunebench("table", finished_board.folder, "--format", format, *option.split())
    assert (code, "add --format latex" in out) == (2, True)


SCORES = [
    "--rows criterion", "--columns task", "--metric all", "--spread sd", "--digits 2", "--average", "--strict",
    "--against best", "--trace",
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "option"),
    [
        *product(
            ["--notes", "--efficiency", "--measure", "--published --layout tasks", "--published --format csv"], SCORES
        ),
        *product(["--notes", "--efficiency", "--measure"], ["--layout tasks", "--published"]),
        *product(["--efficiency", "--published --layout tasks", "--published --format json"], ["--only glue/*"]),
        ("--notes", "--efficiency"),
        ("--notes", "--measure"),
    ],
)
def test_options_that_a_table_would_not_use_are_refused(
    finished_board: Board, prunebench: Printed, kind: str, option: str
) -> None:
    code, out = prunebench("table", finished_board.folder, *kind.split(), *option.split())
    assert code == 2
    assert f"does not use {option.split()[0]}: leave it out\n" in out


@pytest.mark.parametrize(
    "words",
    [
        "--notes --only glue/*", "--notes --format latex --width page --caption x --label tab:a",
        "--efficiency --format markdown --set labels.magnitude=Size", "--published --layout tasks --format csv",
        "--published --digits 2 --only glue/*", "--layout tasks --strict --trace",
    ],
)  # fmt: skip
def test_options_that_a_table_uses(finished_board: Board, prunebench: Printed, words: str) -> None:
    assert prunebench("table", finished_board.folder, *words.split())[0] == 0


def test_a_table_of_some_cells_keeps_the_dense_model_of_their_tasks(finished_board: Board, prunebench: Printed) -> None:
    out = prunebench("table", finished_board.folder, "--only", "*sst2 random*")[1]
    assert ("Dense" in out, "Random" in out, "Magnitude" in out) == (True, True, False)
    code, out = prunebench("table", finished_board.folder, "--only", "glue/rte")
    assert (code, "--only 'glue/rte' matches no cell; tasks: glue/sst2" in out) == (2, True)


def test_records_under_other_settings_are_named_and_where_to_find_how_numbers_were_made(
    finished_board: Board, prunebench: Printed
) -> None:
    out = " ".join(
        prunebench("table", finished_board.folder, "--set", "training.lr=0.5", "--set", "scope=layer")[1].split()
    )
    assert "2 missing runs have records of scope global (here layer), training.lr 0.001 (here 0.5)" in out
    assert "1 missing run has a record of training.lr 0.001 (here 0.5)" in out
    assert "Other settings" not in prunebench("table", finished_board.folder)[1]
    assert "How these numbers were made: prunebench table BOARD --notes" in out
