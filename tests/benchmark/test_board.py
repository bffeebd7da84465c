"""Boards and their engine: what counts as done, what is made again, who teaches, and several runners on one board."""

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

import benchmark.engine.local
import benchmark.teachers
from benchmark.board import Board
from benchmark.engine.local import Done, Settings, run_cells
from benchmark.errors import PrunebenchError
from benchmark.record import RecordError, failure_path, outcomes_path, record_path
from benchmark.registry import load
from benchmark.run import Options, train_teacher
from benchmark.spec import RunSpec
from benchmark.train import Progress, silent
from tests.benchmark.boards import NOT_FINITE, facts, make_board, times

CPU = Settings(device="cpu")


class Watched:
    """A watcher that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def started(self, spec: RunSpec) -> Progress:
        self.told.append(("started", spec.cell))
        return silent

    def finished(self, spec: RunSpec, score: float, seconds: float) -> None:
        self.told.append(("finished", spec.cell))

    def failed(self, spec: RunSpec, reason: str) -> None:
        self.told.append(("failed", spec.cell))


def finish(board: Board, only: str = "*") -> Done:
    return run_cells(board, board.cells(only), Watched(), CPU)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Board:
    """A finished board of three cells; not to be changed."""
    board = make_board(tmp_path_factory.mktemp("finished"))
    assert len(finish(board).finished) == 3
    return board


# Done and not done.


def test_every_cell_leaves_a_record_and_its_outcomes(finished: Board) -> None:
    for spec in finished.suite.cells():
        assert finished.is_done(spec)
        assert outcomes_path(finished.records_folder, spec.id).is_file()
        assert finished.record(spec).id == spec.id
    records, problems = finished.records()
    assert {record.id for record in records} == {spec.id for spec in finished.suite.cells()}
    assert (problems, finished.failures()) == ([], {})


def test_what_stands_is_not_run_again(finished: Board) -> None:
    before, watched = times(finished), Watched()
    done = run_cells(finished, finished.cells(), watched, CPU)
    assert (done.finished, len(done.standing), done.failed, watched.told) == ([], 3, {}, [])
    assert times(finished) == before


def test_only_what_is_asked_for_is_run(tmp_path: Path) -> None:
    board = make_board(tmp_path, tasks=["glue/sst2", "squad"])
    assert [spec.cell for spec in board.cells("glue/*")] == [
        s.cell for s in board.suite.cells() if s.task == "glue/sst2"
    ]
    assert [spec.cell for spec in board.cells("*random*")] == ["glue/sst2 random 0.5 seed 0", "squad random 0.5 seed 0"]
    with pytest.raises(PrunebenchError, match=r"--only 'rte' matches no cell; tasks of this board: glue/sst2, squad"):
        board.cells("rte")
    assert len(finish(board, "glue/sst2 dense*").finished) == 1
    assert len(times(board)) == 1


@pytest.mark.parametrize("content", ["", "{", '{"schema": 1}', "[]"])
def test_an_unreadable_record_is_reported_and_made_again(tmp_path: Path, content: str) -> None:
    board = make_board(tmp_path, criteria=["random"])
    spec = board.suite.cells()[0]
    path = record_path(board.records_folder, spec.id)
    path.parent.mkdir()
    path.write_text(content)
    assert not board.is_done(spec)
    assert [problem.path for problem in board.unreadable(board.cells())] == [path]
    with pytest.raises(RecordError):
        board.record(spec)
    assert finish(board, "*dense*").finished == [spec.id]
    assert board.unreadable(board.cells()) == []


def test_a_stray_file_is_reported_and_left(tmp_path: Path) -> None:
    board = make_board(tmp_path)
    board.records_folder.mkdir()
    stray = board.records_folder / "notes.json"
    stray.write_text("mine")
    assert [problem.path for problem in board.records()[1]] == [stray]
    assert board.unreadable(board.cells()) == []
    assert stray.read_text() == "mine"


def test_no_board(tmp_path: Path, finished: Board) -> None:
    with pytest.raises(PrunebenchError, match=r"nowhere: no board there: expected a folder with a suite\.yaml"):
        Board.open(tmp_path / "nowhere")
    with pytest.raises(PrunebenchError, match=r"choices: .*finished0"):
        Board.open(finished.folder.parent)


def test_cells_by_id_or_name(finished: Board) -> None:
    spec = finished.suite.cells()[1]
    assert finished.find(spec.id) == finished.find(spec.id[:10]) == finished.find(spec.cell) == spec
    with pytest.raises(
        PrunebenchError, match=r"'glue/sst2 randon 0\.5 seed 0' names no cell of this board; did you mean"
    ):
        finished.find("glue/sst2 randon 0.5 seed 0")
    with pytest.raises(PrunebenchError, match="'' names several cells"):
        finished.find("")


# Failures.


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Path]:
    """A criterion's file that gives scores that are not finite."""
    path = tmp_path / "broken.py"
    path.write_text(NOT_FINITE)
    load.cache_clear()
    yield path
    load.cache_clear()


