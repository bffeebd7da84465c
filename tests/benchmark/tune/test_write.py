"""The tuned suite: what it was tuned on stands in it, every command opens it, and it replaces nothing that would be missed."""

import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmark.board.board import Board
from benchmark.board.record import save_record
from benchmark.commands.new import new
from benchmark.errors import PrunebenchError
from benchmark.suite.read import load_suite
from benchmark.suite.spec import RunSpec
from benchmark.tune.space import described, digest, space_of, start
from benchmark.tune.study import Study, Trial, load_study, save_study, study_path
from benchmark.tune.trial import trial_spec
from benchmark.tune.tune import Search, rows_of, tune
from benchmark.tune.write import HEAD, outcome, require_free, write_tuned
from tasks.formats.sources import MINI
from tests.benchmark.boards import make_board
from tests.benchmark.report.factory import make_record
from tests.command import Command


def tried(board: Board, only: str = "*", trials: int = 1, lr: float = 0.001, data: str = "d") -> Board:
    """The board with studies as tuning leaves them, of which the trial at `lr` is the best; nothing is trained."""
    for row in rows_of(board, only):
        spec = trial_spec(row, Search(trials).seed_for(board))
        space = space_of(spec)
        trial = Trial(point=start(spec, space) | {"lr": lr}, state="done", score=50.0, sparsity=0.5, seconds=1.0)
        study = Study(
            spec=spec.recorded(),
            space=described(space),
            space_hash=digest(space),
            metric="accuracy",
            heldout_examples=5,
            data_fingerprint=data,
            model_fingerprint="m",
            trials=[trial] * trials,
        )
        save_study(study_path(board.folder, spec), study)
    return board


def write(board: Board, folder: Path, trials: int = 1) -> Path:
    """What the command does once all trials are there."""
    return write_tuned(board, outcome(board, trials, 1), folder)


def finished(folder: Path, only: str = "*") -> list[RunSpec]:
    """Cells of the board in `folder`, each with a record now."""
    board = Board.open(folder)
    for spec in board.cells(only):
        save_record(board.records_folder, make_record(spec), b"")
    return board.cells(only)


# What --model and --data replaced.


