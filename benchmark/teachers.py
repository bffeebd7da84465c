"""Dense teachers: the weights of a dense cell, trained once per task and seed and shared by every cell that asks."""

from dataclasses import replace
from pathlib import Path

from filelock import FileLock
from torch import Tensor

from benchmark import registry
from benchmark.run import Options, train_teacher
from benchmark.spec import RunSpec
from benchmark.weights import load_weights, save_weights


class Teachers:
    """A folder of weights by run id; what is not there is trained, under the lock of the dense cell itself in `locks`.

    So it is trained once, also where another runner is just at that cell.
    """

    def __init__(self, folder: Path, locks: Path, options: Options) -> None:
        self.folder, self.locks, self.options = folder, locks, replace(options, teacher=None)

    def get(self, spec: RunSpec) -> dict[str, Tensor]:
        """The weights of the dense run `spec`."""
        self.locks.mkdir(parents=True, exist_ok=True)
        with FileLock(self.locks / f"{spec.id}.lock"):
            weights = load_weights(self.folder, spec.id)
            if weights is None:
                weights = train_teacher(spec, self.options)
                save_weights(self.folder, spec.id, weights)
        return weights


def taught_by(cells: list[RunSpec]) -> set[str]:
    """Ids of the dense runs that some cell wants as its teacher."""
    return {spec.dense().id for spec in cells if registry.asks(spec.regularizer, "needs_teacher")}
