"""Boards that are moved, removed or led elsewhere while something writes to them; signals and kills at awkward moments."""

import errno
import os
import pkgutil
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from benchmark.board.board import Board
from benchmark.board.record import record_path, save_record
from benchmark.commands.merge import merge
from benchmark.commands.views import plot, write_report
from benchmark.engine.cell import CellRunner, Settings
from benchmark.engine.local import run_cells
from benchmark.engine.progress import Silent
from benchmark.machine import interrupt
from benchmark.machine.atomic import WriteError, write_text
from benchmark.machine.lock import locked
from benchmark.training.checkpoint import checkpoint_path
from tasks.pipeline.whole import holding, write_whole
from tests.benchmark.boards import TINY, make_board
from tests.benchmark.forked import Forked, prunebench
from tests.command import Command
from tests.faults.boards import finished

LONG = TINY["training"] | {"steps": 400}


def when(condition: Callable[[], object], process: Forked) -> None:
    """Wait until something has happened, or the process has ended."""
    ends = time.monotonic() + 100
    while not condition() and process.poll() is None and time.monotonic() < ends:
        time.sleep(0.01)


# Folders.


def moved(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def removed(folder: Path) -> None:
    shutil.rmtree(folder)


def replaced(folder: Path) -> None:
    moved(folder)
    folder.mkdir()


CHANGES = {"moved": moved, "removed": removed, "replaced by another": replaced}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("name", ["file", "records/file", ".cache/deep/er/file"])
def test_nothing_is_made_anew_where_a_folder_was(tmp_path: Path, change: Callable[[Path], None], name: str) -> None:
    folder = tmp_path / "board"
    folder.mkdir()
    with holding(folder):
        write_whole(folder / name, b"1")
        change(folder)
        with pytest.raises(WriteError, match="was moved, removed or replaced meanwhile"):
            write_text(folder / name, "2")
    assert not folder.exists() or list(folder.iterdir()) == []
    write_whole(folder / name, b"3")  # outside the block anybody may make what they like


def test_a_board_that_is_moved_while_a_lock_is_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder goes after it was looked at and before the lock's file is there."""
    board = tmp_path / "board"
    board.mkdir()

    def move(locks: Path) -> None:
        board.rename(tmp_path / "elsewhere")
        locks.mkdir()  # FileNotFoundError: its parent is gone

    monkeypatch.setattr("benchmark.machine.lock.make_folder", move)
    moved = pytest.raises(OSError, match="the folder was moved, removed or replaced meanwhile")
    with holding(board), moved, locked(board / "locks", "0" * 16):
        pass


@pytest.mark.parametrize("jobs", [[], ["--jobs", "2"]], ids=["one process", "two processes"])
def test_a_run_whose_board_is_moved_stops_with_a_sentence(tmp_path: Path, jobs: list[str]) -> None:
    board = make_board(tmp_path / "board", criteria=["magnitude", "taylor", "random"], training=LONG)
    process = prunebench("run", board.folder, "--device", "cpu", *jobs)
    when(lambda: list(board.locks.glob("*.lock")), process)
    board.folder.rename(tmp_path / "elsewhere")
    said = process.communicate(timeout=120)
    assert process.returncode == 2, said
    assert "the folder was moved, removed or replaced meanwhile" in said
    assert "Traceback" not in said
    assert not board.folder.exists()


@pytest.mark.parametrize("place", ["records", ".cache", ".cache/locks", "figures"])
def test_a_link_inside_a_board_is_not_written_through(tmp_path: Path, place: str) -> None:
    board, outside = finished(tmp_path / "board"), tmp_path / "outside"
    other = finished(tmp_path / "other")
    outside.mkdir()
    link = board.folder / place
    shutil.rmtree(link, ignore_errors=True)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside)
    acts: dict[str, Callable[[], object]] = {
        "figures": lambda: plot(board, board.folder / "figures", "svg"),
        "records": lambda: merge(board, [other.folder]),
        ".cache": lambda: run_cells(board, board.cells(), Silent(), Settings(device="cpu")),
        ".cache/locks": lambda: save_below(board),
    }
    for path in () if place in ("records", "figures") else board.records_folder.iterdir():
        path.unlink()
    with pytest.raises((OSError, WriteError), match="a link leads out of"):
        acts[place]()
    assert list(outside.iterdir()) == []


