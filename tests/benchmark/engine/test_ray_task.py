"""A Ray node that does not share the board's folder works on a copy of its own, which outlives the run."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.board.record import record_path
from benchmark.engine.cell import Settings
from benchmark.engine.ray_task import CellTask, FolderMarker, own_folder, perform
from tests.benchmark.boards import finish, make_board


def test_a_cell_that_the_driver_asks_for_again_is_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its record was deleted at the driver's, or the board there is another one now: what the copy made before is no answer."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    board = make_board(tmp_path / "board", criteria=["random"])
    spec = board.suite.cells()[0]
    sent: list[Any] = []
    mailbox = SimpleNamespace(put=SimpleNamespace(remote=sent.append))
    cell = CellTask(board, spec, Settings(device="cpu"), FolderMarker(tmp_path / "elsewhere", "token"), None)
    finish(
        replace(board, folder=own_folder(board))
    )  # as a task leaves it that is killed before its files are collected
    assert perform(cell, mailbox, {}).last[0] == "finished"
    assert not record_path(board.records_folder, spec.id).exists()
    assert [path for path in (own_folder(board) / "records").iterdir() if path.name.startswith(spec.id)] == []
