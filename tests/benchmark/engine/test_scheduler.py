"""The scheduler of the engines: order, teachers, cells of other runners, deaths."""

from pathlib import Path
from typing import Any

import pytest

from benchmark.board.board import Board
from benchmark.board.weights import weights_path
from benchmark.engine.scheduler import Scheduler, _data_of
from benchmark.errors import PrunebenchError
from benchmark.suite.spec import RunSpec
from tests.benchmark.boards import CPU, Watched, finish, make_board


def taken(scheduler: Scheduler) -> list[str]:
    """Cells that can start now, as the tables call them."""
    return [spec.cell.removeprefix("glue/sst2 ") for spec in iter(scheduler.take, None)]


def open_scheduler(board: Board) -> tuple[Scheduler, Watched]:
    watched = Watched()
    return Scheduler(board, board.cells(), watched, CPU), watched


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """Two seeds, each with a dense cell, a plain one, and one that wants a teacher."""
    return make_board(tmp_path / "board", criteria=["random"], regularizers=["none", "distillation"], seeds=[0, 1])


def test_dense_cells_first_and_students_after_their_teacher(board: Board) -> None:
    scheduler, watched = open_scheduler(board)
    assert taken(scheduler) == ["dense seed 0", "dense seed 1", "random 0.5 seed 0", "random 0.5 seed 1"]
    dense = board.suite.cells()[0]
    scheduler.handle(["started", dense.id])
    scheduler.handle(["progress", dense.id, 1, 5, 0.5, 0.0])
    scheduler.handle(["finished", dense.id, 71.0, 2.0])
    assert taken(scheduler) == ["random+distillation 0.5 seed 0"]
    assert watched.told == [("started", dense.cell), ("finished", dense.cell)]
    assert scheduler.done.finished == [dense.id]


def test_nobody_waits_for_tokens_while_there_is_other_data(tmp_path: Path) -> None:
    """Three workers begin with a task each, a fourth with the next cell; once a cell trains, its data are there for all."""
    board = make_board(tmp_path, tasks=["glue/sst2", "glue/rte", "squad"], criteria=["random"], seeds=[0, 1])
    scheduler = Scheduler(board, board.cells(), Watched(), CPU)
    first = [spec for spec in (scheduler.take() for _ in range(3)) if spec]
    assert sorted(spec.task for spec in first) == ["glue/rte", "glue/sst2", "squad"]
    fourth = scheduler.take()
    assert fourth is not None
    assert fourth == next(spec for spec in board.cells() if spec not in first)
    squad = next(spec for spec in first if spec.task == "squad")
    scheduler.handle(["started", squad.id])
    assert scheduler.unfinished == len(board.cells())
    scheduler.handle(["progress", squad.id, 1, 5, 0.5, 0.0])
    following = [spec.task for spec in iter(scheduler.take, None)]
    left = sum(spec.task == "squad" for spec in board.cells()) - 1
    assert following[:left] == ["squad"] * left
    assert len(following) == len(board.cells()) - 4


def test_of_one_data_set_cells_are_taken_in_order_however_many_read_it(tmp_path: Path) -> None:
    board = make_board(tmp_path, criteria=["random", "magnitude"], seeds=[0, 1])
    scheduler = Scheduler(board, board.cells(), Watched(), CPU)
    assert list(iter(scheduler.take, None)) == board.cells()


@pytest.mark.parametrize(
    ("changes", "apart"),
    [
        ({"task": "glue/rte"}, True),
        ({"data": "elsewhere"}, True),
        ({"model": "another"}, True),
        ({"training": {"max_length": 64}}, True),
        ({"seed": 1}, False),
        ({"criterion": "magnitude"}, False),
        ({"training": {"lr": 1e-3}}, False),
        ({"regularizer": "rdrop"}, False),
    ],
)
def test_what_names_the_tokens_of_a_cell(changes: dict[str, Any], apart: bool) -> None:
    row = {"task": "glue/sst2", "criterion": "random", "sparsity": 0.5}
    plain, other = (RunSpec.model_validate(row | each) for each in ({}, changes))
    assert (_data_of(plain) != _data_of(other)) == apart


