"""The Ray engine on a real cluster of two nodes on this machine: the same records, though a node is lost in the middle."""

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from benchmark.engine.cell import Done, Settings
from benchmark.engine.ray import RayEngine
from benchmark.engine.ray_task import FolderMarker
from benchmark.errors import PrunebenchError
from tests.benchmark.boards import CPU, NOT_FINITE, Watched, finish, make_board
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
    (tmp_path / "broken.py").write_text(NOT_FINITE)
    changes: dict[str, Any] = {"criteria": ["random + distillation", "broken.py"]}
    board = make_board(tmp_path, **changes)
    everything = Settings(device="cpu", save_predictions=True, save_weights=True)
    done = RayEngine(cluster.address)(board, board.cells(), Watched(), everything)
    failed = [spec for spec in board.suite.cells() if "broken.py" in spec.criterion]
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
