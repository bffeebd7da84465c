"""Dense teachers: weights of dense cells, trained once per task and seed and shared by every cell that needs a teacher.

The file of a teacher is named by fingerprints of data and model too, because two data folders or models of the same name give
runs of the same id.
"""

import hashlib
import os
from dataclasses import replace

from torch import Tensor

from benchmark.board.board import Board
from benchmark.board.weights import load_weights, save_weights, weights_path
from benchmark.machine import parallel
from benchmark.machine.lock import locked
from benchmark.plugins import registry
from benchmark.suite.spec import RunSpec
from benchmark.training.checkpoint import discard
from benchmark.training.run import Options, Result, train_teacher
from tasks.base import Prepared

DIGITS = 16
"""Hex digits of data and model in a teacher's file name."""


class Teachers:
    """A board's teachers' weights. A missing teacher is trained under the dense cell's lock, so that no two runners train it."""

    def __init__(self, board: Board, options: Options) -> None:
        self.folder, self.locks = board.cache / "teachers", board.locks
        self.options = replace(options, teacher=self.get)
        """The options of runs that are taught by these teachers."""

    def get(self, spec: RunSpec, prepared: Prepared, parts: int = 1) -> dict[str, Tensor]:
        """Weights of the dense run `spec` on the data and model of `prepared`; trained now, with each batch in `parts`, if missing."""
        name = teacher_name(spec, prepared)
        with locked(self.locks, spec.id):
            weights = self._kept(name, spec, prepared)
            if not parallel.agreed(weights is not None) or weights is None:
                weights = train_teacher(spec, replace(self.options, parts=parts))
                if parallel.rank() == 0:
                    save_weights(self.folder, name, weights)
                    if self.options.checkpoints:
                        discard(self.options.checkpoints, spec.id)
        return weights

    def _kept(self, name: str, spec: RunSpec, prepared: Prepared) -> dict[str, Tensor] | None:
        """The weights in the folder. A file that does not fit the model is set aside, and None returned."""
        if not os.path.lexists(weights_path(self.folder, name)):
            return None
        return load_weights(self.folder, name, prepared.build(spec.seed).state_dict())

    def keep(self, spec: RunSpec, result: Result) -> None:
        """Save the weights of a dense cell that has just been run. Call it with the cell locked."""
        save_weights(self.folder, teacher_name(spec, result.prepared), result.model.state_dict())


def teacher_name(spec: RunSpec, prepared: Prepared) -> str:
    """Name of a teacher's file: the dense run's id, and a hash of its data and model."""
    sources = f"{prepared.data_fingerprint} {prepared.model_fingerprint}"
    return f"{spec.id}-{hashlib.sha256(sources.encode()).hexdigest()[:DIGITS]}"


def taught_by(cells: list[RunSpec]) -> set[str]:
    """Ids of the dense runs that are the teacher of some cell."""
    return {spec.dense().id for spec in cells if registry.asks(spec.regularizer, "needs_teacher")}
