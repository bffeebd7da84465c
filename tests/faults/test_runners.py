"""Several `prunebench run` on one board: every cell exactly once, whoever dies.

The runners are real processes with real locks; they are forked from one that has imported everything, so that four of them start
at the same moment and in seconds.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.board.board import Board
from benchmark.machine.lock import locked
from tests.benchmark.boards import TINY, facts, finish, make_board, times

NURSERY = """
import os, sys
import benchmark.cli, benchmark.commands, benchmark.engine.local, scipy.stats
from pathlib import Path
from benchmark.board.board import Board
from benchmark.training.run import Options, open_task
from benchmark.commands.views import table_text

def started(folder, number):
    pid = os.fork()
    if pid:
        return pid
    log = os.open(f"{folder}/runner{number}.log", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1), os.dup2(log, 2)
    sys.argv = ["prunebench", "run", folder, "--device", "cpu"]
    try:
        benchmark.cli.main()
    except SystemExit as end:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(end.code or 0)
    os._exit(70)

for line in sys.stdin:
    folder, count = line.rsplit(" ", 1)
    board = Board.open(Path(folder))
    open_task(board.suite.cells()[0], Options(device="cpu")).build(0)  # imported here, it is imported in every runner
    table_text(board, "text"), table_text(board, "markdown")
    pids = [started(folder, number) for number in range(int(count))]
    print(*pids, flush=True)
    print(*[os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids], flush=True)
"""

Nursery = subprocess.Popen[str]


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """A process that has imported everything, and forks runners when it is told to."""
    parent = subprocess.Popen(
        [sys.executable, "-c", NURSERY],
        cwd=Path(__file__).resolve().parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )
    yield parent
    parent.communicate(timeout=60)


def told(nursery: Nursery) -> list[int]:
    """The numbers of its next line: process ids, or how the runners ended."""
    assert nursery.stdout is not None
    return [int(word) for word in nursery.stdout.readline().split()]


def start(nursery: Nursery, board: Board, count: int) -> list[int]:
    """Process ids of that many runners on a board."""
    assert nursery.stdin is not None
    nursery.stdin.write(f"{board.folder} {count}\n")
    nursery.stdin.flush()
    return told(nursery)


def counted(board: Board, number: int) -> tuple[int, int]:
    """(cells run, cells found done) as a runner's last lines say."""
    log = (board.folder / f"runner{number}.log").read_text()
    found = re.search(r"(\d+) cells run, (\d+) were done, 0 failed", log)
    assert found is not None, log
    return int(found[1]), int(found[2])


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Board:
    """A part of the same board, run in this process."""
    board = make_board(tmp_path_factory.mktemp("alone"))
    assert len(finish(board).finished) == 3
    return board


@pytest.mark.parametrize("count", [2, 4])
def test_every_cell_exactly_once(tmp_path: Path, nursery: Nursery, count: int, alone: Board) -> None:
    board = make_board(tmp_path / "board", criteria=["random", "magnitude"], seeds=[0, 1])
    assert len(start(nursery, board, count)) == count
    assert told(nursery) == [0] * count
    cells = board.suite.cells()
    shares = [counted(board, number) for number in range(count)]
    assert sum(run for run, _ in shares) == len(cells) == 6
    assert all(sum(share) == len(cells) for share in shares)
    assert set(times(board)) == {f"{spec.id}.json" for spec in cells}
    assert not list(board.folder.rglob("*.tmp"))
    for spec in alone.suite.cells():
        ours, theirs = (b.records_folder / f"{spec.id}.json" for b in (board, alone))
        assert facts(ours) | {"environment": 0} == facts(theirs) | {"environment": 0}
        assert ours.with_suffix(".npz").read_bytes() == theirs.with_suffix(".npz").read_bytes()


def test_the_lock_of_a_killed_runner_frees_itself(tmp_path: Path, nursery: Nursery) -> None:
    """It is killed while it holds its cell: until then nobody else gets it, and from then on the next one does, at once."""
    board = make_board(tmp_path / "board", training=TINY["training"] | {"steps": 100_000})
    cell = board.suite.cells()[0]
    (pid,) = start(nursery, board, 1)
    began = time.monotonic()
    while not (board.locks / f"{cell.id}.lock").exists() and time.monotonic() - began < 60:
        time.sleep(0.01)
    time.sleep(0.2)  # from the file to the lock on it
    with locked(board.locks, cell.id, wait=False) as mine:
        assert not mine
    os.kill(pid, signal.SIGKILL)
    assert told(nursery) == [-signal.SIGKILL]
    with locked(board.locks, cell.id, wait=False) as mine:
        assert mine
    assert times(board) == {}
    assert board.failures() == {}
