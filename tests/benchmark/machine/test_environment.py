"""What a record says of the machine and the code."""

import random
import shutil
import subprocess
from mmap import mmap
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.errors import PrunebenchError
from benchmark.machine import environment
from benchmark.machine.environment import (
    autocast,
    describe,
    git_commit,
    peak_bytes,
    pick_device,
    reset_peak,
    seed_everything,
)

CPU = torch.device("cpu")


def test_a_device_is_picked_or_refused_with_the_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == pick_device("cpu") == CPU
    with pytest.raises(PrunebenchError, match="device 'cuda' was asked for, but torch finds no CUDA device here"):
        pick_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto") == pick_device("cuda") == torch.device("cuda")
    with pytest.raises(PrunebenchError, match=r"unknown device 'tpu'; .*choices: auto, cpu, cuda"):
        pick_device("tpu")


@pytest.mark.parametrize(("kind", "precision"), [("cpu", "fp32"), ("cpu", "bf16"), ("cuda", "bf16"), ("cuda", "fp16")])
def test_a_cpu_stays_exact_fp32_and_weights_of_16_bits_compute_as_they_are(kind: str, precision: str) -> None:
    with autocast(torch.device(kind), precision):
        assert not torch.is_autocast_enabled(kind)
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_one_seed_sets_all_generators() -> None:
    drawn = []
    for _ in range(2):
        seed_everything(7)
        drawn.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert drawn[0] == drawn[1]


def test_peak_memory_follows_what_is_held() -> None:
    reset_peak(CPU)
    before = peak_bytes(CPU)
    with mmap(-1, 50 << 20) as held:  # new pages: a tensor may be given memory that other tests have left in the heap
        held.write(b"1" * (50 << 20))
        assert peak_bytes(CPU) - before > 30 << 20


def test_the_description_names_versions_and_precision() -> None:
    said = describe(CPU)
    assert said["torch"] == torch.__version__
    assert (said["precision"], said["threads"]) == ("fp32", str(torch.get_num_threads()))
    assert all(said.values())


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_is_marked_where_any_package_was_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    here = tmp_path / "benchmark" / "environment.py"
    criterion = tmp_path / "criteria" / "mine.py"
    for path in (here, criterion, tmp_path / "notes.py"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("x = 1\n")
    monkeypatch.setattr(environment, "__file__", str(here))
    commit = git_commit.__wrapped__
    assert commit() == "none"
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "one")
    clean = commit()
    assert len(clean) == 12
    (tmp_path / "notes.py").write_text("x = 2\n")
    assert commit() == clean
    criterion.write_text("x = 2\n")
    assert commit() == clean + "+"
    git("checkout", "-q", "criteria")
    (tmp_path / "criteria" / "new.py").write_text("x = 1\n")
    assert commit() == clean + "+"


def test_tiny_models_run_on_one_thread_and_others_as_the_process_began() -> None:
    before = torch.get_num_threads()
    try:
        environment.prepare_threads(torch.nn.Linear(10, 10))
        assert torch.get_num_threads() == 1
        with torch.device("meta"):
            large = torch.nn.Linear(environment.TINY, 1)
        environment.prepare_threads(large)
        assert torch.get_num_threads() == environment.THREADS
    finally:
        torch.set_num_threads(before)