@pytest.mark.parametrize(
    ("output", "given", "written"),
    [
        ("deep/tuned", {"model": "models/one"}, {"model": "../../models/one"}),
        ("deep/tuned", {"model": "models/../models/one/"}, {"model": "../../models/one"}),
        ("deep/tuned", {"model": "TMP/models/one"}, {"model": "TMP/models/one"}),
        ("deep/tuned", {"model": "models/one.gguf"}, {"model": "../../models/one.gguf"}),
        ("deep/tuned", {"model": "models/one + two"}, {"model": "../../models/one + two"}),
        ("deep/tuned", {"model": "random:models/one"}, {"model": "random:../../models/one"}),
        ("deep/tuned", {"model": "random:random"}, {"model": "random:../../random"}),
        ("deep/tuned", {"model": "org/name"}, {"model": "org/name"}),
        ("deep/tuned", {"model": "mini"}, {"model": "mini"}),
        ("deep/tuned", {"model": "./mini"}, {"model": "../../mini"}),
        (".", {"model": "./mini"}, {"model": "./mini"}),
        ("deep/tuned", {"data": "data"}, {"data": "../../data"}),
        ("deep/tuned", {"data": "TMP/data"}, {"data": "TMP/data"}),
        ("deep/tuned", {"data": "hub"}, {"data": "hub"}),
        ("deep/tuned", {"data": "data", "model": "models/one"}, {"data": "../../data", "model": "../../models/one"}),
    ],
)
def test_the_tuned_suite_has_the_model_and_the_data_of_the_trials(
    output: str,
    given: dict[str, str],
    written: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("models/one", "models/one + two", "mini", "random", "data", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "models/one.gguf").touch()
    monkeypatch.chdir(tmp_path)
    other = {"model": "org/other", "data": "hub"}
    make_board(tmp_path / "tiny", **other, overrides={"glue/*": other, "glue/sst2": {"training": {"steps": 3}}})
    given = {key: place.replace("TMP", str(tmp_path)) for key, place in given.items()}
    board = tried(Board.open(tmp_path / "tiny", data=given.get("data"), model=given.get("model")))
    path = write_tuned(board, outcome(board, 1, 1), tmp_path / output, data=given.get("data"), model=given.get("model"))
    content = yaml.safe_load(path.read_text())
    assert {key: content[key] for key in written} == {
        key: place.replace("TMP", str(tmp_path)) for key, place in written.items()
    }
    monkeypatch.chdir(tmp_path / "elsewhere")
    dense, found = board.cells()[0], Board.open(path.parent).cells()[0]
    assert (found.id, found.training.steps) == (dense.id, 3)
    for key, place in given.items():
        drawn = "random:" * place.startswith("random:")
        folder = tmp_path / place.removeprefix(drawn)
        is_folder = place != "mini" and folder.exists()
        assert getattr(found, key) == (f"{drawn}{folder.resolve()}" if is_folder else place)


def test_what_the_suite_names_from_its_folder_is_named_from_the_new_one(tmp_path: Path) -> None:
    """What it names by an absolute path stays so, and so does what is no place."""
    old, kept = tmp_path / "boards" / "tiny", f"{tmp_path}/ideas/kept.py:Kept[decay=0.5]"
    for kind, name, folder in (
        ("criterion", "kept", tmp_path / "ideas"),
        ("criterion", "beside", old),
        ("schedule", "slow", old),
    ):
        new(kind, name, folder)
    for folder in (old / "model", tmp_path / "data"):
        folder.mkdir()
    suite = {
        "title": "model", "model": "model", "data": "../../data", "schedule": "slow.py",
        "criteria": [kept, "beside.py[decay=0.5]", "magnitude"], "overrides": {"glue/sst2": {"model": "org/name"}},
    }  # fmt: skip
    board = tried(make_board(old, **suite))
    path = write(board, tmp_path / "deep" / "tuned" / "tiny")
    written, rows = yaml.safe_load(path.read_text()), [kept, "../../../boards/tiny/beside.py[decay=0.5]", "magnitude"]
    assert {key: written[key] for key in suite} == {
        "title": "model, tuned", "model": "../../../boards/tiny/model", "data": "../../../data",
        "schedule": "../../../boards/tiny/slow.py", "criteria": [f"{row} + none" for row in rows], "overrides": suite["overrides"],
    }  # fmt: skip
    assert [(cell["row"], cell["criterion"]) for cell in written["tuned"]] == list(zip(rows, rows, strict=True))
    assert [spec.criterion for spec in Board.open(path.parent).cells()] == [spec.criterion for spec in board.cells()]


def test_a_random_model_of_the_suite_is_named_from_the_new_folder(tmp_path: Path) -> None:
    (tmp_path / "tiny/random").mkdir(parents=True)
    board = tried(make_board(tmp_path / "tiny", model="random:random"))
    path = write(board, tmp_path / "tiny-tuned")
    assert yaml.safe_load(path.read_text())["model"] == "random:../tiny/random"
    assert Board.open(path.parent).cells()[0].model == f"random:{tmp_path}/tiny/random"


def test_the_last_printed_command_runs_what_was_tuned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    pytest.importorskip("optuna")
    shutil.copytree(MINI / "encoder", tmp_path / "models/mine")
    shutil.copytree(MINI / "glue/SST-2", tmp_path / "data/glue/SST-2")
    board = make_board(tmp_path / "a board/tiny", labels={"random": "Chance", "magnitude": "Mag"})
    monkeypatch.chdir(tmp_path)
    given = ["--only", "*magnitude*", "--model", "models/mine", "--data", "data"]
    code, printed, _ = command("tune", board.folder, "--trials", "1", *given, "--device", "cpu")
    assert code == 0
    name, *words = shlex.split(printed.strip().split("\n")[-1].rpartition(", ")[2])
    assert name == "prunebench"
    assert command(*words, "--device", "cpu")[0] == 0
    records, problems = Board.open(tmp_path / "a board/tiny-tuned").records()
    assert not problems
    assert {(record.spec.model, record.spec.data) for record in records} == {("mine", "files")}
    (path,) = (board.folder / "tuning").glob("*.json")
    study = load_study(path)
    assert study is not None
    assert {record.data_fingerprint for record in records} == {study.data_fingerprint}
    assert {record.model_fingerprint for record in records} == {study.model_fingerprint}


@pytest.mark.parametrize("kind", ["data", "model"])
def test_rows_that_were_tuned_on_different_sources_make_no_board(kind: str, tmp_path: Path) -> None:
    board = tried(make_board(tmp_path / "tiny"))
    first, second = (study_path(board.folder, trial_spec(spec, 1)) for spec in rows_of(board))
    study = load_study(second)
    assert study is not None
    save_study(second, study.model_copy(update={f"{kind}_fingerprint": "other"}))
    with pytest.raises(PrunebenchError, match=f"{first} and {second}: their trials had different {kind} of glue/sst2"):
        outcome(board, 1, 1)


# What a tuned suite replaces.


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ("studies in ../e1/bb;", ""),
        ("studies in bb;", ""),  # as older versions wrote it
        ("studies in ../e2/bb;", "holds the tuned rows of another board, ../e2/bb"),
        ("studies in ./bb;", "holds the tuned rows of another board, ./bb"),
        ("studies in cc;", "holds the tuned rows of another board, cc"),
        (None, "is a suite that tuning did not write"),
    ],
)
def test_only_the_suite_of_the_same_board_is_replaced(head: str | None, reason: str, tmp_path: Path) -> None:
    board = tried(make_board(tmp_path / "e1/bb"))
    path = write(board, tmp_path / "tt")
    first, _, rest = path.read_text().partition("\n")
    assert "studies in ../e1/bb;" in first
    text = rest if head is None else f"{first.replace('studies in ../e1/bb;', head)}\n{rest}"
    path.write_text(text)
    if not reason:
        require_free(board, path.parent, Search(1))
        assert write(board, path.parent) == path
        assert path.read_text() == f"{first}\n{rest}"
        return
    for refused in (lambda: require_free(board, path.parent, Search(1)), lambda: write(board, path.parent)):
        with pytest.raises(PrunebenchError) as caught:
            refused()
        assert f"{path} {reason}; {board.folder} needs another folder: choose one by --output" in str(caught.value)
    assert path.read_text() == text


