"""The interface of engines, which decide where cells run, and the choice of one by name."""

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from benchmark.board.board import Board
from benchmark.engine.cell import Done, Settings, Watcher
from benchmark.errors import PrunebenchError, choices
from benchmark.machine import parallel
from benchmark.machine.environment import pick_device
from benchmark.suite.spec import RunSpec

ENGINES = ("local", "ray", "slurm")
PACKAGES = {"ray": "ray", "slurm": "submitit"}
"""Package that an engine needs; the extra to install has the name of the engine."""


class Engine(Protocol):
    """Runs every cell that has no record yet and reports to the watcher. An engine never changes a result."""

    def __call__(self, board: Board, cells: Iterable[RunSpec], watcher: Watcher, settings: Settings) -> Done:
        """PrunebenchError if the engine itself cannot work. A cell that fails is noted, and the others go on."""


@dataclass(frozen=True)
class EngineOptions:
    """The engine and its options."""

    name: str = "local"
    jobs: int | None = None
    """Cells at a time: processes of the local engine (1), at most so many tasks of Ray (1,000) or jobs of Slurm (200)."""
    address: str | None = None
    """A running Ray cluster; without it one is started on this machine."""
    gpus: float | None = None
    """GPUs a cell gets from Ray or Slurm; a fraction, which Ray alone takes, lets several cells share one."""
    slurm: str | None = None
    """`key=value,...` for sbatch."""


def pick_engine(options: EngineOptions | None = None, device: str = "auto") -> Engine:
    """The engine with its options; PrunebenchError for what is unknown, not installed, or an option of another engine.

    Also if cells are to run here on a `device` that this machine lacks, so that not every cell fails for it.
    """
    options = options or EngineOptions()
    if options.name not in ENGINES:
        raise PrunebenchError(f"unknown engine '{options.name}'; {choices(options.name, ENGINES)}")
    _check(options)
    package = PACKAGES.get(options.name)
    if package and importlib.util.find_spec(package) is None:
        raise PrunebenchError(
            f"--engine {options.name} needs {package}, which is not installed: "
            f"python -m pip install 'prunebench[{options.name}]' (or {package} alone)"
        )
    if options.name == "ray":
        from benchmark.engine.ray import RayEngine

        return RayEngine(options.address, options.jobs, options.gpus)
    if options.name == "slurm":
        from benchmark.engine.slurm import SlurmEngine
        from benchmark.engine.slurm_options import parse_slurm

        return SlurmEngine(parse_slurm(options.slurm, options.gpus), options.jobs)
    pick_device(device)
    if options.jobs is not None and options.jobs > 1:
        from benchmark.engine.pool import PoolEngine

        return PoolEngine(options.jobs)
    from benchmark.engine.local import run_cells

    return run_cells


def _check(options: EngineOptions) -> None:
    """PrunebenchError for an option that the engine would ignore."""
    if options.jobs is not None and options.jobs < 1:
        raise PrunebenchError(f"--jobs {options.jobs}: expected 1 or more cells at a time")
    if options.gpus is not None and options.gpus < 0:
        raise PrunebenchError(f"--gpus {options.gpus:g}: expected 0 or more GPUs a cell")
    if parallel.launched() and (options.name != "local" or (options.jobs or 1) > 1):
        raise PrunebenchError(
            "several processes already share every cell (torchrun): --engine and --jobs cannot split them again"
        )
    belongs = {"--address": ("ray",), "--gpus": ("ray", "slurm"), "--slurm": ("slurm",)}
    given = {"--address": options.address, "--gpus": options.gpus, "--slurm": options.slurm}
    for name, engines in belongs.items():
        if given[name] is not None and options.name not in engines:
            raise PrunebenchError(f"{name} is for --engine {' or '.join(engines)}, not for '{options.name}'")
