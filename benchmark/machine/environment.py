"""The machine a run happens on: device, precision, seeds, memory, versions, commit. Read once, stored in every record."""

import gc
import platform
import random
import resource
import subprocess
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmark.errors import PrunebenchError, choices

PACKAGES = (
    "prunebench", "torch", "transformers", "datasets", "numpy", "scikit-learn", "seqeval", "sacrebleu", "rouge-score",
)  # fmt: skip


def pick_device(name: str = "auto") -> torch.device:
    """The device; `auto` is CUDA if there is one, else the CPU. PrunebenchError for a device that this machine lacks."""
    if name not in ("auto", "cpu", "cuda"):
        raise PrunebenchError(f"unknown device '{name}'; {choices(str(name), ('auto', 'cpu', 'cuda'))}")
    if name == "cuda" and not torch.cuda.is_available():
        raise PrunebenchError("device 'cuda' was asked for, but torch finds no CUDA device here; choices: auto, cpu")
    return torch.device("cpu" if name == "cpu" or not torch.cuda.is_available() else "cuda")


THREADS = torch.get_num_threads()
"""Threads that the user or torch set when this process began."""

TINY = 2_000_000
"""Parameters below which one thread is faster than two, because the kernels are so small."""


def prepare_threads(model: nn.Module) -> None:
    """Use one CPU thread for a tiny model, else as many as the process began with; the same for every cell of a model."""
    torch.set_num_threads(1 if is_tiny(model) else THREADS)


def is_tiny(model: nn.Module) -> bool:
    """Whether the model is so small that calls cost more than its arithmetic."""
    return sum(parameter.numel() for parameter in model.parameters()) < TINY


def autocast(device: torch.device, precision: str = "fp32") -> AbstractContextManager[object]:
    """bf16 autocast over fp32 weights on CUDA; nothing on a CPU, or where weights are kept in 16 bits.

    What it leaves in fp32 stays so: TF32 has no number for most rotary positions beyond 2,048
    (https://github.com/huggingface/transformers/issues/48428).
    """
    mixed = device.type == "cuda" and precision == "fp32"
    return torch.autocast("cuda", torch.bfloat16) if mixed else nullcontext()


def seed_everything(seed: int) -> None:
    """Seed the global generators, which dropout inside models draws from.

    They are set again only in the other processes of a run, and where a run resumes.
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "alloc_failed", "allocation_failed")
"""Parts of messages of torch's allocator, and of CUDA's libraries without room for a workspace: CUBLAS_STATUS_ALLOC_FAILED, cuDNN's
..._DEVICE_ALLOCATION_FAILED."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the device or on the host."""
    said = str(error).lower()
    allocator = isinstance(error, RuntimeError) and any(words in said for words in OUT_OF_MEMORY)
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or allocator


def is_device_lost() -> bool:
    """Whether every further CUDA call in this process would fail, as after a failed assertion in a kernel."""
    if not torch.cuda.is_initialized():
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False


def free_memory() -> None:
    """Return unused memory to the device."""
    gc.collect()
    torch.cuda.empty_cache()  # nothing where CUDA is not in use


def reset_peak(device: torch.device) -> None:
    """Start measuring peak memory again."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with suppress(OSError):  # Linux only; elsewhere the peak is the process's
            Path("/proc/self/clear_refs").write_text("5")


def peak_bytes(device: torch.device) -> int:
    """Peak since `reset_peak`: CUDA allocations, or resident memory of this process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def describe(device: torch.device) -> dict[str, str]:
    """The machine and its software, as records hold them."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name(),
        "precision": "bf16 autocast" if device.type == "cuda" else "fp32",
        "threads": str(torch.get_num_threads()),
        "commit": git_commit(),
        **({"cuda": str(torch.version.cuda)} if device.type == "cuda" else {}),
        **{name: _version(name) for name in PACKAGES},
    }


@cache
def git_commit() -> str:
    """The commit of this package's checkout, '+' for local changes; 'none' outside one (an installed wheel)."""
    here = Path(__file__).resolve()
    if _git(here.parent, "ls-files", "--error-unmatch", here.name) is None:
        return "none"
    commit = _git(here.parent, "rev-parse", "--short=12", "HEAD") or "none"
    code = [f":(top){package}/*.py" for package in ("benchmark", "criteria", "tasks")]
    return commit + ("+" if _git(here.parent, "status", "--porcelain", "--", *code) else "")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@cache
def cpu_name() -> str:
    """The processor's name."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@cache
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
