"""What a worker elsewhere sends of a cell: nothing but a whole record of the very cell is taken, and a standing one stays."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.board.board import Board
from benchmark.engine.artifacts import collect_artifacts, store_artifacts
from benchmark.errors import PrunebenchError
from tests.benchmark.boards import make_board


def test_only_a_whole_record_of_the_cell_is_stored(finished_board: Board, tmp_path: Path) -> None:
    board = make_board(tmp_path)
    dense, random, _ = board.suite.cells()
    artifacts = collect_artifacts(finished_board, dense)
    for wrong in (
        replace(artifacts, record=b"{}"),
        replace(artifacts, outcomes=b"damaged"),
        replace(artifacts, outcomes=None),
        collect_artifacts(finished_board, random),
    ):
        with pytest.raises(PrunebenchError, match=r"is no record of it|damaged on the way"):
            store_artifacts(board, dense, wrong)
        assert not board.is_done(dense)
    store_artifacts(board, dense, replace(artifacts, teachers={"../../escaped.safetensors": b"x"}))
    assert board.record(dense) == finished_board.record(dense)
    assert not list(tmp_path.rglob("*escaped*"))
    before = (board.records_folder / f"{dense.id}.json").stat().st_mtime_ns
    store_artifacts(board, dense, artifacts)
    assert (board.records_folder / f"{dense.id}.json").stat().st_mtime_ns == before
