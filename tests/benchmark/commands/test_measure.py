"""Bytes and latency of cells whose weights were kept."""

from pathlib import Path
from typing import Any

import pytest

from benchmark.board.board import Board
from benchmark.board.weights import kept_weights, weights_path
from benchmark.commands import measure
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
    with pytest.raises(PrunebenchError, match="no weights were kept; run the board with --save-weights"):
        measure.measure_cells(board, [board.record(board.find(CELL))])
