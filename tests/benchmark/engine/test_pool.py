"""Several processes at one board: the same records as one process makes, whoever is killed."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmark.board.board import Board
from benchmark.engine.pool import PoolEngine
from benchmark.suite.spec import RunSpec
from benchmark.training.train import Progress
from tests.benchmark.boards import CPU, Watched, make_board
from tests.benchmark.engine.deadly import DEADLY
from tests.benchmark.engine.same import left_behind, same
from tests.benchmark.forked import CONTEXT, Forked, prunebench


class Killing(Watched):
    """Kills all processes as soon as `victim` is on its way, `times` times."""

    def __init__(self, victim: RunSpec, times: int) -> None:
        super().__init__()
        self.victim, self.times, self.killed = victim, times, 0

    def started(self, spec: RunSpec) -> Progress:
        super().started(spec)

        def progress(*_: float) -> None:
            if spec == self.victim and self.killed < self.times:
                self.killed += 1
                for child in multiprocessing.active_children():
                    child.kill()

        return progress


@pytest.fixture
def _forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's processes are forked from one that has imported everything, instead of importing it themselves."""
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: CONTEXT)


@pytest.mark.usefixtures("_forked")
def test_the_same_records_as_one_process_though_all_processes_are_killed_on_the_way(
    tmp_path: Path, finished_board: Board
) -> None:
    board = make_board(tmp_path)
    watched = Killing(board.suite.cells()[1], times=1)
    done = PoolEngine(2)(board, board.cells(), watched, CPU)
    assert watched.killed == 1
    assert sorted(done.finished) == sorted(spec.id for spec in board.suite.cells())
    assert same(board, finished_board)
    assert left_behind(board) == []
    assert sorted(watched.told) == sorted(
        (kind, spec.cell) for kind in ("started", "finished") for spec in board.suite.cells()
    )
    again = PoolEngine(2)(board, board.cells(), Watched(), CPU)
    assert (again.finished, len(again.standing)) == ([], 3)


@pytest.mark.usefixtures("_forked")
def test_a_cell_that_kills_its_process_twice_has_failed(tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text(DEADLY)
    board = make_board(tmp_path, criteria=["deadly.py", "random"])
    deadly = next(spec for spec in board.suite.cells() if "deadly" in spec.criterion)
    done = PoolEngine(2)(board, board.cells(), Watched(), CPU)
    assert len(done.finished) == 2
    assert "SIGKILL" in done.failed[deadly.id]
    assert "SIGKILL" in (board.failure(deadly) or "")


@pytest.fixture
def long_run(tmp_path: Path) -> Iterator[tuple[Board, Forked]]:
    """`prunebench run --jobs 2` at cells that take long, in a session of its own as a terminal would give it."""
    board = make_board(
        tmp_path, training={"steps": 4000, "batch_size": 8, "lr": 0.001, "max_length": 32, "eval_examples": 24}
    )
    process = prunebench("run", board.folder, "--jobs", 2, "--device", "cpu", "--checkpoint-minutes", 0.01)
    yield board, process
    with_children = [*psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
    for each in (*with_children, process):
        each.kill()


def test_ctrl_c_saves_all_cells_and_ends_all_processes(long_run: tuple[Board, Forked]) -> None:
    board, process = long_run
    workers = at_work(board, process)
    now = time.time() - 0.02  # files' times come from a clock that lags by a tick
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "interrupted" in said
    assert "Traceback" not in said
    assert all(saved > now for saved in checkpoints(board))
    assert not any(worker.is_running() for worker in workers)


def test_a_killed_driver_takes_its_processes_with_it(long_run: tuple[Board, Forked]) -> None:
    board, process = long_run
    workers = at_work(board, process)
    process.kill()
    gone, alive = psutil.wait_procs(workers, timeout=60)
    assert (len(gone), alive) == (2, [])


def at_work(board: Board, process: Forked) -> list[psutil.Process]:
    """The driver's two processes, once both have saved something."""
    end = time.monotonic() + 120
    while len(checkpoints(board)) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)
    found = [each for each in psutil.Process(process.pid).children() if "spawn_main" in " ".join(each.cmdline())]
    assert len(found) == 2
    return found


def checkpoints(board: Board) -> list[float]:
    """When each was put in its place. One that is being written while the signal arrives is up to date as well."""
    return [path.stat().st_ctime for path in board.checkpoints.glob("*.checkpoint")]
