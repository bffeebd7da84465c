"""Measures bytes and latency of finished cells whose weights were saved: dense and pruned in turns, on this machine's CPU.

Cells of scope 2:4 are timed compressed, on its GPU, where it has one.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from benchmark.bench.timing import wait
from benchmark.board.board import Board
from benchmark.board.record import Record
from benchmark.board.weights import check_fit, kept_weights
from benchmark.errors import PrunebenchError
from benchmark.pruning.semi_structured import SCOPE, convert
from benchmark.report.measured import Measured, in_turns, measure
from benchmark.suite.spec import RunSpec
from benchmark.training.run import Options, open_task
from tasks.base import Batch, Prepared
from tasks.pipeline.decided import moved

ROWS = 8
"""Number of examples in the forward pass that is timed."""
LARGE = 128
"""The same on CUDA, where smaller batches wait for launches."""


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
        weights = [kept_weights(board.weights_folder, run_id) for run_id in (spec.dense().id, spec.id)]
        if spec.is_dense or None in weights:
            continue
        prepared = open_task(spec, Options(cache=board.cache / "data"))
        dense, pruned = (_forward(prepared, spec, state) for state in weights if state is not None)
        prunable = {f"model.{layer.name}" for layer in record.sparsity.layers}
        found[record.id] = measure(dense, pruned, {}, names=prunable)
        if spec.scope == SCOPE and torch.cuda.is_available():
            _, dense_ms, pruned_ms = measure_compressed(prepared, pruned.model.cuda())
            where = f"{torch.cuda.get_device_name()}, fp16, pruned to {SCOPE} and compressed"
            found[record.id] = replace(
                found[record.id], device=where, dense_milliseconds=dense_ms, pruned_milliseconds=pruned_ms
            )
    if not found:
        raise PrunebenchError(f"{board.folder}: no weights were kept; run the board with --save-weights")
    return found


def measure_compressed(prepared: Prepared, model: nn.Module) -> tuple[nn.Module, float, float]:
    """A copy of `model` compressed to 2:4, and the milliseconds of a batch: by `model` itself, and by the copy.

    `model` lies on CUDA and is pruned; it is fp16 afterwards, as the copy is.
    """
    compressed = copy.deepcopy(model.half())
    convert(compressed)
    device = next(model.parameters()).device
    batch = moved(next(iter(prepared.batches("train", LARGE, None))), lambda tensor: tensor.to(device))

    def forward(one: nn.Module) -> Callable[[], None]:
        def run() -> None:
            prepared.forward(one.eval(), batch)
            wait(device)

        return run

    with torch.no_grad():
        return compressed, *in_turns(forward(model), forward(compressed), repeats=20, warmup=5)


def _forward(prepared: Prepared, spec: RunSpec, weights: dict[str, Tensor]) -> OneForward:
    model = prepared.build(spec.seed)
    try:
        check_fit(weights, model.state_dict())
    except ValueError as error:
        raise PrunebenchError(f"{spec.cell}: kept weights that do not fit its model: {error}") from error
    model.load_state_dict(weights)
    return OneForward(prepared, model, next(iter(prepared.batches("train", ROWS, None))))
