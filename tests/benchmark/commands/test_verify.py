"""`verify`: what is sound is called sound, and every kind of damage is named; a rerun is told apart from its record."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from benchmark.board.board import Board
from benchmark.board.outcomes import load_outcomes, pack_outcomes
from benchmark.board.record import outcomes_path, record_path, save_record
from benchmark.board.weights import read_weights, save_weights, weights_path
from benchmark.commands.export import export_cell
from benchmark.commands.new import new
from benchmark.commands.rerun import Rerun, compare
from benchmark.commands.verify import model_findings, of_exported, record_problems, verify_board
from benchmark.commands.verify_outcomes import found_of, rounding_noise
from benchmark.errors import PrunebenchError
from benchmark.training.make_record import RESUMED
from tasks.formats.sources import MINI
from tests.benchmark.boards import finish, make_board
from tests.benchmark.report.factory import make_record, make_spec


def said(board: Board, **options: Any) -> tuple[bool, list[str]]:
    lines: list[str] = []
    return verify_board(board, tell=lines.append, **options), lines


@pytest.fixture
def board(board_copy: Path) -> Board:
    return Board.open(board_copy)


def edit(board: Board, change: Callable[[dict[str, Any]], None], row: str = "*magnitude*") -> str:
    """Somebody changes a record by hand; its id."""
    (spec,) = board.cells(row)
    path = record_path(board.records_folder, spec.id)
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))
    return spec.id


def test_a_sound_board_with_its_weights(board: Board) -> None:
    assert len(list(board.weights_folder.glob("*.safetensors"))) == 3
    assert said(board) == (False, ["3 of 3 cells have a record: 0 wrong, 0 notes"])


def test_a_task_of_a_file_that_is_not_run_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its metrics cannot be made again, which is no damage."""
    (task,) = new("task", "my_task", tmp_path).paths
    finish(make_board(tmp_path / "board", tasks=[str(task)], criteria=["magnitude"]))
    monkeypatch.setenv("PRUNEBENCH_PLUGIN_FILES", "no")
    wrong, lines = said(Board.open(tmp_path / "board"))
    assert not wrong
    assert lines[0].startswith(f"note  {task}: its metrics are not made again")
    assert lines[1:] == ["2 of 2 cells have a record: 0 wrong, 1 note"]


def put(*keys: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(raw: Any) -> None:
        for key in keys[:-1]:
            raw = raw[key]
        raw[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("cost", value=None), "field 'cost'"),
        (put("spec", "seed", value=5), "do not belong together"),
        (put("metrics", "accuracy", value=99.0), "accuracy is 99.0, its outcomes give"),
        (lambda raw: raw.update(metric="mine", metrics={"mine": 1.0}), "lacks accuracy, which its outcomes give"),
        (put("counts", "reported", value=7), r"has shape \(24,\) for 7 reported examples"),
        (put("sparsity", "zeros", value=5), "its layers have"),
        (put("sparsity", "measured", value=0.75), "measured sparsity 0.75 is not"),
        (put("sparsity", "requested", value=0.25), "requested sparsity 0.25, its cell asks for 0.5"),
        (put("sparsity", "met", value=False), "says that it missed its sparsity"),
        (put("sparsity", "layers", 0, "zeros", value=10**6), "has more zeros than weights"),
        (put("teacher", value="0123456789abcdef"), "names 0123456789abcdef as its teacher, expected"),
        (put("selected", "protocol", value="best_dev"), "weights selected by best_dev, its cell asks for last"),
        (put("cost", "steps", value=4), "was trained for 4 steps, its cell asks for 5"),
        (put("data_fingerprint", value="other"), "has another data fingerprint than"),
        (put("outcomes_sha256", value="0" * 64), "checksum differs"),
        (put("lower_is_better", value=["accuracy"]), r"less is better of \['accuracy'\], its task says \[\]"),
        (put("curve", value=[]), "its curve has 0 points, the last of step 0, in a run of 5 steps"),
        (lambda raw: raw["curve"].reverse(), "its curve has 5 points, the last of step 1, in a run of 5 steps"),
        (lambda raw: raw["curve"].pop(), "its curve has 4 points, the last of step 4, in a run of 5 steps"),
        (lambda raw: raw["curve"].append(raw["curve"][-1]), "its curve has 6 points"),
        (put("selected", "step", value=2), "reports the weights of step 2"),
        (put("selected", "score", value=80.0), "reports the weights of step 5"),
        (put("selected", "optimistic", value=True), "says that its selection by last is optimistic"),
        (put("cost", "total_seconds", value=-5.0), "total_seconds is -5.0, expected 0 or more"),
        (put("cost", "step_seconds", value=-0.1), "step_seconds is -0.1, expected 0 or more"),
        (put("cost", "train_seconds", value=1e9), "took 1e[+]09 s to train"),
    ],
)
def test_what_is_off_is_named(board: Board, change: Callable[[dict[str, Any]], None], message: str) -> None:
    run_id = edit(board, change)
    wrong, lines = said(board)
    assert wrong
    assert any(line.startswith("WRONG glue/sst2 magnitude 0.5 seed 0") and run_id in line for line in lines)
    assert any(re.search(message, line) for line in lines), lines
    (other,) = board.cells("*random*")
    assert said(board, cells=[other])[0] is False


