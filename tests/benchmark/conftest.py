"""A tiny board of the embedded data, run once for all tests that only look at it."""

import shutil
from pathlib import Path

import pytest
import yaml

from benchmark.board import Board
from benchmark.engine.local import Settings, run_cells
from tests.benchmark.silent import Silent

TINY = {
    "title": "tiny",
    "tasks": ["glue/sst2"],
    "criteria": ["magnitude", "random"],
    "sparsities": [0.5],
    "training": {"steps": 4, "batch_size": 4, "lr": 1e-3, "max_length": 32, "eval_examples": 20},
}


def write_suite(folder: Path, **changes: object) -> Path:
    """A board folder with the tiny suite, changed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "suite.yaml").write_text(yaml.safe_dump(TINY | changes))
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny board with weights kept; look, do not touch."""
    folder = write_suite(tmp_path_factory.mktemp("boards") / "tiny")
    board = Board.open(folder)
    assert not run_cells(board, board.cells(), Silent(), Settings(save_weights=True)).failed
    return folder


@pytest.fixture
def board_copy(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished board to do anything with."""
    return Path(shutil.copytree(finished, tmp_path / "board"))
