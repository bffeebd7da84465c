"""Several processes at one run take the steps that one process takes on the same global batch."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.board.outcomes import load_outcomes
from benchmark.board.weights import load_weights
from benchmark.engine.cell import Settings
from benchmark.engine.local import run_cells
from benchmark.engine.progress import Silent
from benchmark.errors import PrunebenchError
from benchmark.machine import parallel
from benchmark.pruning.calibrate import calibrator
from benchmark.pruning.pruner import Pruner
from benchmark.suite.spec import RunSpec, Training
from benchmark.training.accumulate import backward, split
from benchmark.training.optimizer import FlatOptimizer
from benchmark.training.run import make_pruner
from criteria.regularizers.base import Regularizer
from tests.benchmark.boards import make_board
from tests.benchmark.forked import prunebench
from tests.benchmark.toy_task import ToyTask

ROOT = Path(__file__).resolve().parents[3]
SUITE: dict[str, Any] = {
    "criteria": ["principled", "l0"],
    "regularizers": ["self_regularization", "distillation"],
    "training": {"steps": 6, "batch_size": 7, "lr": 0.001, "max_length": 32, "train_examples": 20, "eval_examples": 24},
}
"""Batches of 7, 7 and 6 rows: uneven shares for two processes."""
NETWORK = {"GLOO_SOCKET_IFNAME": "lo"}


def free_port() -> int:
    """Of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def torchrun(processes: int, command: list[str]) -> subprocess.CompletedProcess[str]:
    """`command` in so many processes that know of each other."""
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-addr", "127.0.0.1"]
    return subprocess.run(
        [sys.executable, *launcher, "--master-port", str(free_port()), *command],
        cwd=ROOT,
        env=os.environ | NETWORK | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


# Parts of a batch.


@pytest.mark.parametrize("parts", [2, 3, 8, 50])
def test_parts_of_a_batch_give_the_gradients_of_the_whole(parts: int) -> None:
    task, grads = ToyTask(), []
    spec = RunSpec(task="toy", training=Training(steps=1))
    for pieces in (1, parts):
        model = task.build(0).eval()  # without dropout, which draws another mask for every part
        optimizer = FlatOptimizer(model, make_pruner(model, spec, 1).weights, spec.training)
        (batch,) = [b for i, b in enumerate(task.batches("train", 8, 0)) if i == 0]
        loss = backward(task.forward, Regularizer(), model, batch, optimizer, pieces)
        grads.append((loss, torch.cat([flat.grad for flat in optimizer.flats])))
    torch.testing.assert_close(grads[1][0], grads[0][0])
    torch.testing.assert_close(grads[1][1], grads[0][1])


def test_a_part_weighs_by_its_decisions() -> None:
    """Rows with 1, 2 and 3 decisions: the mean over all six, not the mean of the parts' means."""
    weight = torch.nn.Parameter(torch.ones(1, 1))
    model = torch.nn.ModuleDict({"layers": torch.nn.ModuleList([torch.nn.Linear(1, 1, bias=False)])})
    model["layers"][0].weight = weight  # type: ignore[index]
    optimizer = FlatOptimizer(model, make_pruner(model, RunSpec(task="toy"), 1).weights, Training())

    def forward(_: torch.nn.Module, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
        losses = weight[0] * torch.cat([torch.full((int(count),), float(count)) for count in batch["count"]])
        return losses, losses[:, None]

    batch = {"count": torch.tensor([1, 2, 3])}
    loss = backward(forward, Regularizer(), model, batch, optimizer, parts=3)
    assert loss.item() == pytest.approx((1 + 2 * 2 + 3 * 3) / 6)
    assert optimizer.flats[0].grad.item() == pytest.approx(14 / 6)


def test_a_batch_is_split_evenly_and_completely() -> None:
    rows = torch.arange(7)
    assert [piece["x"].tolist() for piece in split({"x": rows}, 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(split({"x": rows[:0]}, 3)) == []
    assert len(list(split({"x": rows}, 100))) == 7


# Two processes.


def test_what_the_first_process_has_is_everybodys(tmp_path: Path) -> None:
    """Masks (bool, seen as bytes) and weights."""
    script = tmp_path / "share.py"
    script.write_text(
        "import torch\nfrom benchmark.machine import parallel\n"
        "with parallel.joined('cpu'):\n"
        "    first = parallel.rank() == 0\n"
        "    mask, weights = torch.tensor([first, False, True]), torch.full((2,), 7.0 if first else 9.0)\n"
        "    parallel.share([mask.view(torch.uint8), weights])\n"
        "    with open(f'{__file__}.{parallel.rank()}', 'w') as file:\n"  # one stream would mix their words
        "        file.write(f'{mask.tolist()} {weights.tolist()}')\n"
    )
    done = torchrun(2, [str(script)])
    assert done.returncode == 0, done.stderr
    assert [Path(f"{script}.{rank}").read_text() for rank in (0, 1)] == ["[True, False, True] [7.0, 7.0]"] * 2


def test_a_process_without_a_gpu_of_its_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    expected = "LOCAL_RANK is 1, and this process sees 1 GPU: expected a GPU of its own for each process"
    with pytest.raises(PrunebenchError, match=expected), parallel.joined("auto"):
        pass


def test_calibrated_masks_and_weights_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    shared: list[list[torch.Tensor]] = []
    monkeypatch.setattr("benchmark.machine.parallel.share", shared.append)
    task = ToyTask()
    for criterion, calibrates in (("magnitude", False), ("wanda", True)):
        shared.clear()
        model = task.build(0)
        pruner = make_pruner(model, RunSpec(task="toy", criterion=criterion, sparsity=0.5, schedule="one_shot"), 1)
        assert isinstance(pruner, Pruner)
        pruner.calibrate = calibrator(
            model, lambda m, b: task.forward(m, b)[0].mean(), lambda _: task.batches("train", 8, 0), by_block=False
        )
        pruner.prune()
        assert bool(shared) == calibrates
    assert isinstance(pruner, Pruner)
    assert shared[0][0].data_ptr() == pruner.mask.data_ptr()
    assert shared[0][1].data_ptr() == pruner.weights.vector.data_ptr()


def test_two_processes_make_the_records_of_one(tmp_path: Path) -> None:
    """gloo on a CPU, the embedded model without dropout: the same masks, scores and weights up to the order of additions."""
    one, two = (make_board(tmp_path / name, **SUITE) for name in ("one", "two"))
    rendezvous = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    command = ("run", two.folder, "--device", "cpu", "--save-weights")
    ranks = [
        prunebench(*command, RANK=n, LOCAL_RANK=n, **NETWORK, **rendezvous) for n in ("0", "1")
    ]  # as torchrun does
    assert len(run_cells(one, one.cells(), Silent(), Settings(device="cpu", save_weights=True)).finished) == 5
    said = [rank.communicate(timeout=240) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], said
    assert len(re.findall(r"5 cells run, 0 done before, 0 failed", "".join(said))) == 1  # one process speaks
    for spec in one.suite.cells():
        ours, theirs = one.record(spec), two.record(spec)
        assert theirs.sparsity == ours.sparsity
        assert theirs.metrics == ours.metrics
        for name, values in load_outcomes(one.records_folder, ours).items():
            np.testing.assert_allclose(load_outcomes(two.records_folder, theirs)[name], values, rtol=1e-3, atol=1e-4)
        first, second = (load_weights(board.weights_folder, spec.id) for board in (one, two))
        assert first is not None
        assert second is not None
        # AdamW turns a gradient that is nothing but rounding (a key's bias) into whole steps: a few entries may differ by those.
        apart = torch.cat([(second[name] - weight).abs().flatten() for name, weight in first.items()])
        assert apart.quantile(0.99) < 1e-5
        assert apart.max() < 2 * 6 * 0.001
        assert all(torch.equal(second[name] == 0, weight == 0) for name, weight in first.items())