@pytest.mark.parametrize("name", ["tiny", "ti ny: {board}", "ti\u00e4ny", "ti\nny", "ti\u2028ny"])
def test_a_board_is_the_same_by_whatever_path_and_wherever_both_were_moved(name: str, tmp_path: Path) -> None:
    board = tried(make_board(tmp_path / "here" / name))
    inside = write(board, board.folder / "tuned")
    path = write(board, tmp_path / "here/tuned")
    (tmp_path / "link").symlink_to(tmp_path / "here")
    assert write(Board.open(tmp_path / "link" / name), tmp_path / "link/tuned").samefile(path)
    assert write(board, inside.parent) == inside
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert write(Board.open(tmp_path / "there" / name), tmp_path / "there/tuned").exists()


@pytest.mark.parametrize(
    ("run", "trials", "lr", "only", "early", "late"),
    [
        ("*", 1, 0.001, "*", "", ""),  # the same again
        ("*dense*", 2, 0.002, "*", "", ""),  # only the dense row was finished, and it stays
        ("*random*", 1, 0.002, "*magnitude*", "", "glue/sst2 random (tuned) 0.5 seed 0"),  # the row is gone
        ("*random*", 1, 0.002, "*", "", "glue/sst2 random (tuned) 0.5 seed 0"),  # other options were found
        ("*random*", 2, 0.001, "*", "glue/sst2 random (tuned) 0.5 seed 0", "glue/sst2 random (tuned) 0.5 seed 0"),
        ("*magnitude*", 1, 0.002, "*random*", "", "glue/sst2 magnitude (tuned) 0.5 seed 0"),
    ],
)
@pytest.mark.parametrize("opens", [True, False])
def test_finished_cells_are_not_left_without_their_suite(
    run: str, trials: int, lr: float, only: str, early: str, late: str, opens: bool, tmp_path: Path
) -> None:
    board = tried(make_board(tmp_path / "tiny"))
    path = write(board, tmp_path / "tt")
    (spec,) = finished(path.parent, run)[-1:]
    if not opens:  # as older versions could write it
        path.write_text(path.read_text() + "labels: {wanda: Wanda}\n")
    text = path.read_text()
    shutil.rmtree(board.folder / "tuning")
    tried(board, only, trials, lr)
    for said, call in (
        (early, lambda: require_free(board, path.parent, Search(trials))),
        (late, lambda: write(board, path.parent, trials)),
    ):
        if not said:
            call()
            continue
        with pytest.raises(PrunebenchError) as caught:
            call()
        assert f"the new suite would not have these finished cells: {said} ({spec.id}); choose another folder" in str(
            caught.value
        )
    assert (path.read_text() == text) == bool(late or (opens and trials == 1))
    assert {entry.name for entry in path.parent.iterdir()} <= {"suite.yaml", "records"}


