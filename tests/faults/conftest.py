"""Finished boards: one that was trained, as in tests/benchmark, and one of made-up records."""

from pathlib import Path

import pytest

from tests.benchmark.conftest import board_copy, finished, finished_board  # noqa: F401 - fixtures
from tests.faults import boards


@pytest.fixture
def finished_copy(tmp_path: Path) -> Path:
    """A board of three cells, all finished, made without training; to do anything with."""
    return boards.finished(tmp_path / "finished").folder
