"""Assigns CPU threads and GPUs to the processes of `--jobs N` on one machine."""

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import tasks.mini
from benchmark.board.board import Board

EMBEDDED = Path(tasks.mini.__file__).parent
"""The embedded models."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""What torch and MKL read. Tokenizers keep all cores: one process tokenizes, and those that need the same data wait for it."""
LEAST = 2 << 30
"""Bytes of free GPU memory that a further process on a GPU needs at least."""
UNKNOWN = 8 << 30
"""Bytes of GPU memory assumed for a cell before any has finished, if its model's files are not at hand: BERT-base and its teacher."""
TRAINED = 12
"""Bytes of GPU memory for each byte of a model's fp32 file: weights, gradients, optimizer, statistics, teacher, best weights."""
MARGIN = 1.25
"""Factor on the largest peak in the board's records, for the CUDA context and memory that the allocator holds."""


def threads_each(jobs: int) -> int:
    """CPU threads of each of `jobs` processes: an equal share of the cores this process may use, no more than it was given."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores // jobs, int(given) if given.isdecimal() and int(given) else cores))


def variables(jobs: int, gpus: Sequence[str]) -> list[dict[str, str]]:
    """Environment variables of each process: its number of threads, and its GPU, assigned in turn."""
    shared = dict.fromkeys(THREADS, str(threads_each(jobs)))
    return [shared | ({"CUDA_VISIBLE_DEVICES": gpus[job % len(gpus)]} if gpus else {}) for job in range(jobs)]


def visible_gpus(device: str) -> list[str]:
    """GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; none if cells run on the CPU."""
    import torch

    if device == "cpu" or not torch.cuda.is_available():
        return []
    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return (named or [str(index) for index in range(count)])[:count]


def jobs_that_fit(jobs: int, gpus: Sequence[str], free: Sequence[int], need: int) -> int:
    """How many of `jobs` processes fit: on each GPU as many as have `need` bytes of its free memory, but at least one."""
    fitting = [max(1, memory // need) for memory in free]
    # Dealt out in turn, so what fits is what fits on the GPU that is full first.
    return next((job for job in range(jobs) if job // len(gpus) >= fitting[job % len(gpus)]), jobs)


def memory_needed(board: Board) -> int:
    """Bytes of GPU memory that a cell of this board needs, estimated from its finished cells, or else from its models' files."""
    if peaks := [record.cost.peak_bytes for record in board.records()[0] if "cuda" in record.environment]:
        return max(LEAST, int(MARGIN * max(peaks)))
    return max(_guess(model) for model in {spec.model for spec in board.suite.cells()})


def _guess(model: str) -> int:
    """Bytes that training `model`, a folder or a hub id, may take: LEAST is for activations and the CUDA context."""
    folder = EMBEDDED if model == "mini" else Path(model)
    stored = max(sum(path.stat().st_size for path in folder.rglob(f"*{kind}")) for kind in (".safetensors", ".bin"))
    return LEAST + TRAINED * stored if stored else UNKNOWN


def free_memory(gpus: Sequence[str]) -> list[int]:
    """Free bytes of each GPU by nvidia-smi, which needs no CUDA context here; without it, as good as infinite."""
    command = ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits", "-i", ",".join(gpus)]
    with suppress(OSError, subprocess.SubprocessError, ValueError):
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
        found = [int(line) << 20 for line in done.stdout.split()]
        if len(found) == len(gpus):
            return found
    return [1 << 50] * len(gpus)