def test_of_many_finished_cells_a_few_are_named(tmp_path: Path) -> None:
    board = make_board(tmp_path / "tiny", seeds=[0, 2, 3, 4])
    path = write_tuned(tried(board, trials=5), outcome(board, 5, 5), tmp_path / "tt")
    finished(path.parent)
    with pytest.raises(PrunebenchError, match=r"\) and 3 more; choose another folder for it by --output"):
        require_free(board, path.parent, Search(2))


# Every command opens it.

LABELS = {"random": "Chance", "magnitude": "Mag"}


@pytest.mark.parametrize(
    ("only", "suite", "kept"),
    [
        ("*magnitude*", {"labels": LABELS}, ["magnitude"]),
        ("*", {"labels": LABELS}, ["magnitude", "random"]),
        ("*magnitude*", {"labels": {"random": "Chance"}}, []),
        ("*magnitude*", {"labels": {}}, []),
        (
            "*magnitude*",
            {"labels": {"dense": "Full", "mini": "Tiny", "glue/sst2": "SST"}},
            ["dense", "glue/sst2", "mini"],
        ),
        (
            "glue/sst2",
            {"tasks": ["glue/sst2", "glue/rte"], "labels": {"glue/rte": "R", "glue/sst2": "S"}},
            ["glue/sst2"],
        ),
        (
            "*sensitivity*",
            {
                "criteria": ["random", "sensitivity[beta1=0.90]"],
                "labels": {"random": "R", "sensitivity[beta1=0.900]": "P"},
            },
            ["sensitivity[beta1=0.900]"],
        ),
        (
            "*distillation*",
            {
                "criteria": ["magnitude", "random + distillation"],
                "labels": {"random + distillation": "RD", "distillation": "D", "random": "R", "magnitude": "M"},
            },
            ["distillation", "random", "random + distillation"],
        ),
        (
            "*random 0.5*",
            {
                "criteria": ["random", "magnitude"],
                "regularizers": ["none", "distillation"],
                "labels": {"magnitude + distillation": "MD", "distillation": "D", "random": "R"},
            },
            ["random"],
        ),
        (
            "*by layer*",
            {
                "methods": {"by layer": {"criterion": "magnitude", "scope": "layer"}, "other": {"criterion": "random"}},
                "criteria": ["by layer", "other"],
                "labels": {"by layer": {"text": "Layers", "latex": "$L$"}, "other": "Other"},
            },
            ["by layer"],
        ),
        (
            "glue/sst2",
            {"tasks": ["glue/sst2", "glue/rte"], "overrides": {"glue/rte": {"sparsities": [0.8]}}, "labels": {}},
            [],
        ),
    ],
)
def test_labels_name_what_is_left(only: str, suite: dict[str, Any], kept: list[str], tmp_path: Path) -> None:
    board = tried(make_board(tmp_path / "tiny", **suite), only)
    path = write(board, tmp_path / "tt")
    written = yaml.safe_load(path.read_text())
    assert sorted(written["labels"]) == kept
    assert all(label == suite["labels"][key] for key, label in written["labels"].items())
    found = Board.open(path.parent)
    assert len(found.suite.labels) == len(kept)
    assert {spec.cell for spec in found.cells()} == {
        spec.cell if spec.is_dense else spec.cell.replace(spec.row, f"{spec.row} (tuned)", 1)
        for spec in board.cells()
        if spec.task in found.suite.tasks and (spec.is_dense or spec in rows_of(board, only))
    }


