"""The Ray engine on a real cluster of two nodes on this machine: the same records, though a node is lost in the middle."""

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from benchmark.board.board import Board
from benchmark.engine.artifacts import collect_artifacts, store_artifacts
from benchmark.engine.cell import Done, Settings
from benchmark.engine.ray import RayEngine, gpus_each
from benchmark.engine.ray_task import FolderMarker
from benchmark.errors import PrunebenchError
from tests.benchmark.boards import CPU, Watched, finish, make_board
from tests.benchmark.engine.same import left_behind, same

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: python -m pip install ray"),
]

LONG = {"steps": 300, "batch_size": 8, "lr": 0.001, "max_length": 32, "train_examples": 48, "eval_examples": 24}
SAVING = Settings(device="cpu", checkpoint_minutes=0.005)
NODE = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80 << 20, "node_ip_address": "127.0.0.1"}
SOON = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 300,
    "health_check_timeout_ms": 300,
    "health_check_failure_threshold": 5,
}
"""A lost node is noticed after some seconds."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one CPU each; sockets need a short path, so not pytest's."""
    folder = tempfile.mkdtemp(prefix="rt", dir="/tmp")
    settings = {
        "RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "XDG_CACHE_HOME": f"{folder}/cache",
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        import ray  # reads the variables when it is imported
        from ray.cluster_utils import Cluster

        found = Cluster(initialize_head=True, head_node_args=NODE | {"_system_config": SOON})
        found.add_node(**NODE)
        yield found
        ray.shutdown()
        found.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


def test_a_lost_node_changes_nothing(cluster: Any, tmp_path: Path) -> None:
    """Both nodes are at a cell when the second is gone, with all its processes: its cell goes on, on the first."""
    board = make_board(tmp_path / "board", criteria=["random"], training=LONG)
    here = make_board(tmp_path / "here", criteria=["random"], training=LONG)
    answers: list[Done] = []
    watched = Watched()
    engine = RayEngine(cluster.address)
    driver = threading.Thread(target=lambda: answers.append(engine(board, board.cells(), watched, SAVING)))
    driver.start()
    end = time.monotonic() + 120
    while len(list(board.checkpoints.glob("*.checkpoint"))) < 2:
        assert time.monotonic() < end
        time.sleep(0.05)
    (second,) = cluster.worker_nodes
    cluster.remove_node(second, allow_graceful=False)
    finish(here)  # meanwhile
    driver.join(timeout=180)
    (done,) = answers
    assert sorted(done.finished) == sorted(spec.id for spec in board.suite.cells())
    assert same(board, here)
    assert left_behind(board) == []
    assert any(record.cost.resumed for record in board.records()[0])
    told = [each for each in watched.told if each[0] != "noted"]
    assert sorted(told) == sorted((kind, spec.cell) for kind in ("started", "finished") for spec in board.suite.cells())


def test_nodes_that_do_not_see_the_folder_send_what_they_made(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records, predictions, weights and the teacher come back; the student gets the teacher, and the reasons of failures come too."""
    monkeypatch.setattr(FolderMarker, "write", lambda _: None)
    (tmp_path / "nan.py").write_text(NOT_FINITE)
    changes: dict[str, Any] = {"criteria": ["random + distillation", "nan.py"]}
    board = make_board(tmp_path, **changes)
    everything = Settings(device="cpu", save_predictions=True, save_weights=True)
    done = RayEngine(cluster.address)(board, board.cells(), Watched(), everything)
    failed = [spec for spec in board.suite.cells() if "nan.py" in spec.criterion]
    assert set(done.failed) == {spec.id for spec in failed}
    assert all("Traceback" in (board.records_folder / f"{spec.id}.failed.json").read_text() for spec in failed)
    assert len(done.finished) == 2
    assert len(list(board.weights_folder.glob("*.safetensors"))) == 2
    assert len(list((board.cache / "teachers").glob("*.safetensors"))) == 1
    assert not list(board.checkpoints.glob("*"))  # nobody worked here
    here = make_board(tmp_path / "here", **(changes | {"criteria": ["random + distillation"]}))
    finish(here)
    ours = {record.id: record.outcomes_sha256 for record in board.records()[0]}
    assert ours == {record.id: record.outcomes_sha256 for record in here.records()[0]}


NOT_FINITE = '''"""Scores that are not numbers."""

from dataclasses import dataclass

from criteria.base import Criterion


@dataclass(frozen=True)
class Nan(Criterion):
    """Never finite."""

    def score(self, state, weight):
        return weight * float("nan")
'''


def test_no_gpus_no_cells_on_gpus(cluster: Any) -> None:
    """A task that asks for more than any node has would wait for ever."""

    class Nodes:
        def __init__(self, *gpus: float) -> None:
            self.gpus = gpus

        def nodes(self) -> list[dict[str, Any]]:
            return [{"Alive": True, "Resources": {"CPU": 1.0} | ({"GPU": n} if n else {})} for n in self.gpus]

    assert gpus_each(Nodes(0.0, 0.0), None, "auto") == 0
    assert gpus_each(Nodes(0.0, 8.0), None, "auto") == 1
    assert gpus_each(Nodes(0.0, 8.0), 0.25, "auto") == 0.25
    assert gpus_each(Nodes(0.0, 8.0), None, "cpu") == 0
    for nodes, gpus, device in ((Nodes(0.0), None, "cuda"), (Nodes(0.0), 0.5, "auto"), (Nodes(4.0), 0.0, "cuda")):
        with pytest.raises(PrunebenchError, match="GPUs a cell, but the largest node"):
            gpus_each(nodes, gpus, device)
    with pytest.raises(PrunebenchError, match="a cell uses one GPU"):
        gpus_each(Nodes(8.0), 2.0, "auto")


def test_parcels(finished_board: Board, tmp_path: Path) -> None:
    """Nothing but a whole record of the very cell is taken, and a standing one stays."""
    board = make_board(tmp_path)
    dense, random, _ = board.suite.cells()
    artifacts = collect_artifacts(finished_board, dense)
    for wrong in (
        replace(artifacts, record=b"{}"),
        replace(artifacts, outcomes=b"damaged"),
        replace(artifacts, outcomes=None),
        collect_artifacts(finished_board, random),
    ):
        with pytest.raises(PrunebenchError, match=r"is no record of it|damaged on the way"):
            store_artifacts(board, dense, wrong)
        assert not board.is_done(dense)
    store_artifacts(board, dense, replace(artifacts, teachers={"../../escaped.safetensors": b"x"}))
    assert board.record(dense) == finished_board.record(dense)
    assert not list(tmp_path.rglob("*escaped*"))
    before = (board.records_folder / f"{dense.id}.json").stat().st_mtime_ns
    store_artifacts(board, dense, artifacts)
    assert (board.records_folder / f"{dense.id}.json").stat().st_mtime_ns == before


def test_a_cluster_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said in one sentence."""
    import ray

    assert not ray.is_initialized()
    board = make_board(tmp_path)

    def refuse(**_: Any) -> None:
        raise ConnectionError("Could not find any running Ray instance")

    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(PrunebenchError, match="--engine ray: no cluster at auto: Could not find"):
        RayEngine("auto")(board, board.cells(), Watched(), CPU)