def test_a_failing_cell_is_noted_and_the_others_finish(tmp_path: Path, broken: Path) -> None:
    board = make_board(tmp_path / "board", criteria=["random", str(broken), "magnitude"])
    watched = Watched()
    done = run_cells(board, board.cells(), watched, CPU)
    assert (len(done.finished), len(done.failed)) == (3, 1)
    assert [what for what, _ in watched.told].count("failed") == 1
    (failed,) = [spec for spec in board.suite.cells() if spec.id in done.failed]
    reason = done.failed[failed.id]
    assert re.match(r"criterion Broken gave \d+ of \d+ scores that are not finite in .*weight", reason)
    assert board.failures() == {failed.id: reason}
    assert "Traceback" in failure_path(board.records_folder, failed.id).read_text()
    assert board.records()[1] == []


def test_a_failed_cell_is_tried_again(tmp_path: Path, broken: Path) -> None:
    board = make_board(tmp_path / "board", criteria=[str(broken)])
    assert len(finish(board).failed) == 1
    broken.write_text(NOT_FINITE.replace('weight * float("nan")', "weight"))
    load.cache_clear()
    done = finish(board)
    assert (len(done.finished), len(done.standing), done.failed) == (1, 1, {})
    assert board.failures() == {}
    assert list(board.records_folder.glob("*.failed.json")) == []


def test_a_failure_beside_an_unreadable_record_is_not_forgotten(tmp_path: Path) -> None:
    board = make_board(tmp_path)
    spec = board.suite.cells()[0]
    board.fail(spec, "out of memory", "Traceback")
    record_path(board.records_folder, spec.id).write_text("")
    assert board.failures() == {spec.id: "out of memory"}
    failure_path(board.records_folder, spec.id).write_text("{")
    assert board.failures() == {spec.id: f"unreadable {spec.id}.failed.json"}