def test_a_teacher_that_no_cell_makes_is_made_by_one_student(tmp_path: Path) -> None:
    board = make_board(tmp_path, criteria=["random", "magnitude"], regularizers=["distillation"])
    scheduler = Scheduler(board, board.cells("*distillation*"), Watched(), CPU)
    first = scheduler.take()
    assert first is not None
    assert taken(scheduler) == []
    path = weights_path(board.cache / "teachers", f"{first.dense().id}-0123456789abcdef")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    assert taken(scheduler) == ["magnitude+distillation 0.5 seed 0"]


def test_finished_and_failed_cells_are_not_started(board: Board) -> None:
    dense, plain, *_ = board.suite.cells()
    finish(board, dense.cell)
    board.fail(plain, "no reason", "log")
    scheduler, _ = open_scheduler(board)
    assert scheduler.done.standing == [dense.id]
    assert scheduler.done.failed_before == {plain.id: "no reason"}
    assert not {dense.id, plain.id} & scheduler.waiting.keys()


def test_a_cell_of_another_runner_is_asked_for_later_and_its_students_wait(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("benchmark.engine.scheduler.time.monotonic", lambda: now[0])
    scheduler, _ = open_scheduler(board)
    taken(scheduler)
    dense = board.suite.cells()[0]
    for pause in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0):
        scheduler.handle(["busy", dense.id])
        now[0] += pause - 0.01
        assert taken(scheduler) == []
        now[0] += 0.02
        assert taken(scheduler) == ["dense seed 0"]
    scheduler.handle(["standing", dense.id])
    assert taken(scheduler) == ["random+distillation 0.5 seed 0"]
    assert scheduler.done.standing == [dense.id]


def test_a_cell_whose_runner_dies_is_started_again_once(board: Board) -> None:
    scheduler, watched = open_scheduler(board)
    dense = scheduler.take()
    assert dense is not None
    scheduler.handle(["started", dense.id])
    scheduler.died(dense, "killed")
    assert scheduler.take() == dense
    scheduler.handle(["started", dense.id])
    scheduler.died(dense, "killed again", "the log")
    assert scheduler.done.failed == {dense.id: "killed again"}
    assert board.failure(dense) == "killed again"
    assert watched.told == [("started", dense.cell), ("failed", dense.cell)]


def test_a_runner_that_was_gone_before_it_began_counts_half(board: Board) -> None:
    """Both processes may be killed at once, and one cell be handed to each of them."""
    scheduler, _ = open_scheduler(board)
    first = scheduler.take()
    assert first is not None
    for _ in range(3):
        scheduler.died(first, "killed")
        assert scheduler.take() == first
    scheduler.died(first, "killed a fourth time")
    assert scheduler.done.failed == {first.id: "killed a fourth time"}


def test_a_record_that_a_dead_runner_left_counts(board: Board) -> None:
    def leave(spec: RunSpec) -> None:
        scheduler.handle(["started", spec.id])
        finish(board, spec.cell)

    scheduler, watched = open_scheduler(board)
    first, second = scheduler.take(), scheduler.take()
    assert first is not None
    assert second is not None
    leave(first)
    scheduler.died(first, "killed")
    leave(second)
    scheduler.handle(["standing", second.id])  # its engine started it again by itself
    assert scheduler.done.finished == [first.id, second.id]
    assert watched.told == [
        ("started", first.cell), ("finished", first.cell), ("started", second.cell), ("finished", second.cell)
    ]  # fmt: skip


def test_trouble_ends_the_run_and_old_news_are_no_news(board: Board) -> None:
    scheduler, watched = open_scheduler(board)
    dense, plain, *_ = board.suite.cells()
    scheduler.handle(["finished", plain.id, 1.0, 1.0])
    assert watched.told == []
    assert scheduler.take() == dense
    with pytest.raises(PrunebenchError, match="the disk is full"):
        scheduler.handle(["trouble", dense.id, "the disk is full"])
