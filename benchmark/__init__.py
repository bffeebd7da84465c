"""The harness. In Python: `from benchmark import run, RunSpec`. Names load when they are used; `import benchmark` loads nothing."""

from importlib import import_module

TYPE_CHECKING = False  # as `typing` has it, which is not loaded before __main__ has looked at the import path
if TYPE_CHECKING:
    from typing import Any

    from benchmark.board.board import Board
    from benchmark.board.record import Record
    from benchmark.errors import PrunebenchError
    from benchmark.plugins.registry import configure
    from benchmark.pruning.pruner import Pruner
    from benchmark.pruning.schedules.base import Schedule
    from benchmark.suite.spec import RunSpec, Training
    from benchmark.training.run import Options, Result, run
    from benchmark.training.trainer_callback import PruningCallback

__all__ = [
    "Board",
    "Options",
    "PrunebenchError",
    "Pruner",
    "PruningCallback",
    "Record",
    "Result",
    "RunSpec",
    "Schedule",
    "Training",
    "configure",
    "run",
]

_HOMES = {
    "Board": "board.board",
    "Options": "training.run",
    "PrunebenchError": "errors",
    "Pruner": "pruning.pruner",
    "PruningCallback": "training.trainer_callback",
    "Record": "board.record",
    "Result": "training.run",
    "RunSpec": "suite.spec",
    "Schedule": "pruning.schedules.base",
    "Training": "suite.spec",
    "configure": "plugins.registry",
    "run": "training.run",
}
"""The module in which each public name lives."""


def __getattr__(name: str) -> "Any":
    if name not in _HOMES:
        raise AttributeError(f"module 'benchmark' has no attribute '{name}'")
    return getattr(import_module(f"benchmark.{_HOMES[name]}"), name)
