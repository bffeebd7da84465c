"""`prunebench new`: what it writes keeps its contract and runs; names are checked; nothing is overwritten."""

import importlib
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from benchmark.board.board import Board
from benchmark.board.outcomes import load_outcomes
from benchmark.commands import new as scaffold
from benchmark.commands.check import verdicts
from benchmark.commands.new import PLURALS, class_name, new
from benchmark.engine.local import run_cells
from benchmark.engine.progress import Silent
from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from tests.benchmark.boards import TINY, write_suite


@pytest.mark.parametrize("kind", PLURALS)
def test_a_new_plugin_keeps_its_contract(kind: str, tmp_path: Path) -> None:
    written = new(kind, "my_idea", tmp_path)
    assert written.paths == (tmp_path / "my_idea.py",)
    found, told = verdicts(str(written.paths[0]))
    assert found == PLURALS[kind]
    assert len(told) > 5
    assert all(one.passed for one in told)
    assert written.next_steps[0] == f"prunebench check {written.paths[0]}"


@pytest.mark.parametrize("kind", PLURALS)
def test_a_new_plugin_shows_its_options_as_they_are_written(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file goes by its file's name, a plugin of a package by its own."""
    monkeypatch.chdir(tmp_path)
    new(kind, "my_idea", Path())
    shown = shown_in(Path("my_idea.py"))
    assert shown.startswith("my_idea.py[")
    registry.configure(PLURALS[kind], shown)
    new(kind, "my_idea", Path(), Path("package"))
    assert shown_in(Path("package/prunebench_my_idea.py")) == shown.replace(".py[", "[")


def shown_in(path: Path) -> str:
    """The plugin with an option, as the docstring of its class shows it."""
    return path.read_text().partition("Options are the fields below: ")[2].partition('."')[0]


def test_new_plugins_run_on_a_board(tmp_path: Path) -> None:
    criterion, regularizer, schedule, task = (new(kind, f"my_{kind}", tmp_path).paths[0] for kind in PLURALS)
    suite = {
        "tasks": [str(task)],
        "criteria": [f"{criterion}[decay=0.5] + {regularizer}"],
        "schedule": f"{schedule}[jumps=2]",
    }
    board = Board.open(write_suite(tmp_path / "board", **suite))
    done = run_cells(board, board.cells(), Silent())
    assert done.failed == {}
    assert len(done.finished) == 2
    labels = load_outcomes(board.records_folder, board.records()[0][0])["label"]
    floors = [record.floor for record in board.records()[0]]
    assert floors == [{"accuracy": 100 * max((labels == answer).mean() for answer in (0, 1))}] * 2


def test_a_new_board_is_valid(tmp_path: Path) -> None:
    written = new("board", "my-board", tmp_path)
    board = Board.open(written.paths[0].parent)
    assert (board.suite.title, board.suite.tasks) == ("my-board", TINY["tasks"])
    assert written.next_steps == (f"prunebench run {tmp_path / 'my-board'}",)


@pytest.mark.parametrize("kind", [*PLURALS, "board"])
def test_next_steps_can_be_pasted_where_a_path_holds_a_space(kind: str, tmp_path: Path) -> None:
    (tmp_path / "my ideas").mkdir()
    written = new(kind, "an_idea", tmp_path / "my ideas")
    place = str(written.paths[0].parent if kind == "board" else written.paths[0])
    steps = [shlex.split(step) for step in written.next_steps]
    assert any(place in step or any(f"[{place}]" in word or word.endswith(place) for word in step) for step in steps)
    assert not any(word.endswith("/my") for step in steps for word in step)


def test_a_new_board_of_decoders_is_run_without_training(tmp_path: Path) -> None:
    written = new("board", "once", tmp_path, llm=True)
    board = Board.open(written.paths[0].parent, {"sparsities": [0.7], "seeds": [0]})
    assert board.suite.tasks == ["lm/wikitext2"]
    done = run_cells(board, board.cells(), Silent())
    assert done.failed == {}
    scores = {record.spec.row: record.metrics["perplexity"] for record in board.records()[0]}
    assert len(scores) == 7
    assert all(record.cost.steps == 0 for record in board.records()[0])
    assert max(scores["dense"], scores["sparsegpt"], scores["wanda"]) < 10 < scores["taylor"] < scores["random"]


@pytest.mark.parametrize("kind", PLURALS)
def test_a_new_package_is_whole(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"scaffolded_{kind}"
    written = new(kind, name, tmp_path, tmp_path / "package")
    assert sorted(path.name for path in written.paths) == sorted(
        ["README.md", "pyproject.toml", f"prunebench_{name}.py", f"test_prunebench_{name}.py"]
    )
    project = tomllib.loads((tmp_path / "package" / "pyproject.toml").read_text())["project"]
    ((group, points),) = project["entry-points"].items()
    assert group == f"prunebench.{PLURALS[kind]}"
    module, _, cls = points[name].partition(":")
    monkeypatch.syspath_prepend(tmp_path / "package")
    assert isinstance(getattr(importlib.import_module(module), cls), type)
    test = (tmp_path / "package" / f"test_prunebench_{name}.py").read_text()
    compile(test, "test.py", "exec")
    assert f"prunebench check {name} --kind {PLURALS[kind]}" in (tmp_path / "package" / "README.md").read_text()


def test_what_is_written_is_clean(tmp_path: Path) -> None:
    for kind in PLURALS:
        new(kind, f"my_{kind}", tmp_path, tmp_path / kind)
    ruff = [sys.executable, "-m", "ruff"]
    if subprocess.run([*ruff, "--version"], capture_output=True).returncode:
        pytest.skip("ruff is not installed")
    options = ["--isolated", "--line-length=135"]
    for command in (["check", "--select=E,F,UP,B"], ["format", "--check"]):
        done = subprocess.run([*ruff, *command, *options, str(tmp_path)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("precious")
    with pytest.raises(PrunebenchError, match=r"mine.py: there already"):
        new("criterion", "mine", tmp_path)
    assert (tmp_path / "mine.py").read_text() == "precious"


@pytest.mark.parametrize("name", ["criterion", "tensor", "state", "none", "step", "dataclass"])
def test_awkward_names_still_work(name: str, tmp_path: Path) -> None:
    path = new("criterion", name, tmp_path).paths[0]
    assert registry.configure("criteria", str(path)).decay == 0.9


def test_a_name_becomes_a_class_name() -> None:
    assert class_name("my_2nd_idea", "", "Criterion") == "My2ndIdea"
    assert class_name("true", "", "Criterion") == "TrueCriterion"


def test_templates_ship_with_the_package() -> None:
    assert scaffold._template("package/pyproject.toml.txt").startswith("[build-system]")
