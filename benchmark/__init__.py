"""The harness. In Python: `from benchmark import run, RunSpec`. Names load when they are used; `import benchmark` loads nothing."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.board import Board
    from benchmark.errors import PrunebenchError
    from benchmark.pruner import Pruner
    from benchmark.record import Record
    from benchmark.registry import configure
    from benchmark.run import Options, Result, run
    from benchmark.spec import RunSpec, Training
    from benchmark.trainer_callback import PruningCallback

__all__ = [
    "Board",
    "Options",
    "PrunebenchError",
    "Pruner",
    "PruningCallback",
    "Record",
    "Result",
    "RunSpec",
    "Training",
    "configure",
    "run",
]

_HOMES = {
    "Board": "board",
    "Options": "run",
    "PrunebenchError": "errors",
    "Pruner": "pruner",
    "PruningCallback": "trainer_callback",
    "Record": "record",
    "Result": "run",
    "RunSpec": "spec",
    "Training": "spec",
    "configure": "registry",
}
"""Where each public name lives. `run` is not among them: it is the module of that name, which can be called."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'benchmark' has no attribute '{name}'")
    return getattr(import_module(f"benchmark.{_HOMES[name]}"), name)
