"""The desk of the engines: order, teachers, cells of other runners, deaths."""

from pathlib import Path

import pytest

from benchmark.board.board import Board
from benchmark.board.weights import weights_path
from benchmark.engine.scheduler import Desk
from benchmark.errors import PrunebenchError
from benchmark.suite.spec import RunSpec
from tests.benchmark.boards import CPU, Watched, finish, make_board


def taken(desk: Desk) -> list[str]:
    """Cells that can start now, as the tables call them."""
    return [spec.cell.removeprefix("glue/sst2 ") for spec in iter(desk.take, None)]


def open_desk(board: Board) -> tuple[Desk, Watched]:
    watched = Watched()
    return Desk(board, board.cells(), watched, CPU), watched


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """Two seeds, each with a dense cell, a plain one, and one that wants a teacher."""
    return make_board(tmp_path / "board", criteria=["random"], regularizers=["none", "distillation"], seeds=[0, 1])


def test_dense_cells_first_and_students_after_their_teacher(board: Board) -> None:
    desk, watched = open_desk(board)
    assert taken(desk) == ["dense seed 0", "dense seed 1", "random 0.5 seed 0", "random 0.5 seed 1"]
    dense = board.suite.cells()[0]
    desk.hear(["started", dense.id])
    desk.hear(["progress", dense.id, 1, 5, 0.5, 0.0])
    desk.hear(["finished", dense.id, 71.0, 2.0])
    assert taken(desk) == ["random+distillation 0.5 seed 0"]
    assert watched.told == [("started", dense.cell), ("finished", dense.cell)]
    assert desk.done.finished == [dense.id]


def test_a_teacher_that_no_cell_makes_is_made_by_one_student(tmp_path: Path) -> None:
    board = make_board(tmp_path, criteria=["random", "magnitude"], regularizers=["distillation"])
    desk = Desk(board, board.cells("*distillation*"), Watched(), CPU)
    first = desk.take()
    assert first is not None
    assert taken(desk) == []
    path = weights_path(board.cache / "teachers", f"{first.dense().id}-0123456789abcdef")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    assert taken(desk) == ["magnitude+distillation 0.5 seed 0"]


def test_finished_and_failed_cells_are_not_started(board: Board) -> None:
    dense, plain, *_ = board.suite.cells()
    finish(board, dense.cell)
    board.fail(plain, "no reason", "log")
    desk, _ = open_desk(board)
    assert desk.done.standing == [dense.id]
    assert desk.done.left == {plain.id: "no reason"}
    assert not {dense.id, plain.id} & desk.waiting.keys()


def test_a_cell_of_another_runner_is_asked_for_later_and_its_students_wait(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("benchmark.engine.scheduler.time.monotonic", lambda: now[0])
    desk, _ = open_desk(board)
    taken(desk)
    dense = board.suite.cells()[0]
    for pause in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0):
        desk.hear(["busy", dense.id])
        now[0] += pause - 0.01
        assert taken(desk) == []
        now[0] += 0.02
        assert taken(desk) == ["dense seed 0"]
    desk.hear(["standing", dense.id])
    assert taken(desk) == ["random+distillation 0.5 seed 0"]
    assert desk.done.standing == [dense.id]


def test_a_cell_whose_runner_dies_is_started_again_once(board: Board) -> None:
    desk, watched = open_desk(board)
    dense = desk.take()
    assert dense is not None
    desk.hear(["started", dense.id])
    desk.died(dense, "killed")
    assert desk.take() == dense
    desk.hear(["started", dense.id])
    desk.died(dense, "killed again", "the log")
    assert desk.done.failed == {dense.id: "killed again"}
    assert board.failure(dense) == "killed again"
    assert watched.told == [("started", dense.cell), ("failed", dense.cell)]


def test_a_runner_that_was_gone_before_it_began_counts_half(board: Board) -> None:
    """Both processes may be killed at once, and one cell be handed to each of them."""
    desk, _ = open_desk(board)
    first = desk.take()
    assert first is not None
    for _ in range(3):
        desk.died(first, "killed")
        assert desk.take() == first
    desk.died(first, "killed a fourth time")
    assert desk.done.failed == {first.id: "killed a fourth time"}


def test_a_record_that_a_dead_runner_left_counts(board: Board) -> None:
    def leave(spec: RunSpec) -> None:
        desk.hear(["started", spec.id])
        finish(board, spec.cell)

    desk, watched = open_desk(board)
    first, second = desk.take(), desk.take()
    assert first is not None
    assert second is not None
    leave(first)
    desk.died(first, "killed")
    leave(second)
    desk.hear(["standing", second.id])  # its engine started it again by itself
    assert desk.done.finished == [first.id, second.id]
    assert watched.told == [
        ("started", first.cell), ("finished", first.cell), ("started", second.cell), ("finished", second.cell)
    ]  # fmt: skip


def test_trouble_ends_the_run_and_old_news_are_no_news(board: Board) -> None:
    desk, watched = open_desk(board)
    dense, plain, *_ = board.suite.cells()
    desk.hear(["finished", plain.id, 1.0, 1.0])
    assert watched.told == []
    assert desk.take() == dense
    with pytest.raises(PrunebenchError, match="the disk is full"):
        desk.hear(["trouble", dense.id, "the disk is full"])
