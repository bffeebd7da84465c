"""Threads and GPUs dealt out among the processes of one machine."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmark.board.board import Board
from benchmark.engine import placement
from benchmark.engine.placement import jobs_that_fit, threads_each, variables
from benchmark.engine.ray import gpus_each
from benchmark.errors import PrunebenchError
from tests.benchmark.boards import finish, make_board

GIB = 1 << 30


def test_threads_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [threads_each(jobs) for jobs in (1, 2, 3, 8, 20)] == [8, 4, 2, 1, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert [threads_each(jobs) for jobs in (1, 2, 8)] == [2, 2, 1]
    assert variables(2, []) == [{"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}] * 2


def test_gpus_are_dealt_out_in_turn() -> None:
    assert [each["CUDA_VISIBLE_DEVICES"] for each in variables(5, ["3", "7"])] == ["3", "7", "3", "7", "3"]


def test_no_more_processes_than_a_gpu_has_memory_for() -> None:
    assert jobs_that_fit(6, ["0", "1"], [40 * GIB, 40 * GIB], 10 * GIB) == 6
    assert jobs_that_fit(6, ["0", "1"], [20 * GIB, 40 * GIB], 10 * GIB) == 4  # 0 1 0 1, and the next 0 would not fit
    assert (
        jobs_that_fit(6, ["0", "1"], [1 * GIB, 1 * GIB], 10 * GIB) == 2
    )  # one each: the cell itself says what it lacks


def test_a_cell_wants_what_finished_ones_took(tmp_path: Path) -> None:
    board = make_board(tmp_path)
    small = placement.memory_needed(board)  # none has finished
    assert placement.LEAST < small < 1.1 * placement.LEAST  # the embedded models
    finish(board)
    assert placement.memory_needed(board) == small  # those of a CPU say nothing
    for path in board.records_folder.glob("*.json"):
        record = json.loads(path.read_text())
        record["environment"]["cuda"], record["cost"]["peak_bytes"] = "12.8", 4 * GIB
        path.write_text(json.dumps(record))
    assert placement.memory_needed(Board.open(board.folder)) == 5 * GIB


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"model.safetensors": 3000}, placement.LEAST + 36_000),
        ({"pytorch_model.bin": 1000, "config.json": 9}, placement.LEAST + 12_000),
        ({"a.safetensors": 1000, "b.safetensors": 500, "pytorch_model.bin": 1400}, placement.LEAST + 18_000),
        ({"config.json": 9}, placement.UNKNOWN),
        ({}, placement.UNKNOWN),
    ],
)
def test_before_any_has_finished_its_model_s_files_tell(files: dict[str, int], expected: int, tmp_path: Path) -> None:
    for name, size in files.items():
        (tmp_path / name).write_bytes(bytes(size))
    assert placement._guess(str(tmp_path)) == expected
    assert placement._guess("no/such-model-of-the-hub") == placement.UNKNOWN


def test_no_gpu_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    assert placement.visible_gpus("cpu") == []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert placement.visible_gpus("auto") == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a, GPU-b")
    assert placement.visible_gpus("cuda") == ["GPU-a", "GPU-b"]


def test_a_ray_cell_asks_for_no_more_gpus_than_a_node_has() -> None:
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
