"""A job is queued again while a process of its first life goes on: the cell is run once, and leaves one record."""

import os
import time
from pathlib import Path

import psutil

from benchmark.board.board import Board
from benchmark.board.record import record_path
from benchmark.engine.cell import CellRunner, Settings
from benchmark.engine.events import Event, EventWatcher, attempt
from tests.benchmark.boards import finish, make_board
from tests.benchmark.engine.same import left_behind, results
from tests.benchmark.forked import Forked

LONG = {"steps": 200, "batch_size": 8, "lr": 0.001, "max_length": 32, "train_examples": 48, "eval_examples": 24}


def step_daemon(folder: Path) -> None:
    """As slurmstepd or a raylet: starts the process that works, and is killed alone."""
    if os.fork() == 0:
        finish(Board.open(folder), "*dense*")
        os._exit(0)
    os.wait()


def test_the_child_of_a_killed_job_outlives_it(tmp_path: Path) -> None:
    board = make_board(tmp_path / "board", training=LONG)
    dense = board.suite.cells()[0]
    parent = Forked(step_daemon, board.folder)
    child = None
    try:
        while not (board.locks / f"{dense.id}.lock").exists() or not (child := _child(parent.pid)):
            assert parent.poll() is None
            time.sleep(0.02)
        time.sleep(0.2)
        parent.kill()
        parent.communicate()
        assert child.is_running()
        said: list[Event] = []
        again = CellRunner(board, EventWatcher(said.append), Settings(device="cpu"))
        while not said or said[-1][0] == "busy":  # the engine's scheduler asks again, as here
            attempt(again, dense, said.append)
            time.sleep(0.05)
    finally:
        if child is not None and child.is_running():
            child.kill()
        parent.kill()
    assert said[0] == ["busy", dense.id]
    assert said[-1] == ["standing", dense.id]
    written = record_path(board.records_folder, dense.id).stat().st_mtime_ns
    assert finish(board, "*dense*").finished == []
    assert record_path(board.records_folder, dense.id).stat().st_mtime_ns == written
    assert left_behind(board) == []
    here = make_board(tmp_path / "here", training=LONG)
    finish(here, "*dense*")
    assert list(results(here)) == [dense.id]
    assert results(board) == results(here)


def _child(pid: int) -> psutil.Process | None:
    return next(iter(psutil.Process(pid).children()), None)
