"""The Slurm engine on a real cluster of two nodes on this machine: the same records, though a node is lost and a job preempted."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.board.board import Board
from benchmark.engine.cell import Done, Settings
from benchmark.engine.slurm import SlurmEngine
from benchmark.engine.slurm_options import SlurmOptions
from benchmark.errors import PrunebenchError
from benchmark.suite.spec import RunSpec
from tests.benchmark.boards import Watched, finish, make_board
from tests.benchmark.engine.deadly import DEADLY
from tests.benchmark.engine.same import left_behind, same
from tests.benchmark.engine.slurm_cluster import ask, missing, slurm

pytest.importorskip("submitit")
pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing() or "-")]

LONG = {"steps": 300, "batch_size": 8, "lr": 0.001, "max_length": 32, "train_examples": 48, "eval_examples": 24}
"""Some seconds of training: long enough to be interrupted."""
SAVING = Settings(device="cpu", checkpoint_minutes=0.005)
OPTIONS = SlurmOptions(minutes=20)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The cluster; its commands find it by the environment."""
    with slurm(tmp_path_factory.mktemp("slurm")) as variables, pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield variables


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue of this cluster may be asked often."""
    monkeypatch.setattr("benchmark.engine.slurm.LONGEST", 0.5)


def until(condition: object, seconds: float = 60) -> None:
    """Wait for it."""
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)


def at_work(board: Board, spec: RunSpec) -> bool:
    """Whether the cell has been saved in the middle of its training."""
    return (board.checkpoints / f"{spec.id}.checkpoint").exists()


def number_and_node(cluster: dict[str, str], spec: RunSpec) -> list[str]:
    """The job of a cell, and where it runs."""
    return ask(cluster, "squeue", "--noheader", f"--name=prunebench-{spec.id}", "--format=%i %N").split()


def test_a_lost_node_and_a_preempted_job_change_nothing(cluster: dict[str, str], tmp_path: Path) -> None:
    """The node of one cell is set down in the middle of it, the job of the other gets Slurm's signal of preemption: both are
    queued again, go on from their checkpoints, and leave one record each, as a run in one process does."""
    board = make_board(tmp_path / "board", criteria=["random"], training=LONG)
    dense, random = board.suite.cells()
    answers: list[Done] = []
    watched = Watched()
    driver = threading.Thread(
        target=lambda: answers.append(SlurmEngine(OPTIONS)(board, board.cells(), watched, SAVING))
    )
    driver.start()
    until(lambda: at_work(board, dense) and at_work(board, random))
    _, node = number_and_node(cluster, dense)
    other, _ = number_and_node(cluster, random)
    ask(cluster, "scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    ask(cluster, "scancel", other, "--signal", "TERM")
    ask(cluster, "scancel", other, "--signal", "USR2")
    here = make_board(tmp_path / "here", criteria=["random"], training=LONG)
    finish(here)  # meanwhile
    driver.join(timeout=180)
    (done,) = answers
    assert sorted(done.finished) == sorted([dense.id, random.id])
    assert same(board, here)
    assert left_behind(board) == []
    assert [len(record.cost.resumed) > 0 for record in board.records()[0]] == [True, True]
    told = [each for each in watched.told if each[0] != "noted"]
    assert sorted(told) == sorted((kind, spec.cell) for kind in ("started", "finished") for spec in (dense, random))


def test_what_sbatch_refuses_is_said(cluster: dict[str, str], tmp_path: Path) -> None:
    board = make_board(tmp_path)
    engine = SlurmEngine(SlurmOptions(parameters={"partition": "nowhere"}))
    with pytest.raises(PrunebenchError, match=r"sbatch refused a job: .*invalid partition"):
        engine(board, board.cells(), Watched(), SAVING)


def test_a_cell_whose_jobs_die_has_failed_with_their_log(
    cluster: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.engine.slurm.GRACE", 1.0)
    (tmp_path / "deadly.py").write_text(DEADLY)
    board = make_board(tmp_path, criteria=["deadly.py"])
    done = SlurmEngine(OPTIONS)(board, board.cells("*deadly*"), Watched(), SAVING)
    ((run_id, reason),) = done.failed.items()
    assert "ended without a record, as those before it did" in reason
    assert board.failures() == {run_id: reason}
