"""Dense teachers: the weights of a dense cell, trained once per task and seed and shared by every cell that asks.

A run's id does not say where data and model lie, so a teacher is kept under what they are, too: other data, or another model of
the same name, have another teacher.
"""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from torch import Tensor

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
    """A folder of weights; what is not there is trained, under the lock of the dense cell itself in `locks`.

    So it is trained once, also where another runner is just at that cell.
    """

    def __init__(self, folder: Path, locks: Path, options: Options) -> None:
        self.folder, self.locks, self.options = folder, locks, replace(options, teacher=None)

    def get(self, spec: RunSpec, prepared: Prepared, parts: int = 1) -> dict[str, Tensor]:
        """The weights of the dense run `spec` on what `prepared` was opened on, trained with each batch in `parts`."""
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
        """The weights in the folder, if they fit the model; others are set aside, to be trained again."""
        if not os.path.lexists(weights_path(self.folder, name)):
            return None
        return load_weights(self.folder, name, prepared.build(spec.seed).state_dict())

    def keep(self, spec: RunSpec, result: Result) -> None:
        """Keep the weights of a dense cell that has just been run, its lock held."""
        save_weights(self.folder, teacher_name(spec, result.prepared), result.model.state_dict())


def teacher_name(spec: RunSpec, prepared: Prepared) -> str:
    """What a teacher is kept under: the dense run's id, and a hash of its data and model."""
    sources = f"{prepared.data_fingerprint} {prepared.model_fingerprint}"
    return f"{spec.id}-{hashlib.sha256(sources.encode()).hexdigest()[:DIGITS]}"


def taught_by(cells: list[RunSpec]) -> set[str]:
    """Ids of the dense runs that some cell wants as its teacher."""
    return {spec.dense().id for spec in cells if registry.asks(spec.regularizer, "needs_teacher")}