def save_below(board: Board) -> None:
    with holding(board.folder):
        write_text(board.locks / "x.lock", "x")


def test_a_board_that_is_itself_reached_by_a_link_is_written_to(tmp_path: Path) -> None:
    board = finished(tmp_path / "board")
    (tmp_path / "link").symlink_to(board.folder)
    assert plot(Board.open(tmp_path / "link"), tmp_path / "link" / "figures", "svg")
    assert write_report([board], board.folder / "report.html").exists()


def test_a_lock_that_is_a_link_is_refused(tmp_path: Path) -> None:
    board, victim = make_board(tmp_path / "board"), tmp_path / "victim"
    victim.write_text("precious")
    board.locks.mkdir(parents=True)
    (board.locks / f"{board.cells()[0].id}.lock").symlink_to(victim)
    with pytest.raises(WriteError, match="a lock must not be a link"):
        run_cells(board, board.cells(), Silent(), Settings(device="cpu"))
    assert victim.read_text() == "precious"


# Signals.


class Catches:
    """Raises a signal inside its destructor, where Python swallows what the handler raises."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_swallowed_by_a_destructor_stops_the_run_all_the_same(tmp_path: Path) -> None:
    board = make_board(tmp_path / "board")

    class Watching(Silent):
        def finished(self, *_: object) -> None:
            Catches()  # between two cells, where a signal raises at once

    with pytest.raises(interrupt.Interrupted), interrupt.catching():
        run_cells(board, board.cells(), Watching(), Settings(device="cpu"))
    assert len(list(board.records_folder.glob("*.json"))) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_command_that_a_swallowed_signal_met_at_its_end_says_so(
    monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    from benchmark.commands import list as listing

    def lines(*_: object) -> list[str]:
        Catches()
        return []

    monkeypatch.setattr(listing, "catalogue_lines", lines)
    code, _, err = command("list", "criteria")
    assert code == 143
    assert "prunebench: interrupted" in err


@pytest.fixture
def _terminal() -> Iterator[None]:
    """SIGHUP as a shell leaves it, also where the tests themselves run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("_terminal")
def test_a_closed_terminal_is_one_request_however_often_it_is_told() -> None:
    with interrupt.catching(), interrupt.deferred():
        for _ in range(3):
            signal.raise_signal(signal.SIGHUP)
        assert interrupt.pending_signal() == signal.SIGHUP
        with pytest.raises(interrupt.Interrupted) as ended:
            interrupt.raise_if_signalled()
    assert ended.value.code == 129


def test_under_nohup_a_closed_terminal_changes_nothing() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupt.catching():
            signal.raise_signal(signal.SIGHUP)
            assert interrupt.pending_signal() == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("_terminal")
def test_a_run_in_a_terminal_that_is_closed_saves_its_cell(tmp_path: Path) -> None:
    board = make_board(tmp_path / "board", criteria=["magnitude"], training=LONG)
    terminal, of_the_process = os.openpty()
    process = prunebench("run", board.folder, "--device", "cpu", terminal=of_the_process)
    os.close(of_the_process)
    os.set_blocking(terminal, False)
    ends, said = time.monotonic() + 100, b""
    while not re.search(rb"[1-9]\d*/400", said):  # in the middle of its training
        assert time.monotonic() < ends, said
        with suppress(BlockingIOError):
            said += os.read(terminal, 10_000)
        time.sleep(0.02)
    os.close(terminal)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGHUP
    assert list(board.checkpoints.glob("*.checkpoint"))


@pytest.mark.parametrize(
    ("place", "left"),
    [("benchmark.commands.export.write_text", []), ("os.rmdir", ["exported"])],
    ids=["written", "named"],
)
def test_an_export_that_is_ended_leaves_the_whole_folder_or_nothing(
    board_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command, place: str, left: list[str]
) -> None:
    """The signal comes while the last file is written, and while the folder gets its name."""
    original = pkgutil.resolve_name(place)

    def hit(path: Any, *more: Any, **options: Any) -> None:
        if ".exported." in str(path):
            signal.raise_signal(signal.SIGTERM)
        original(path, *more, **options)

    monkeypatch.setattr(place, hit)
    cell, target = Board.open(board_copy).suite.cells()[-1].id, tmp_path / "out" / "exported"
    code, _, err = command("export", board_copy, cell, target)
    assert code == 128 + signal.SIGTERM
    assert "prunebench: interrupted" in err
    assert [path.name for path in target.parent.iterdir()] == left
    assert not left or {"config.json", "model.safetensors", "README.md"} <= {path.name for path in target.iterdir()}


