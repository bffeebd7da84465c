"""The local engine: who teaches, and several runners on one board."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

import benchmark.training.teachers
from benchmark.board.board import Board
from benchmark.board.record import record_path
from benchmark.board.weights import read_weights, save_weights
from benchmark.engine.local import run_cells
from benchmark.errors import PrunebenchError
from benchmark.machine.lock import locked
from benchmark.suite.spec import RunSpec
from benchmark.training.run import Options, open_task, train_teacher
from tests.benchmark.boards import CPU, Watched, facts, finish, make_board, times
from tests.benchmark.forked import prunebench

# Teachers.


def test_the_dense_cell_teaches_and_nobody_trains_it_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        pytest.fail("the teacher was trained again")

    monkeypatch.setattr(benchmark.training.teachers, "train_teacher", never)
    board = make_board(tmp_path, regularizers=["none", "distillation"])
    assert len(finish(board).finished) == 5
    dense = board.suite.cells()[0]
    taught = {record.teacher for record in board.records()[0]}
    assert taught == {None, dense.id}


def test_a_lost_teacher_is_trained_once_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[str] = []
    original = train_teacher

    def counted(spec: RunSpec, options: object) -> object:
        trained.append(spec.id)
        return original(spec, options)  # type: ignore[arg-type]

    monkeypatch.setattr(benchmark.training.teachers, "train_teacher", counted)
    board = make_board(tmp_path, regularizers=["distillation"])
    assert len(finish(board, "*distillation*").finished) == 2
    assert trained == [board.suite.cells()[0].id]
    (teacher,) = (board.cache / "teachers").glob("*.safetensors")
    teacher.write_bytes(b"damaged")
    record_path(board.records_folder, board.cells("*random*")[0].id).unlink()
    assert len(finish(board, "*distillation*").finished) == 1
    assert len(trained) == 2


def _renamed(path: Path) -> None:
    save_weights(path.parent, path.stem, {f"renamed.{name}": value for name, value in read_weights(path).items()})


def _reshaped(path: Path) -> None:
    save_weights(path.parent, path.stem, {name: value.flatten()[:3] for name, value in read_weights(path).items()})


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _huge(path: Path) -> None:
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize("damage", [_renamed, _reshaped, _pipe, _endless, _huge])
def test_a_teacher_that_does_not_fit_is_trained_again(
    tmp_path: Path, damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However whole the file is."""
    board = make_board(tmp_path, regularizers=["distillation"])
    dense = board.suite.cells()[0]
    teachers = benchmark.training.teachers.Teachers(board, Options(device="cpu"))
    prepared = open_task(dense, Options(device="cpu"))
    model = prepared.build(dense.seed).state_dict()
    monkeypatch.setattr(benchmark.training.teachers, "train_teacher", lambda *_: model)
    teachers.get(dense, prepared)
    (path,) = teachers.folder.glob("*.safetensors")
    damage(path)
    with pytest.warns(UserWarning, match="set aside as"):
        found = teachers.get(dense, prepared)
    assert found.keys() == model.keys()
    assert read_weights(path, model).keys() == model.keys()
    assert os.path.lexists(path.with_suffix(".damaged"))


@pytest.mark.parametrize("odd", [os.mkfifo, Path.mkdir])
def test_a_lock_that_is_no_ordinary_file_is_set_aside(tmp_path: Path, odd: Callable[[Path], None]) -> None:
    path = tmp_path / "locks" / "x.lock"
    path.parent.mkdir()
    odd(path)
    with locked(path.parent, "x") as mine:
        assert mine
        assert path.is_file()
    assert os.path.lexists(path.with_suffix(".damaged"))


@pytest.mark.parametrize("link", [".cache", ".cache/locks"])
def test_locks_are_not_made_outside_the_board(tmp_path: Path, link: str) -> None:
    (tmp_path / "outside").mkdir()
    place = tmp_path / "board" / link
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path / "outside")
    with (
        pytest.raises(PrunebenchError, match="is a link: locks must lie in the board itself"),
        locked(tmp_path / "board" / ".cache" / "locks", "x"),
    ):
        pass
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_teacher_waits_for_the_dense_cell_of_another_runner(tmp_path: Path) -> None:
    """The lock is that of the dense cell, so that two runners do not train the same model side by side."""
    board = make_board(tmp_path, regularizers=["distillation"])
    dense = board.suite.cells()[0]
    assert finish(board, "*dense*").finished == [dense.id]
    teachers = benchmark.training.teachers.Teachers(board, Options(device="cpu"))
    prepared = open_task(dense, Options(device="cpu"))
    board.locks.mkdir(parents=True, exist_ok=True)
    held = FileLock(board.locks / f"{dense.id}.lock")
    with held:
        order: list[str] = []
        waiting = threading.Thread(target=lambda: order.append(f"taught {len(teachers.get(dense, prepared)) > 0}"))
        waiting.start()
        time.sleep(0.1)
        order.append("released")
    waiting.join(timeout=30)
    assert order == ["released", "taught True"]


# Several runners.


def test_runners_share_a_board_and_one_is_killed(tmp_path: Path, finished_board: Board) -> None:
    """Two runners start together; one is killed as soon as there are two records. The other finishes the board: no cell is
    missing, none is made twice, and the records are those that another process makes, bit for bit."""
    board = make_board(tmp_path, criteria=["random", "magnitude", "sensitivity"], seeds=[0, 1, 2])
    first, second = (prunebench("run", board.folder) for _ in range(2))
    try:
        while len(before := times(board)) < 2 and (first.poll() is None or second.poll() is None):
            time.sleep(0.002)
        first.send_signal(signal.SIGKILL)
        killed = first.communicate(timeout=60)
        survivor = second.communicate(timeout=120)
    finally:
        for process in (first, second):
            process.kill()
    assert first.returncode == -signal.SIGKILL, killed
    assert second.returncode == 0, survivor
    after = times(board)
    assert set(after) == {f"{spec.id}.json" for spec in board.suite.cells()}
    assert {name: after[name] for name in before} == before
    counted = re.search(r"(\d+) cells? run, (\d+) done before, 0 failed", survivor)
    assert counted is not None, survivor
    assert int(counted[1]) + int(counted[2]) == len(after) == 12
    by_the_killed = len(re.findall(r" \d+\.\d+ in \d", killed))
    assert int(counted[1]) in (12 - by_the_killed, 11 - by_the_killed)  # killed between its record and its line
    for spec in finished_board.suite.cells():
        ours, theirs = (record_path(b.records_folder, spec.id) for b in (board, finished_board))
        assert facts(ours) | {"environment": 0} == facts(theirs) | {"environment": 0}
        assert ours.with_suffix(".npz").read_bytes() == theirs.with_suffix(".npz").read_bytes()
    assert finish(board).finished == []
    assert times(board) == after


def test_a_busy_cell_is_left_for_the_end(tmp_path: Path) -> None:
    board = make_board(tmp_path)
    dense, random, magnitude = board.suite.cells()
    board.locks.mkdir(parents=True)
    held = FileLock(board.locks / f"{dense.id}.lock")
    held.acquire()

    class Releasing(Watched):
        def finished(self, spec: RunSpec, score: float, seconds: float) -> None:
            super().finished(spec, score, seconds)
            if len([told for told in self.told if told[0] == "finished"]) == 2:
                held.release()

    watched = Releasing()
    done = run_cells(board, board.cells(), watched, CPU)
    assert set(done.finished[:2]) == {random.id, magnitude.id}  # from a place of its own on
    assert done.finished[2:] == [dense.id]
