"""Tiny boards of the embedded data, run once for all tests that only look at them; a registry that forgets."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.board.board import Board
from benchmark.engine.cell import Settings
from benchmark.engine.local import run_cells
from benchmark.engine.progress import Silent
from benchmark.plugins.registry import load
from tests.benchmark.boards import finish, make_board, write_suite


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


@pytest.fixture
def fresh_registry() -> Iterator[None]:
    """What is loaded under fake entry points is forgotten afterwards."""
    load.cache_clear()
    yield
    load.cache_clear()


@pytest.fixture(scope="session")
def finished_board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    """A finished board of three cells; not to be changed."""
    board = make_board(tmp_path_factory.mktemp("finished"))
    assert len(finish(board).finished) == 3
    return board
