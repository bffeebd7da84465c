"""Measures bytes and latency of finished cells whose weights were saved: dense and pruned in turns, on this machine's CPU."""

from collections.abc import Sequence

from torch import Tensor, nn

from benchmark.board.board import Board
from benchmark.board.record import Record
from benchmark.board.weights import check_fit, load_weights
from benchmark.errors import PrunebenchError
from benchmark.report.measured import Measured, measure
from benchmark.suite.spec import RunSpec
from benchmark.training.run import Options, open_task
from tasks.base import Batch, Prepared

ROWS = 8
"""Number of examples in the forward pass that is timed."""


class OneForward(nn.Module):
    """A model and the batch that it is timed on."""

    def __init__(self, prepared: Prepared, model: nn.Module, batch: Batch) -> None:
        super().__init__()
        self.model, self._prepared, self._batch = model, prepared, batch

    def forward(self) -> tuple[Tensor, Tensor]:
        """The task's forward pass on that batch."""
        return self._prepared.forward(self.model, self._batch)


def measure_cells(board: Board, records: Sequence[Record]) -> dict[str, Measured]:
    """Measurements by record id; PrunebenchError if no cell's weights were saved."""
    found: dict[str, Measured] = {}
    places = {spec.id: spec for spec in board.suite.cells()}
    for record in records:
        spec = places[record.id]
        weights = [load_weights(board.weights_folder, run_id) for run_id in (spec.dense().id, spec.id)]
        if spec.is_dense or None in weights:
            continue
        prepared = open_task(spec, Options(cache=board.cache / "data"))
        dense, pruned = (_forward(prepared, spec, state) for state in weights if state is not None)
        prunable = {f"model.{layer.name}" for layer in record.sparsity.layers}
        found[record.id] = measure(dense, pruned, {}, names=prunable)
    if not found:
        raise PrunebenchError(f"{board.folder}: no weights were kept; run the board with --save-weights")
    return found


def _forward(prepared: Prepared, spec: RunSpec, weights: dict[str, Tensor]) -> OneForward:
    model = prepared.build(spec.seed)
    try:
        check_fit(weights, model.state_dict())
    except ValueError as error:
        raise PrunebenchError(f"{spec.cell}: kept weights that do not fit its model: {error}") from error
    model.load_state_dict(weights)
    return OneForward(prepared, model, next(iter(prepared.batches("train", ROWS, None))))
