"""One cell on its board: interrupted and taken up, out of memory and tried in parts, failed and left alone."""

import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.board.board import Board
from benchmark.board.record import record_path
from benchmark.engine.cell import CellRunner, Settings
from benchmark.engine.events import LAST, Event, EventWatcher, attempt
from benchmark.engine.local import run_cells
from benchmark.errors import DeviceLostError
from benchmark.machine import interrupt
from benchmark.machine.environment import is_device_lost, is_out_of_memory
from benchmark.training import train
from benchmark.training.accumulate import backward as backward_of
from benchmark.training.checkpoint import checkpoint_path
from tests.benchmark.boards import CPU, TINY, Watched, facts, finish, make_board
from tests.benchmark.forked import Forked, prunebench

LONG = TINY["training"] | {"steps": 40}


def prunebench_run(board: Board) -> Forked:
    """`prunebench run` in a process of its own, every step saved."""
    return prunebench("run", board.folder, "--checkpoint-minutes", "0")


def when(condition: Callable[[], bool], process: Forked, patience: float = 60.0) -> None:
    """Wait until something has happened, or the process has ended."""
    ends = time.monotonic() + patience
    while not condition() and process.poll() is None and time.monotonic() < ends:
        time.sleep(0.01)


# Signals.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_saves_its_cell_and_goes_on_there(tmp_path: Path, number: signal.Signals) -> None:
    """Hit in the middle of its training; the exit code is the signal's, and what follows is as if nothing had been."""
    suite = {"criteria": ["principled"], "training": LONG}
    board, calm = make_board(tmp_path / "board", **suite), make_board(tmp_path / "calm", **suite)
    _, pruned = board.suite.cells()
    process = prunebench_run(board)
    when(lambda: checkpoint_path(board.checkpoints, pruned.id).exists(), process)
    process.send_signal(number)
    printed = process.communicate(timeout=60)
    assert process.returncode == 128 + number, printed
    assert "prunebench: interrupted; what is done is saved" in printed
    assert [path.suffix for path in board.checkpoints.iterdir()] == [".checkpoint"]
    again = prunebench_run(board)
    printed = again.communicate(timeout=120)
    assert again.returncode == 0, printed
    assert "taken up at step" in printed
    (step,) = board.record(pruned).cost.resumed
    assert 0 < step < 40
    assert list(board.checkpoints.iterdir()) == []
    finish(calm)
    ours, theirs = (facts(record_path(b.records_folder, pruned.id)) for b in (board, calm))
    assert ours | {"environment": 0} == theirs | {"environment": 0}


def test_the_second_signal_does_not_wait() -> None:
    with interrupt.catching(), interrupt.deferred():
        signal.raise_signal(signal.SIGTERM)
        assert interrupt.pending_signal() == signal.SIGTERM
        with pytest.raises(interrupt.Interrupted):
            signal.raise_signal(signal.SIGTERM)
    assert interrupt.pending_signal() == 0


def test_outside_training_a_signal_ends_at_once_and_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(interrupt.Interrupted) as caught, interrupt.catching():
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == before


# Memory.


def test_out_of_memory_the_cell_runs_once_more_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board, plenty = make_board(tmp_path / "scarce"), make_board(tmp_path / "plenty")
    original, asked = backward_of, []

    def backward(*arguments: Any) -> torch.Tensor:
        asked.append(arguments[-1])
        if arguments[-1] == 1 and len(asked) % 3 == 0:  # in mid-run
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return original(*arguments)

    monkeypatch.setattr(train, "backward", backward)
    watched = Watched()
    done = run_cells(board, board.cells(), watched, CPU)
    assert done.failed == {}
    assert set(asked) == {1, 4}
    assert ("noted", "out of memory: once more, each batch in 4 parts") in watched.told
    monkeypatch.setattr(train, "backward", original)
    finish(plenty)
    for spec in board.suite.cells():
        ours, theirs = board.record(spec), plenty.record(spec)
        assert ours.notes[:-1] == theirs.notes
        assert ours.notes[-1] == "each batch went through the model in 4 parts, for want of memory"
        assert ours.metrics == theirs.metrics  # the embedded model has no dropout
        assert ours.sparsity == theirs.sparsity