def test_outcomes_that_do_not_give_the_metrics(board: Board) -> None:
    """Changed together with their checksum, they still have to give the recorded metrics, in finite numbers."""
    (spec,) = board.cells("*magnitude*")
    path = outcomes_path(board.records_folder, spec.id)
    with np.load(path, allow_pickle=False) as archive:
        outcomes = {name: archive[name].astype(float) for name in archive.files}
    outcomes["label"][0] = np.nan
    data = pack_outcomes(outcomes)
    path.write_bytes(data)
    edit(board, put("outcomes_sha256", value=hashlib.sha256(data).hexdigest()))
    assert "outcome 'label' is not finite" in "\n".join(said(board)[1])


@pytest.mark.parametrize(
    ("pearson", "wrong"),
    [(None, False), (0.0, False), (50.0, True)],
    ids=["as it used to be computed", "as it is computed now", "neither"],
)
def test_a_correlation_of_one_answer_is_a_note_where_it_is_rounding_noise(
    pearson: float | None, wrong: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = np.array([0.0, 1.0, 4.0, 2.0, 5.0, 3.0])
    prediction = np.array([2.5, 2.5, 2.5000002, 2.5, 2.5, 2.5000002], np.float32)
    old = 100 * float(np.corrcoef(prediction.astype(float), label)[0, 1])
    data = pack_outcomes({"prediction": prediction, "label": label})
    record = make_record(
        make_spec(task="glue/stsb"),
        metrics={"pearson": old if pearson is None else pearson, "spearman": 0.0},
        metric="pearson",
        counts={"train": 6, "reported": 6},
        outcomes_sha256=hashlib.sha256(data).hexdigest(),
    )
    outcomes_path(tmp_path, record.id).write_bytes(data)
    board = SimpleNamespace(records_folder=tmp_path, weights_folder=tmp_path)
    problems = [words for words in record_problems(board, found_of(board, record)) if words.startswith("pearson")]  # type: ignore[arg-type]
    notes = list(rounding_noise(found_of(board, record)))  # type: ignore[arg-type]
    assert bool(problems) == wrong
    assert [f"records pearson {old:.2f}, rounding noise" in words for words in notes] == (
        [True] if pearson is None else []
    )


def test_weights_with_other_zeros_and_damaged_ones(board: Board) -> None:
    magnitude, random = board.cells("*magnitude*")[0], board.cells("*random*")[0]
    path = weights_path(board.weights_folder, magnitude.id)
    weights = read_weights(path)
    name = board.record(magnitude).sparsity.layers[0].name
    weights[name][0, :] = 0
    weights["classifier.bias"][0] = float("inf")
    save_weights(board.weights_folder, magnitude.id, weights)
    other = weights_path(board.weights_folder, random.id)
    data = bytearray(other.read_bytes())
    data[-5] ^= 1
    other.write_bytes(data)
    text = "\n".join(said(board)[1])
    assert f"{name} has " in text
    assert "classifier.bias is not finite" in text
    assert f"kept weights {other.name}: its checksum does not hold" in text
    assert other.read_bytes() == data  # verify moves nothing


@pytest.mark.parametrize("target", ["nowhere", "{}.json"])
def test_a_link_to_nothing_in_a_records_place(board: Board, target: str) -> None:
    (spec,) = board.cells("*magnitude*")
    path = record_path(board.records_folder, spec.id)
    path.unlink()
    path.symlink_to(target.format(spec.id))
    wrong, lines = said(board)
    assert wrong
    assert f"WRONG {spec.cell} ({spec.id}): {path.name} is a link to nothing" in lines


def test_strangers_and_orphans_are_notes(board: Board) -> None:
    folder = board.records_folder
    (folder / "notes.txt").write_text("mine")
    (folder / "0123456789abcdef.npz").write_bytes(b"")
    (folder / f"{board.suite.cells()[0].id}.failed.json").write_text("{}")
    (folder / "fedcba9876543210.json").write_text("{")
    alone = Board.open(board.folder, {"criteria": ["random"]})
    wrong, lines = said(alone)
    text = "\n".join(lines)
    assert wrong
    assert "WRONG fedcba9876543210.json: belongs to no cell of this suite, and not a readable record" in text
    (magnitude,) = board.cells("*magnitude*")
    assert f"note  {magnitude.id}.json: belongs to no cell of this suite (glue/sst2 magnitude 0.5 seed 0)" in text
    assert "note  0123456789abcdef.npz: belongs to no record" in text
    assert "failed.json: is of a cell that has been finished since" in text
    assert "note  notes.txt: is nothing that a run leaves" in text
    assert lines[-1] == "2 of 2 cells have a record: 1 wrong, 4 notes"


def test_an_exported_folder_is_verified_against_its_record_and_no_other(board: Board, tmp_path: Path) -> None:
    (spec,) = board.cells("*magnitude*")
    export_cell(board, spec, tmp_path / "model", "cpu")
    (found,) = of_exported(board, tmp_path / "model", None)
    assert not found.wrong
    (off, *_) = of_exported(board, tmp_path / "model", board.cells("*random*"))
    assert off.wrong
    assert "zeros of" in off.words


# Rerun.


def test_a_rerun_gives_the_same_bits_and_touches_nothing(board: Board) -> None:
    before = {path: path.stat().st_mtime_ns for path in board.folder.rglob("*") if path.is_file()}
    (spec,) = board.cells("*magnitude*")
    wrong, lines = said(board, cells=[spec], rerun=Rerun(board, "cpu"))
    assert not wrong
    assert "outcomes are bitwise the same" in lines[0]
    assert {path: path.stat().st_mtime_ns for path in board.folder.rglob("*") if path.is_file()} == before


def test_a_device_that_is_not_there_is_told_before_any_cell(board: Board) -> None:
    with pytest.raises(PrunebenchError, match="unknown device 'tpu'"):
        Rerun(board, "tpu")


def test_a_rerun_that_fails_is_off(board: Board) -> None:
    (spec,) = board.cells("*magnitude*")
    broken = spec.model_copy(update={"model": "/nowhere"})
    finding = Rerun(board, "cpu")(broken, board.record(spec))
    assert finding.wrong
    assert "cannot be run again" in finding.words


RECORD = make_record(make_spec(), 80.0, outcomes_sha256="a" * 64)


ELSEWHERE = replace(RECORD.sparsity, layers=RECORD.sparsity.layers[::-1])
"""The same counts in other layers."""


def again(score: float, **changes: Any) -> Any:
    fields = {"metrics": {"accuracy": score}, "outcomes_sha256": "b" * 64, **changes}
    return SimpleNamespace(record=replace(RECORD, **fields))


OTHER = RECORD.environment | {"torch": "3"}
SAME = {"metrics": {"accuracy": 80.0}, "outcomes_sha256": "a" * 64}


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": {"accuracy": 81.0}},
        {"metrics": {"accuracy": 80.0, "f1": 1.0}},
        {"outcomes_sha256": "b" * 64},
        {"sparsity": ELSEWHERE},
        {"curve": RECORD.curve[1:]},
        {"curve": [replace(RECORD.curve[0], loss=0.123), *RECORD.curve[1:]]},
        {"floor": {}},
        {"splits": {"reported": "the whole test set"}},
        {"counts": {"reported": 10**6}},
        {"notes": ["a sample"]},
        {"signatures": {"bleu": "x"}},
        {"selected": replace(RECORD.selected, step=399)},
        {"teacher": "f" * 16},
        {"cost": replace(RECORD.cost, steps=399)},
    ],
    ids=str,
)
def test_on_the_same_machine_with_the_same_versions_it_is_equal_or_wrong(changes: dict[str, Any]) -> None:
    words, wrong = compare(RECORD, again(80.0, **SAME | changes), [60.0, 100.0])  # whatever its row spreads over
    assert wrong
    named = "steps" if "cost" in changes else next(iter(changes))
    assert f"other {named}" in words
    assert "on the same machine with the same versions" in words


