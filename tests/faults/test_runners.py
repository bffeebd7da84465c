"""Several `prunebench run` on one board: every cell exactly once, whoever dies.

The runners are real processes with real locks; forked (forked.py), four of them start at the same moment.
"""

import re
import signal
import time
from pathlib import Path

from benchmark.board.board import Board
from benchmark.machine.lock import locked
from tests.benchmark.boards import TINY, facts, make_board, times
from tests.benchmark.forked import Forked, prunebench


def start(board: Board, count: int) -> list[Forked]:
    """That many runners on a board, at the same moment."""
    return [prunebench("run", board.folder, "--device", "cpu") for _ in range(count)]


def counted(runner: Forked) -> tuple[int, int]:
    """(cells run, cells found done) as a runner's last lines say."""
    said = runner.communicate()
    found = re.search(r"(\d+) cells? run, (\d+) done before, 0 failed", said)
    assert found is not None, said
    return int(found[1]), int(found[2])


def test_every_cell_exactly_once(tmp_path: Path, finished_board: Board) -> None:
    board = make_board(tmp_path / "board", criteria=["random", "magnitude"], seeds=[0, 1])
    runners = start(board, 4)
    cells = board.suite.cells()
    shares = [counted(runner) for runner in runners]
    assert [runner.returncode for runner in runners] == [0] * 4
    assert sum(run for run, _ in shares) == len(cells) == 6
    assert all(sum(share) == len(cells) for share in shares)
    assert set(times(board)) == {f"{spec.id}.json" for spec in cells}
    assert not list(board.folder.rglob("*.tmp"))
    for spec in finished_board.suite.cells():
        ours, theirs = (b.records_folder / f"{spec.id}.json" for b in (board, finished_board))
        assert facts(ours) | {"environment": 0} == facts(theirs) | {"environment": 0}
        assert ours.with_suffix(".npz").read_bytes() == theirs.with_suffix(".npz").read_bytes()


def test_the_lock_of_a_killed_runner_frees_itself(tmp_path: Path) -> None:
    """It is killed while it holds its cell: until then nobody else gets it, and from then on the next one does, at once."""
    board = make_board(tmp_path / "board", training=TINY["training"] | {"steps": 100_000})
    cell = board.suite.cells()[0]
    (runner,) = start(board, 1)
    began = time.monotonic()
    while not (board.locks / f"{cell.id}.lock").exists() and time.monotonic() - began < 60:
        time.sleep(0.01)
    time.sleep(0.2)  # from the file to the lock on it
    with locked(board.locks, cell.id, wait=False) as mine:
        assert not mine
    runner.kill()
    runner.communicate()
    assert runner.returncode == -signal.SIGKILL
    with locked(board.locks, cell.id, wait=False) as mine:
        assert mine
    assert times(board) == {}
    assert board.failures() == {}
