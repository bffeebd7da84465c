"""Measures bytes and latency of finished cells whose weights were saved: dense and pruned in turns, on this machine's CPU.

Cells of scope 2:4 are timed compressed, on its GPU, where it has one.
"""

import copy
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from statistics import median

import torch
from safetensors.torch import save
from torch import Tensor, nn

from benchmark.bench.timing import interleave
from benchmark.board.board import Board
from benchmark.board.record import Record
from benchmark.board.weights import check_fit, kept_weights, weight_problems
from benchmark.errors import PrunebenchError
from benchmark.pruning.semi_structured import SCOPE, convert
from benchmark.report.efficiency import Measured
from benchmark.suite.spec import RunSpec
from benchmark.training.run import Options, open_task
from tasks.base import Batch, Prepared
from tasks.pipeline.prepared import to_device

ROWS = 8
"""Number of examples in the forward pass that is timed."""
LARGE = 128
"""The same on CUDA, where smaller batches wait for launches."""
ROUNDS, WARM = 20, 5
"""Forward passes of each model that count, and those before them that do not."""


def measure_cells(board: Board, records: Sequence[Record]) -> dict[str, Measured]:
    """Measurements by record id; PrunebenchError if no cell's weights were saved."""
    found: dict[str, Measured] = {}
    places = {spec.id: spec for spec in board.suite.cells()}
    for record in records:
        spec = places[record.id]
        if spec.is_dense or (pruned_weights := kept_weights(board.weights_folder, spec.id)) is None:
            continue
        if (dense_weights := kept_weights(board.weights_folder, spec.dense().id)) is None:
            continue
        if problem := next(weight_problems(record, pruned_weights), ""):
            raise PrunebenchError(f"{spec.cell}: its kept weights do not fit its record: {problem}")
        prepared = open_task(spec, Options(cache=board.cache / "data"))
        dense, pruned = (_built(prepared, spec, weights) for weights in (dense_weights, pruned_weights))
        state = pruned.state_dict()
        size = compressed_bytes({layer.name: state[layer.name] for layer in record.sparsity.layers})
        batch = next(iter(prepared.batches("train", ROWS, None)))
        found[record.id] = Measured(size, *_in_turns(prepared, dense, pruned, batch), "cpu")
        if spec.scope == SCOPE and torch.cuda.is_available():
            _, dense_ms, pruned_ms = measure_compressed(prepared, pruned.cuda())
            where = f"{torch.cuda.get_device_name()}, fp16, pruned to {SCOPE} and compressed"
            found[record.id] = replace(
                found[record.id], device=where, dense_milliseconds=dense_ms, pruned_milliseconds=pruned_ms
            )
    if not found:
        raise PrunebenchError(
            f"{board.folder}: no weights were kept of a cell and its dense run; `run --save-weights` keeps those that it trains"
        )
    return found


def measure_compressed(prepared: Prepared, model: nn.Module) -> tuple[nn.Module, float, float]:
    """A copy of `model` compressed to 2:4, and the milliseconds of a batch: by `model` itself, and by the copy.

    `model` lies on CUDA and is pruned; it is fp16 afterwards, as the copy is.
    """
    compressed = copy.deepcopy(model.half())
    convert(compressed)
    batch = to_device(next(iter(prepared.batches("train", LARGE, None))), model)
    return compressed, *_in_turns(prepared, model, compressed, batch)


def _in_turns(prepared: Prepared, first: nn.Module, second: nn.Module, batch: Batch) -> tuple[float, float]:
    """Median milliseconds of a batch by two models on the device of the first, in turns, so that drift affects both alike."""
    passes = {
        "first": partial(prepared.forward, first.eval(), batch),
        "second": partial(prepared.forward, second.eval(), batch),
    }
    with torch.no_grad():
        seconds = interleave(passes, ROUNDS, WARM, next(first.parameters()).device)
    return 1000 * median(seconds["first"]), 1000 * median(seconds["second"])


def _built(prepared: Prepared, spec: RunSpec, weights: dict[str, Tensor]) -> nn.Module:
    """The spec's model with these weights; PrunebenchError where they are not its own."""
    model = prepared.build(spec.seed)
    try:
        check_fit(weights, model.state_dict())
    except ValueError as error:
        raise PrunebenchError(f"{spec.cell}: kept weights that do not fit its model: {error}") from error
    model.load_state_dict(weights)
    return model


def packed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every tensor as a bit per entry (`NAME.mask`, uint8) and its non-zero values (`NAME.values`), flat.

    A tensor that this would not make smaller is kept as it is. Nothing is lost but the sign of -0.0.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        flat = tensor.detach().cpu().contiguous().flatten()
        kept = flat != 0
        values = flat[kept]
        if values.numel() * flat.element_size() + (flat.numel() + 7) // 8 >= flat.numel() * flat.element_size():
            found[name] = tensor.detach().cpu().contiguous().clone()
            continue
        padded = torch.nn.functional.pad(kept.to(torch.uint8), (0, -kept.numel() % 8)).view(-1, 8)
        found[f"{name}.mask"] = (padded << torch.arange(8, dtype=torch.uint8)).sum(1).to(torch.uint8)
        found[f"{name}.values"] = values.clone()
    return found


def compressed_bytes(state: Mapping[str, Tensor]) -> int:
    """Bytes of the packed weights as a gzipped safetensors file: what pruning saves on disk and in transfer."""
    return len(gzip.compress(save(packed(state)), compresslevel=6, mtime=0))