def test_labels_of_rows_that_set_replaced_are_left_out(tmp_path: Path) -> None:
    make_board(tmp_path / "tiny", labels=LABELS)
    changes = {"criteria": ["magnitude"], "labels.magnitude": "M"}
    board = tried(Board.open(tmp_path / "tiny", changes))
    path = write_tuned(board, outcome(board, 1, 1), tmp_path / "tt", changes)
    assert {name: label.text for name, label in load_suite(path).labels.items()} == {"magnitude": "M"}


def test_a_suite_that_would_not_open_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = tried(make_board(tmp_path / "tiny", labels=LABELS), "*magnitude*")
    monkeypatch.setattr("benchmark.tune.write._still_named", lambda labels, _: labels)
    with pytest.raises(PrunebenchError, match=f"not written: {tmp_path}/tt/suite.yaml: labels: .*'random' is nothing"):
        write(board, tmp_path / "tt")
    assert list((tmp_path / "tt").iterdir()) == []


# Too few examples to hold any out.

FEW = "is less than one example: expected 10 examples or more, or a larger heldout"


@pytest.mark.parametrize(
    ("suite", "examples", "share"),
    [
        ({"training": {"steps": 2, "train_examples": 4}}, 4, "0.25"),
        ({"training": {"steps": 2, "train_examples": 9}}, 9, "0.112"),
        ({"overrides": {"glue/sst2": {"training": {"train_examples": 4}}}}, 4, "0.25"),
        ({"overrides": {"glue/*": {"training": {"train_examples": 7}}}, "selection": "best_dev"}, 7, "0.143"),
        ({"training": {"steps": 2, "train_examples": 4}, "heldout": 0.25}, 4, ""),
        ({"training": {"steps": 2, "train_examples": 10}}, 10, ""),
    ],
)
def test_a_share_of_less_than_one_example_is_said_before_anything_is_tried(
    suite: dict[str, Any], examples: int, share: str, tmp_path: Path
) -> None:
    pytest.importorskip("optuna")
    board = make_board(tmp_path / "tiny", criteria=["random"], **suite)
    if not share:
        tune(board, Search(1, device="cpu"))
        return
    with pytest.raises(PrunebenchError) as caught:
        tune(board, Search(1, device="cpu"))
    assert str(caught.value) == (
        f"glue/sst2: trials are scored on held-out training examples: heldout 0.1 of {examples} training examples {FEW}"
    )
    assert not (board.folder / "tuning").exists()
    make_board(
        board.folder, criteria=["random"], heldout=float(share), **{k: v for k, v in suite.items() if k != "selection"}
    )


def test_data_of_a_few_examples_are_no_failed_trials(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    shutil.copytree(MINI / "glue/SST-2", tmp_path / "data/glue/SST-2")
    train = tmp_path / "data/glue/SST-2/train.tsv"
    train.write_text("".join(train.read_text().splitlines(keepends=True)[:7]))
    board = make_board(tmp_path / "tiny", criteria=["random"], data=str(tmp_path / "data"))
    with pytest.raises(
        PrunebenchError, match=f"glue/sst2: trials are scored .* heldout 0.1 of 6 training examples {FEW}"
    ):
        tune(board, Search(2, device="cpu"))
    assert not (board.folder / "tuning").exists()


@pytest.mark.parametrize(("seeds", "seed"), [([0], 1), ([4, 2], 5), ([2**32 - 1], 0), ([0, 1, 2**32 - 1], 2)])
def test_the_seed_of_trials_is_one_that_the_board_does_not_have(seeds: list[int], seed: int, tmp_path: Path) -> None:
    assert Search(1).seed_for(make_board(tmp_path / "tiny", seeds=seeds)) == seed


def test_older_heads_name_the_folder_alone() -> None:
    """Of suites that are published: the line must stay as it is, or they could not be replaced by their own board."""
    line = "# Written by `prunebench tune` from the studies in minilm-tuning; tune again rather than edit.\n"
    assert HEAD.format(board="minilm-tuning") == line