def test_a_bad_row_names_file_and_line(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "glue" / "SST-2"
    folder.mkdir(parents=True)
    (folder / "train.tsv").write_text("sentence\tlabel\nfine\t1\nbad row\n")
    (folder / "dev.tsv").write_text("sentence\tlabel\nfine\t1\n")
    board = make_board(tmp_path / "board", data=str(tmp_path / "data"), criteria=["random"])
    reasons = set(finish(board).failed.values())
    assert len(reasons) == 1
    assert re.search(r"train\.tsv:3: ", reasons.pop())


def test_other_data_beside_standing_records_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "glue" / "SST-2"
    folder.mkdir(parents=True)
    for name in ("train", "dev"):
        rows = "".join(f"word number {i}\t{i % 2}\n" for i in range(40))
        (folder / f"{name}.tsv").write_text("sentence\tlabel\n" + rows)
    board = make_board(tmp_path / "board", data=str(tmp_path / "data"), criteria=["random"])
    assert len(finish(board, "*dense*").finished) == 1
    with (folder / "dev.tsv").open("a") as file:
        file.write("one more\t1\n")
    reasons = list(finish(board).failed.values())
    assert len(reasons) == 1
    assert reasons[0].startswith("the data of glue/sst2 changed since this board's records were made (fingerprint ")


# Teachers.


def test_the_dense_cell_teaches_and_nobody_trains_it_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        pytest.fail("the teacher was trained again")

    monkeypatch.setattr(benchmark.teachers, "train_teacher", never)
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

    monkeypatch.setattr(benchmark.teachers, "train_teacher", counted)
    board = make_board(tmp_path, regularizers=["distillation"])
    assert len(finish(board, "*distillation*").finished) == 2
    assert trained == [board.suite.cells()[0].id]
    (teacher,) = (board.cache / "teachers").glob("*.safetensors")
    teacher.write_bytes(b"damaged")
    record_path(board.records_folder, board.cells("*random*")[0].id).unlink()
    assert len(finish(board, "*distillation*").finished) == 1
    assert len(trained) == 2


def test_a_teacher_waits_for_the_dense_cell_of_another_runner(tmp_path: Path) -> None:
    """The lock is that of the dense cell, so that two runners do not train the same model side by side."""
    board = make_board(tmp_path, regularizers=["distillation"])
    dense = board.suite.cells()[0]
    assert finish(board, "*dense*").finished == [dense.id]
    teachers = benchmark.teachers.Teachers(board.cache / "teachers", board.locks, Options(device="cpu"))
    board.locks.mkdir(parents=True, exist_ok=True)
    held = FileLock(board.locks / f"{dense.id}.lock")
    with held:
        order: list[str] = []
        waiting = threading.Thread(target=lambda: order.append(f"taught {len(teachers.get(dense)) > 0}"))
        waiting.start()
        time.sleep(0.1)
        order.append("released")
    waiting.join(timeout=30)
    assert order == ["released", "taught True"]


# Several runners.


def runner(board: Board) -> subprocess.Popen[str]:
    """`prunebench run` in a process of its own."""
    code = "import sys; from benchmark.cli import main; sys.argv = ['prunebench', 'run', sys.argv[1]]; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, str(board.folder)],
        cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_runners_share_a_board_and_one_is_killed(tmp_path: Path, finished: Board) -> None:
    """Two runners start together; one is killed as soon as there are two records. The other finishes the board: no cell is
    missing, none is made twice, and the records are those that another process makes, bit for bit."""
    board = make_board(tmp_path, criteria=["random", "magnitude", "sensitivity"], seeds=[0, 1, 2])
    first, second = runner(board), runner(board)
    try:
        while len(before := times(board)) < 2 and (first.poll() is None or second.poll() is None):
            time.sleep(0.002)
        first.send_signal(signal.SIGKILL)
        killed, _ = first.communicate(timeout=60)
        survivor, _ = second.communicate(timeout=120)
    finally:
        for process in (first, second):
            process.kill()
    assert first.returncode == -signal.SIGKILL, killed
    assert second.returncode == 0, survivor
    after = times(board)
    assert set(after) == {f"{spec.id}.json" for spec in board.suite.cells()}
    assert {name: after[name] for name in before} == before
    counted = re.search(r"(\d+) cells run, (\d+) were done, 0 failed", survivor)
    assert counted is not None, survivor
    assert int(counted[1]) + int(counted[2]) == len(after) == 12
    by_the_killed = len(re.findall(r" \d+\.\d+ in \d", killed))
    assert int(counted[1]) in (12 - by_the_killed, 11 - by_the_killed)  # killed between its record and its line
    for spec in finished.suite.cells():
        ours, theirs = (record_path(b.records_folder, spec.id) for b in (board, finished))
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
            if spec == magnitude:
                held.release()

    watched = Releasing()
    done = run_cells(board, board.cells(), watched, CPU)
    assert done.finished == [random.id, magnitude.id, dense.id]