@pytest.mark.parametrize("date", ["2026-11-05", "1970-01-01"])
def test_another_day_is_no_other_machine(date: str) -> None:
    found = again(80.0, **SAME, floor={}, environment=RECORD.environment | {"date": date})
    assert compare(RECORD, found, []) == compare(RECORD, again(80.0, **SAME, floor={}), [])


def test_that_a_run_was_resumed_by_other_code_is_not_compared() -> None:
    resumed = replace(RECORD, notes=[*RECORD.notes, f"{RESUMED}: commits a, then b"])
    assert compare(resumed, again(80.0, **SAME), []) == compare(RECORD, again(80.0, **SAME), [])


def test_what_a_run_cost_is_not_compared() -> None:
    cost = replace(RECORD.cost, step_seconds=1e-9, peak_bytes=1)
    assert compare(RECORD, again(80.0, **SAME, cost=cost), []) == (
        "run again: score 80.0000 and outcomes are bitwise the same",
        False,
    )


@pytest.mark.parametrize(
    ("result", "others", "wrong", "words"),
    [
        (again(80.0, **SAME, environment=OTHER), [], False, "bitwise the same"),
        (
            again(80.0, **SAME, environment=OTHER, floor={}),
            [],
            False,
            "the same, but its floor differ; since then changed: torch",
        ),
        (
            again(80.0, **SAME, sparsity=ELSEWHERE, environment=RECORD.environment | {"commit": "f"}),
            [],
            True,
            "but its zeros lie elsewhere; since then changed: commit",
        ),
        (
            again(80.0, **SAME, sparsity=ELSEWHERE, environment=OTHER),
            [],
            False,
            "but its zeros lie elsewhere; since then",
        ),
        (again(80.0, environment=OTHER), [], False, "the same score, other outcomes_sha256"),
        (again(81.0, environment=OTHER), [82.0], False, "inside the spread of its row (+-1.4142 over 2 seeds)"),
        (again(83.0, environment=OTHER), [82.0], True, "off, outside the spread of its row"),
        (again(80.5, environment=OTHER), [], True, "with one seed there is no spread"),
        (again(80.0, data_fingerprint="x"), [], True, "not comparable: its data is not what it was recorded with"),
    ],
)
def test_elsewhere_it_is_bitwise_inside_or_off(result: Any, others: list[float], wrong: bool, words: str) -> None:
    found = compare(RECORD, result, others)
    assert found[1] is wrong
    assert words in found[0]