def test_out_of_memory_its_teacher_is_trained_in_parts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = backward_of

    def backward(*arguments: Any) -> torch.Tensor:
        if arguments[-1] == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(*arguments)

    monkeypatch.setattr(train, "backward", backward)
    board = make_board(tmp_path, criteria=["magnitude + distillation"])
    done = finish(board, "*distillation*")
    assert done.failed == {}
    assert len(done.finished) == 1


def test_out_of_memory_in_parts_too_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def backward(*_: Any) -> torch.Tensor:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 10 bytes")

    monkeypatch.setattr("benchmark.training.train.backward", backward)
    board = make_board(tmp_path)
    done = finish(board)
    assert len(done.failed) == 3
    assert all("can't allocate memory" in reason for reason in done.failed.values())


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 400 bytes"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_which_errors_are_of_memory(error: Exception, is_memory: bool) -> None:
    assert is_out_of_memory(error) == is_memory


# A lost device.


def lose_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training fails as after a failed assertion in a kernel, and so will all that CUDA is asked for afterwards."""

    def backward(*_: Any) -> torch.Tensor:
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr("benchmark.training.train.backward", backward)
    monkeypatch.setattr("benchmark.machine.environment.is_device_lost", lambda: True)


def test_a_lost_device_is_one_cells_failure_and_not_that_of_all_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_device(monkeypatch)
    board = make_board(tmp_path)
    with pytest.raises(DeviceLostError, match=r"the GPU answers no more after .*device-side assert.*: start again"):
        finish(board)
    assert len([cell for cell in board.suite.cells() if board.failure(cell) is not None]) == 1


def test_a_worker_whose_device_is_lost_says_so_once_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lose_device(monkeypatch)
    board, events = make_board(tmp_path), list[Event]()
    runner = CellRunner(board, EventWatcher(events.append), CPU)
    assert not attempt(runner, board.suite.cells()[0], events.append)
    assert [event[0] for event in events if event[0] in LAST] == ["failed"]


def test_no_device_is_lost_where_none_was_used() -> None:
    assert not is_device_lost()


# Leftovers.


def test_what_a_killed_process_left_is_swept_by_the_next(tmp_path: Path) -> None:
    """By the one that has the cell; what belongs to other cells, which somebody may be writing, stays."""
    board = make_board(tmp_path, criteria=["random"])
    dense, random = board.suite.cells()
    folders = (board.records_folder, board.checkpoints, board.weights_folder, board.cache / "teachers")
    left = [folder / f".{random.id}.json.hpebyoc_.tmp" for folder in folders]
    kept = [folder / f".{random.id}0.json.hpebyoc_.tmp" for folder in folders]
    for path in (*left, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    board.locks.mkdir(parents=True)
    (board.locks / f"{random.id}.lock").touch()
    assert sorted(finish(board).finished) == sorted([dense.id, random.id])
    assert [path for path in left if path.exists()] == []
    assert [path for path in kept if not path.exists()] == []


# Failures.


def test_a_failed_cell_leaves_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would only lead to the same failure."""
    original, steps = backward_of, []

    def backward(*arguments: Any) -> torch.Tensor:
        steps.append(1)
        return original(*arguments) * (float("nan") if len(steps) % 5 == 0 else 1)

    monkeypatch.setattr(train, "backward", backward)
    board = make_board(tmp_path, criteria=["random"])
    done = run_cells(board, board.cells(), Watched(), replace(CPU, checkpoint_minutes=0))
    assert [reason.partition(" at")[0] for reason in done.failed.values()] == ["the loss is nan"] * 2
    assert list(board.checkpoints.iterdir()) == []
    assert Settings().checkpoint_minutes == 10
