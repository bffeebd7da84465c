"""Bytes and latency of cells whose weights were kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.board.board import Board
from benchmark.board.weights import kept_weights, weights_path
from benchmark.commands import measure
from benchmark.commands.measure import compressed_bytes, packed
from benchmark.errors import PrunebenchError

CELL = "glue/sst2 magnitude 0.5 seed 0"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the cells whose weights were read."""
    ids: list[str] = []

    def noting(folder: Path, run_id: str) -> Any:
        ids.append(run_id)
        return kept_weights(folder, run_id)

    monkeypatch.setattr(measure, "kept_weights", noting)
    return ids


def test_a_pruned_cell_is_timed_beside_its_dense_model_and_no_other_weights_are_read(
    board_copy: Path, read: list[str]
) -> None:
    board = Board.open(board_copy)
    spec, gone = board.find(CELL), board.find("glue/sst2 random 0.5 seed 0")
    weights_path(board.weights_folder, gone.id).unlink()
    (found,) = measure.measure_cells(board, [board.record(one) for one in (spec.dense(), gone, spec)]).items()
    assert read == [gone.id, spec.id, spec.dense().id]
    assert found[0] == spec.id
    assert found[1].device == "cpu"
    assert min(found[1].dense_milliseconds, found[1].pruned_milliseconds) > 0
    prunable = board.record(spec).sparsity.prunable
    assert 4 * prunable / 2 * 0.8 < found[1].compressed_bytes < 4 * prunable / 2 * 1.2  # half of the weights are there


def test_without_kept_weights_nothing_is_measured(board_copy: Path) -> None:
    board = Board.open(board_copy)
    for path in board.weights_folder.iterdir():
        path.unlink()
    with pytest.raises(
        PrunebenchError, match="no weights were kept of a cell and its dense run; `run --save-weights` keeps"
    ):
        measure.measure_cells(board, [board.record(board.find(CELL))])


def unpacked(found: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that `packed` took apart, shaped as in `like`; -0.0 comes back as 0.0."""
    state: dict[str, Tensor] = {}
    for name, model in like.items():
        if name in found:
            state[name] = found[name]
            continue
        bits = (found[f"{name}.mask"].unsqueeze(1) >> torch.arange(8, dtype=torch.uint8)) & 1
        kept = bits.flatten()[: model.numel()].bool()
        flat = torch.zeros(model.numel(), dtype=found[f"{name}.values"].dtype)
        flat[kept] = found[f"{name}.values"]
        state[name] = flat.view(model.shape)
    return state


def sparse_linear(share: float, size: int = 128) -> nn.Linear:
    """A linear layer with this share of zeros."""
    layer = nn.Linear(size, size, bias=False)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(size, size, generator=generator))
        layer.weight.view(-1)[: round(share * size * size)] = 0
    return layer


def test_packing_is_exact_and_keeps_what_it_cannot_shrink() -> None:
    state = {
        "sparse": sparse_linear(0.9).weight,
        "dense": sparse_linear(0.0).weight,
        "odd": torch.tensor([0.0, 0, 3, 0, 0]),
    }
    found = packed(state)
    assert set(found) == {"sparse.mask", "sparse.values", "dense", "odd.mask", "odd.values"}
    assert found["odd.mask"].tolist() == [4]
    for name, tensor in unpacked(found, state).items():
        assert torch.equal(tensor, state[name])


def test_compression_saves_what_pruning_removed() -> None:
    dense, pruned = sparse_linear(0.0).state_dict(), sparse_linear(0.9).state_dict()
    assert compressed_bytes(pruned) < 0.15 * compressed_bytes(dense)