def test_a_forged_score_does_not_widen_the_spread_it_is_held_against() -> None:
    forged = replace(RECORD, metrics={"accuracy": 99.0})
    words, wrong = compare(forged, again(80.0, environment=OTHER), [79.0, 81.0])
    assert wrong
    assert "outside the spread of its row (+-2.0000 over 3 seeds)" in words


def test_the_spread_is_that_of_the_rows_other_seeds(board: Board) -> None:
    (spec,) = board.cells("*magnitude*")
    assert Rerun(board, "cpu")._scores_of_other_seeds(board.record(spec)) == []


@pytest.mark.parametrize("form", ["labels of the prediction", "another order", "the other way round"])
def test_other_labels_than_another_record_of_the_task(board: Board, form: str) -> None:
    """Outcomes, checksum and metrics that fit each other, of examples that are not those of the other records."""
    (spec,) = board.cells("*magnitude*")
    folder, record = board.records_folder, board.record(spec)
    outcomes = load_outcomes(folder, record)
    changed = {
        "labels of the prediction": {"label": outcomes["prediction"]},
        "another order": {name: values[::-1] for name, values in outcomes.items()},
        "the other way round": {name: 1 - values for name, values in outcomes.items()},
    }
    outcomes |= changed[form]
    data = pack_outcomes(outcomes)
    metrics = {"accuracy": 100 * float((outcomes["prediction"] == outcomes["label"]).mean())}
    digest = hashlib.sha256(data).hexdigest()
    save_record(folder, replace(record, metrics=metrics, outcomes_sha256=digest), data)
    wrong, lines = said(board)
    assert wrong
    assert any("was scored against other labels than" in line for line in lines), lines


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metric": "f1", "metrics": {"f1": 99.0}}, "its headline is f1 99.0, that of its task is accuracy"),
        ({"metric": "f1", "metrics": {"accuracy": 50.0, "f1": 99.0}}, "its headline is f1 99.0"),
    ],
)
def test_a_headline_that_is_not_the_tasks_is_wrong(board: Board, changes: dict[str, Any], words: str) -> None:
    (spec,) = board.cells("*magnitude*")
    folder = board.records_folder
    save_record(folder, replace(board.record(spec), **changes), outcomes_path(folder, spec.id).read_bytes())
    wrong, lines = said(board)
    assert wrong
    assert any(words in line for line in lines), lines


