"""Trackers are told what watchers are told: event files read back, a failing and an interrupted cell, what is not installed."""

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmark.board.board import Board
from benchmark.engine.local import run_cells
from benchmark.engine.progress import Silent
from benchmark.errors import PrunebenchError
from benchmark.suite.spec import RunSpec
from benchmark.tracking.watch import Tracking, opener_of, settings_of, tracked
from tests.benchmark.boards import write_suite

EVENTS = "tensorboard.backend.event_processing.event_accumulator"
SPEC = RunSpec(task="glue/sst2", criterion="magnitude", sparsity=0.5)


class Kept:
    """A session that keeps what it is told."""

    def __init__(self) -> None:
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.ended: tuple[dict[str, float], str | None] | None = None

    def log(self, step: int, values: dict[str, float]) -> None:
        self.logged.append((step, values))

    def end(self, values: dict[str, float], reason: str | None) -> None:
        self.ended = values, reason


class Told(Silent):
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def finished(self, spec: RunSpec, score: float, seconds: float) -> None:
        self.heard.append(f"finished {score}")

    def failed(self, spec: RunSpec, reason: str) -> None:
        self.heard.append(f"failed {reason}")


def tracking(session: Kept) -> tuple[Tracking, Told]:
    told = Told()
    return Tracking(told, lambda *_: session, Path()), told


def test_the_tracker_and_the_watcher_behind_it_are_told() -> None:
    session = Kept()
    watcher, told = tracking(session)
    watcher.started(SPEC)(3, 10, 0.5, 0.25)
    watcher.finished(SPEC, 81.5, 2.0)
    assert session.logged == [(3, {"loss": 0.5, "sparsity": 0.25})]
    assert session.ended == ({"score": 81.5, "seconds": 2.0}, None)
    assert told.heard == ["finished 81.5"]


def test_failures_and_interruptions_end_the_session() -> None:
    session = Kept()
    watcher, told = tracking(session)
    watcher.started(SPEC)
    watcher.failed(SPEC, "no data")
    assert session.ended == ({}, "no data")
    assert told.heard == ["failed no data"]
    watcher.failed(SPEC, "before it started")
    watcher.started(SPEC)
    watcher.close()
    assert session.ended == ({}, "interrupted")


def test_a_tracker_that_fails_fails_no_run() -> None:
    class Full(Kept):
        def log(self, step: int, values: dict[str, float]) -> None:
            raise OSError("disk full")

    watcher, told = tracking(Full())
    progress = watcher.started(SPEC)
    with pytest.warns(UserWarning, match="disk full"):
        progress(1, 10, 0.5, 0.25)
    progress(2, 10, 0.5, 0.25)
    watcher.finished(SPEC, 81.5, 2.0)
    assert told.heard == ["finished 81.5"]


def test_settings_are_flat_text() -> None:
    settings = settings_of(SPEC)
    assert settings["id"] == SPEC.id
    assert (settings["criterion"], settings["training.lr"], settings["sparsity"]) == ("magnitude", "5e-05", "0.5")
    assert all(isinstance(value, str) for value in settings.values())


def test_no_tracker_is_the_watcher_itself(tmp_path: Path) -> None:
    silent = Silent()
    with tracked(silent, None, tmp_path) as watcher:
        assert watcher is silent


def test_a_missing_tracker_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.delitem(sys.modules, "benchmark.tracking.wandb", raising=False)
    with pytest.raises(PrunebenchError, match=r"not installed.*pip install wandb"):
        opener_of("wandb")


def test_tensorboard_event_files_hold_the_curve(tmp_path: Path) -> None:
    events_of = pytest.importorskip(EVENTS).EventAccumulator
    board = Board.open(write_suite(tmp_path / "tiny", criteria=["magnitude"]))
    cells = [spec for spec in board.cells() if not spec.is_dense]
    with tracked(Silent(), "tensorboard", board.folder) as watcher:
        assert not run_cells(board, cells, watcher).failed
    (folder,) = (board.folder / "tracking").iterdir()
    assert folder.name == f"glue_sst2_magnitude_0.5_seed_0-{cells[0].id}"
    events = events_of(str(folder))
    events.Reload()
    record = board.record(cells[0])
    losses = [(event.step, event.value) for event in events.Scalars("loss")]
    assert losses == [(point.step, pytest.approx(point.loss)) for point in record.curve]
    assert events.Scalars("sparsity")[-1].value == pytest.approx(record.sparsity.measured)
    assert events.Scalars("score")[0].value == pytest.approx(record.score)
    (text,) = events.Tensors("settings/text_summary")
    assert b"training.lr" in text.tensor_proto.string_val[0]


def test_a_failed_cell_says_so_in_tensorboard(tmp_path: Path) -> None:
    events_of = pytest.importorskip(EVENTS).EventAccumulator
    with tracked(Silent(), "tensorboard", tmp_path) as watcher:
        watcher.started(SPEC)
        watcher.failed(SPEC, "no data")
    (folder,) = (tmp_path / "tracking").iterdir()
    events = events_of(str(folder))
    events.Reload()
    assert b"no data" in events.Tensors("failed/text_summary")[0].tensor_proto.string_val[0]


def test_wandb_keeps_a_run_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    with tracked(Silent(), "wandb", tmp_path / "board") as watcher:
        watcher.started(SPEC)(3, 10, 0.5, 0.25)
        watcher.finished(SPEC, 81.5, 2.0)
    assert list(tmp_path.rglob("*.wandb"))


def test_mlflow_keeps_a_run_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow: Any = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    with tracked(Silent(), "mlflow", tmp_path / "board") as watcher:
        watcher.started(SPEC)(3, 10, 0.5, 0.25)
        watcher.finished(SPEC, 81.5, 2.0)
        watcher.started(SPEC)
        watcher.failed(SPEC, "no data")
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("prunebench/board")
    failed, finished = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"])
    assert (finished.info.status, failed.info.status) == ("FINISHED", "FAILED")
    assert finished.data.metrics == {"loss": 0.5, "sparsity": 0.25, "score": 81.5, "seconds": 2.0}
    assert finished.data.params["criterion"] == "magnitude"
    assert failed.data.tags["failed"] == "no data"
