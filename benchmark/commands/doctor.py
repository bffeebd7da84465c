"""`prunebench doctor`: reports what this machine has and lacks for running boards, and how to get it. It changes nothing."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from benchmark.board.board import Board
from benchmark.errors import PrunebenchError
from benchmark.machine.environment import PACKAGES, describe, pick_device

State = Literal["ok", "missing", "wrong"]
"""Present; absent but optional; runs fail without it."""

PYTHON = (3, 11)
SECONDS = 3.0
"""Seconds that the hub may take to answer."""

EXTRAS = {
    "ray": ("ray", "--engine ray: a cluster, or the GPUs of this machine"),
    "submitit": ("slurm", "--engine slurm"),
    "tensorboard": ("tensorboard", "--track tensorboard"),
    "wandb": ("wandb", "--track wandb"),
    "mlflow": ("mlflow", "--track mlflow"),
    "optuna": ("tune", "prunebench tune"),
    "accelerate": ("trainer", "PruningCallback, under the Hugging Face Trainer"),
    "gguf": ("gguf", "models in GGUF files"),
    "lm_eval": ("lm-eval", "tasks lm_eval/*"),
}
"""Optional packages by the name they are imported as: the extra that installs them, and what each is for."""

PROGRAMS = {
    "cc": (
        ("cc",),
        "only --compile, and the one kernel of smoothed criteria on a GPU: apt-get install build-essential",
    ),
    "chromium": (
        ("chromium", "chromium-headless-shell", "google-chrome"),
        "only the tests of the page: apt-get install chromium",
    ),
    "pdflatex": (("pdflatex",), "only the tests of LaTeX tables: apt-get install texlive-latex-recommended"),
    "sbatch": (("sbatch",), "only --engine slurm, which runs on a machine that submits to a Slurm cluster"),
    "git": (("git",), "records then do not say the commit: apt-get install git"),
}
"""Program: the names it goes by, and what is lost without it."""


@dataclass(frozen=True)
class Finding:
    """The result of one check; `remedy` says what to do about it."""

    what: str
    state: State
    found: str
    remedy: str = ""


def examine(board: Board | None = None) -> list[Finding]:
    """All checks, most important first; with `board`, those of its data and models too."""
    findings = [python(), *packages(), device(), embedded(), cache(), hub()]
    if board is not None:
        findings += board_findings(board)
    return [*findings, *extras(), *programs()]


def report_lines(findings: list[Finding]) -> list[str]:
    """A line for each finding, remedies below, and a verdict."""
    width = max(len(finding.what) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.state:<8} {finding.what:<{width}}  {finding.found}")
        if finding.remedy:
            lines.append(" " * (width + 11) + finding.remedy)
    wrong = [finding.what for finding in findings if finding.state == "wrong"]
    return [
        *lines,
        f"runs will fail until this is mended: {', '.join(wrong)}" if wrong else "everything that runs need is here",
    ]


def python() -> Finding:
    """The interpreter."""
    if sys.version_info >= PYTHON:
        return Finding("Python", "ok", f"{platform.python_version()} ({sys.executable})")
    return Finding("Python", "wrong", platform.python_version(), f"needs {'.'.join(map(str, PYTHON))} or later")


def packages() -> Iterator[Finding]:
    """Required packages, by the names in records."""
    for name in PACKAGES:
        try:
            yield Finding(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "wrong", "not installed", "python -m pip install prunebench (in a checkout: -e .)")


def device() -> Finding:
    """The device that runs would use, and its precision."""
    try:
        facts = describe(pick_device())
    except Exception as error:  # a torch that does not load says why in its own words
        return Finding(
            "device", "wrong", f"torch does not work: {error}", "see https://pytorch.org/get-started/locally/"
        )
    return Finding("device", "ok", f"{facts['device']}, {facts['precision']}, {facts['threads']} threads")


def embedded() -> Finding:
    """Whether the embedded data and models, which need no network, can be opened."""
    from tasks.formats.sources import MINI

    models = ("encoder", "decoder", "writer")
    needed = (*(f"{name}/model.safetensors" for name in models), "glue/SST-2/train.tsv")
    absent = [name for name in needed if not (MINI / name).is_file()]
    if absent:
        return Finding("mini data", "wrong", f"{MINI} lacks {', '.join(absent)}", "install prunebench again")
    return Finding("mini data", "ok", str(MINI))


def cache() -> Finding:
    """Whether the user's cache folder, in which unfinished runs and tokenized data lie, can be written to."""
    from benchmark.machine.atomic import require_room
    from benchmark.machine.caches import VARIABLE, cache_folder

    try:
        folder = cache_folder()
        require_room(folder)
    except (PrunebenchError, OSError) as error:
        reason = str(error).partition(";")[0]
        return Finding("cache", "wrong", reason, f"set {VARIABLE} to a folder of your own")
    return Finding("cache", "ok", str(folder))


def hub(seconds: float = SECONDS) -> Finding:
    """Whether the hub can be reached; what is in the local cache works without it."""
    address = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    cache = os.environ.get("HF_HOME", str(Path("~/.cache/huggingface").expanduser()))
    cached = f"; cached files in {cache}" if Path(cache).is_dir() else ""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return Finding(
            "hub", "missing", f"HF_HUB_OFFLINE is set{cached}", "unset it, or use folders: --data DIR --model DIR"
        )
    try:
        parts = urlsplit(address)
        port = parts.port or (80 if parts.scheme == "http" else 443)
        socket.create_connection((parts.hostname or address, port), timeout=seconds).close()
    except (OSError, ValueError) as error:
        return Finding("hub", "missing", f"{address}: {error}{cached}", "use folders instead: --data DIR --model DIR")
    return Finding("hub", "ok", f"{address} answers{cached}")


def board_findings(board: Board) -> Iterator[Finding]:
    """Whether each task's data and model can be opened as the board says (a few examples of them)."""
    from benchmark.training.run import Options, open_few
    from tasks.base import ModelError

    for task in board.suite.tasks:
        spec = next(cell for cell in board.suite.cells() if cell.task == task)
        try:
            prepared = open_few(spec, Options())
        except PrunebenchError as error:
            of_model = isinstance(error.__cause__, ModelError)
            remedy = "see docs/tasks.md for the " + ("models that tasks take" if of_model else "files each task reads")
            yield Finding(task, "wrong", str(error).partition("\n")[0], remedy)
        else:
            yield Finding(task, "ok", f"{', '.join(prepared.splits.values())}; model {spec.model}")


def extras() -> Iterator[Finding]:
    """Optional packages."""
    for package, (extra, purpose) in EXTRAS.items():
        if _installed(package):
            yield Finding(package, "ok", purpose)
        else:
            yield Finding(package, "missing", f"only for {purpose}", f"python -m pip install 'prunebench[{extra}]'")


def programs() -> Iterator[Finding]:
    """Optional programs."""
    for program, (names, lost) in PROGRAMS.items():
        found = next((path for name in names if (path := shutil.which(name))), None)
        yield Finding(program, "ok", found) if found else Finding(program, "missing", "not found", lost)


def _installed(module: str) -> bool:
    with suppress(ImportError, ValueError):
        return importlib.util.find_spec(module) is not None
    return False
