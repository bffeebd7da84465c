"""A finished board of records, outcomes and nothing else, made without training."""

from pathlib import Path

import pytest

from tests.faults.boards import finished


@pytest.fixture
def finished_copy(tmp_path: Path) -> Path:
    """A board of three cells, all finished; to do anything with."""
    return finished(tmp_path / "finished").folder
