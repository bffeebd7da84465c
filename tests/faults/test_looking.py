"""Commands that only look at odd boards, from odd places: they end, with one sentence and exit code 2 for what cannot be shown."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from benchmark.board.board import Board
from benchmark.board.outcomes import pack_outcomes
from benchmark.board.record import Record, outcomes_path, save_record
from tests.command import Printed
from tests.faults.boards import finished

LONG = "a" * 300


def rewrite(board: Board, change: Any) -> None:
    """Every record of the board, changed."""
    for spec in board.suite.cells():
        record = change(board.record(spec))
        save_record(board.records_folder, record, outcomes_path(board.records_folder, spec.id).read_bytes())


def no_layers(record: Record) -> Record:
    return replace(record, sparsity=replace(record.sparsity, layers=[]))


def empty_layers(record: Record) -> Record:
    layers = [replace(layer, size=0, zeros=0) for layer in record.sparsity.layers]
    return replace(record, sparsity=replace(record.sparsity, layers=layers, prunable=0, zeros=0))


def one_layer_without_a_name(record: Record) -> Record:
    return replace(record, sparsity=replace(record.sparsity, layers=[replace(record.sparsity.layers[0], name="")]))


def no_curve(record: Record) -> Record:
    return replace(record, curve=[])


def no_loss(record: Record) -> Record:
    return replace(record, curve=[replace(point, loss=None, score=None) for point in record.curve])


def nothing_told(record: Record) -> Record:
    return replace(record, curve=[], floor={}, splits={}, counts={}, environment={}, signatures={})


ODD = (no_layers, empty_layers, one_layer_without_a_name, no_curve, no_loss, nothing_told)


@pytest.mark.parametrize("change", ODD)
@pytest.mark.parametrize("command", ["plot {} --format svg", "report {}"])
def test_figures_of_records_that_lack_something_are_drawn(
    tmp_path: Path, prunebench: Printed, change: Any, command: str
) -> None:
    board = finished(tmp_path / "board")
    rewrite(board, change)
    code, said = prunebench(*command.format(board.folder).split())
    assert (code, "Traceback" in said) == (0, False), said


@pytest.mark.parametrize(
    "outcomes",
    [
        {"x": np.arange(4)},
        {"label": np.arange(4)},
        {"label": np.zeros((4, 2)), "prediction": np.zeros((4, 3))},
        {"start": np.arange(4), "end": np.arange(4)},
    ],
    ids=lambda found: " ".join(found),
)
def test_outcomes_of_another_task_are_told_where_they_are_compared(
    tmp_path: Path, prunebench: Printed, outcomes: dict[str, Any]
) -> None:
    board = finished(tmp_path / "board")
    data = pack_outcomes(outcomes)
    for spec in board.suite.cells():
        record = replace(board.record(spec), outcomes_sha256=hashlib.sha256(data).hexdigest())
        save_record(board.records_folder, record, data)
    code, said = prunebench("table", board.folder, "--against", "best")
    assert code == 2, said
    assert said.count("\n") == 1
    assert "do not fit the task glue/sst2" in said


@pytest.mark.parametrize("words", ["status {}", "table {}", "merge BOARD {}", "verify {}", "new board {}", "report {}"])
def test_a_name_that_no_file_system_holds_is_one_sentence(
    tmp_path: Path, prunebench: Printed, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    board = finished(tmp_path / "board")
    code, said = prunebench(*words.replace("BOARD", str(board.folder)).format(LONG).split())
    assert code == 2, said
    assert said.startswith("prunebench: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("command", ["status", "table", "verify"])
def test_a_current_folder_that_is_gone_is_one_sentence(
    tmp_path: Path, prunebench: Printed, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    code, said = prunebench(command, "board")
    os.chdir(tmp_path)
    assert code == 2, said
    assert said.startswith("prunebench: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "value",
    [
        "seeds: [0x" + "f" * 5000 + "]",
        "seeds: [" + "9" * 5000 + "]",
        "seeds: " + "9" * 5000,
        "sparsities: [0." + "9" * 5000 + "]",
        "sparsities: [.nan]",
        "sparsities: [.inf]",
        "sparsities: [1e9999]",
        "title: " + "[" * 3000,
        "training: {lr: 1" + "0" * 5000 + "}",
        "training: {lr: .nan}",
        "title: 0x" + "f" * 5000,
    ],
    ids=lambda text: text[:24],
)
def test_an_odd_value_in_a_suite_is_one_sentence(tmp_path: Path, prunebench: Printed, value: str) -> None:
    folder = tmp_path / "board"
    folder.mkdir()
    kept = ["tasks: [glue/sst2]", "criteria: [random]", "sparsities: [0.5]", "seeds: [0]", "training: {steps: 5}"]
    key = value.partition(":")[0]
    lines = [line for line in kept if not line.startswith(f"{key}:")]
    (folder / "suite.yaml").write_text("\n".join([*lines, value]) + "\n")
    code, said = prunebench("table", folder)
    assert code == 2, said[:500]
    assert said.startswith(f"prunebench: {folder / 'suite.yaml'}"), said[:500]
    assert len(said) < 600
