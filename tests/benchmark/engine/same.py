"""Whether two boards hold the same results."""

import json
from pathlib import Path
from typing import Any

from benchmark.board.board import Board
from benchmark.board.record import outcomes_path, record_path

MACHINE = ("cost", "environment")
"""What may differ between two runs of one cell."""


def results(board: Board) -> dict[str, tuple[dict[str, Any], bytes]]:
    """By id: all that a record says but what the run cost and where it ran, and its outcomes, bit for bit."""
    folder = board.records_folder
    found = {}
    for spec in board.suite.cells():
        path = record_path(folder, spec.id)
        if path.exists():
            facts = {key: value for key, value in json.loads(path.read_text()).items() if key not in MACHINE}
            found[spec.id] = (facts, outcomes_path(folder, spec.id).read_bytes())
    return found


def same(board: Board, other: Board) -> bool:
    """Whether both are complete and alike."""
    ours = results(board)
    return set(ours) == {spec.id for spec in board.suite.cells()} and ours == results(other)


def left_behind(board: Board) -> list[Path]:
    """Temporary files, failures and checkpoints that a finished board should not have."""
    return [*board.records_folder.glob(".*"), *board.records_folder.glob("*.failed.json"), *board.checkpoints.glob("*")]