def test_a_metric_that_outcomes_do_not_give_is_named(board: Board) -> None:
    (spec,) = board.cells("*magnitude*")
    folder, record = board.records_folder, board.record(spec)
    more = replace(record, metrics=record.metrics | {"corpus_score": 12.0})
    save_record(folder, more, outcomes_path(folder, spec.id).read_bytes())
    wrong, lines = said(board)
    assert not wrong
    assert any("corpus_score cannot be made again from outcomes" in line for line in lines), lines


# The model's folder.


def of_models(board: Board, **changes: Any) -> list[str]:
    opened = Board.open(board.folder, changes)
    for spec in opened.cells("*magnitude*"):
        save_record(opened.records_folder, make_record(spec), b"x")
    return [str(finding) for finding in model_findings(opened, opened.suite.cells())]


def test_a_model_that_is_not_at_hand_is_noted_once(board: Board) -> None:
    said = of_models(board, model="owner/name", tasks=["glue/sst2", "glue/rte"])
    assert said == ["note  model owner/name: is not at hand and was not looked at (--model FOLDER)"]


def test_data_that_are_not_at_hand_and_another_model_are_notes(board: Board, tmp_path: Path) -> None:
    shutil.copytree(MINI / "encoder", tmp_path / "model")
    (tmp_path / "data").mkdir()
    (absent,) = of_models(board, model=str(tmp_path / "model"), data=str(tmp_path / "data"))
    assert absent.startswith("note  glue/sst2: no train data: looked for")
    (other,) = of_models(board, model=str(tmp_path / "model"))
    assert "changed since this board's records were made" in other
    assert other.startswith("note ")


def test_nothing_is_said_where_nothing_stands(board: Board, tmp_path: Path) -> None:
    opened = Board.open(board.folder, {"model": str(tmp_path), "criteria": ["taylor"]})
    assert list(model_findings(opened, opened.suite.cells())) == []