def test_a_merge_that_is_ended_between_two_records_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.commands import merge as merging

    board, other = make_board(tmp_path / "board"), finished(tmp_path / "other")
    written: list[object] = []

    def save(*arguments: Any) -> None:
        signal.raise_signal(signal.SIGTERM)  # in the middle of a record
        written.append(original(*arguments))

    original = save_record
    monkeypatch.setattr(merging, "save_record", save)
    with pytest.raises(interrupt.Interrupted), interrupt.catching():
        merge(board, [other.folder])
    assert len(written) == len(list(board.records_folder.glob("*.npz"))) == 1
    monkeypatch.undo()
    assert len(merge(board, [other.folder]).taken) == 2


# Leftovers of a process that was killed.


def test_a_merge_takes_away_what_a_killed_one_left(tmp_path: Path) -> None:
    board, other = make_board(tmp_path / "board"), finished(tmp_path / "other")
    board.records_folder.mkdir()
    spec = board.suite.cells()[0]
    left = [board.records_folder / f".{spec.id}{ending}.abc123.tmp" for ending in (".json", ".npz")]
    for path in left:
        path.write_text("half")
    assert len(merge(board, [other.folder]).taken) == 3
    assert [path for path in left if path.exists()] == []


def test_a_merge_leaves_a_cell_that_is_being_run(tmp_path: Path) -> None:
    from benchmark.machine.lock import locked

    board, other = make_board(tmp_path / "board"), finished(tmp_path / "other")
    spec = board.suite.cells()[0]
    with locked(board.locks, spec.id):
        found = merge(board, [other.folder])
    assert len(found.taken) == 2
    assert "another process is running it" in found.summary()
    assert not record_path(board.records_folder, spec.id).exists()


def test_a_checkpoint_beside_its_record_is_dropped_and_others_are_kept(tmp_path: Path) -> None:
    board = finished(tmp_path / "board")
    done, missing = board.suite.cells()[:2]
    record_path(board.records_folder, missing.id).unlink()
    board.checkpoints.mkdir(parents=True)
    for spec in (done, missing):
        checkpoint_path(board.checkpoints, spec.id).write_text("x")
    CellRunner(board, Silent(), Settings()).drop_finished_checkpoints()
    assert [path.stem for path in board.checkpoints.iterdir()] == [missing.id]


def test_the_checkpoint_of_a_teacher_that_is_still_missing_is_kept(tmp_path: Path) -> None:
    board = finished(tmp_path / "board", regularizers=["distillation"])
    dense = next(spec for spec in board.suite.cells() if spec.is_dense)
    board.checkpoints.mkdir(parents=True)
    path = checkpoint_path(board.checkpoints, dense.id)
    path.write_text("x")
    runner = CellRunner(board, Silent(), Settings())
    assert dense.id in runner.wanted_teachers
    runner.drop_finished_checkpoints()
    assert path.exists()
    runner.teachers.folder.mkdir(parents=True)
    (runner.teachers.folder / f"{dense.id}-0123456789abcdef.safetensors").write_text("x")
    runner.drop_finished_checkpoints()
    assert not path.exists()


# A board that nothing can be written to.


def test_a_cell_of_a_read_only_board_is_exported(
    board_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its weights were not kept, so it is trained again."""
    from benchmark.commands import export

    board = Board.open(board_copy)
    shutil.rmtree(board.weights_folder)
    before = sorted(board.folder.rglob("*"))

    def refuse(folder: Path) -> None:  # the superuser may write anywhere, so the system cannot be asked to refuse
        raise OSError(errno.EROFS, "Read-only file system", str(folder))

    monkeypatch.setattr(export, "make_folder", refuse)
    spec = board.suite.cells()[-1]
    assert export.export_cell(board, spec, tmp_path / "exported", "cpu") == board.record(spec).score
    assert sorted(board.folder.rglob("*")) == before
