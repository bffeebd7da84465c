"""Finished boards without training: true specs and ids, made-up numbers."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.board.board import Board
from benchmark.board.outcomes import pack_outcomes
from benchmark.board.record import save_record
from tests.benchmark.boards import make_board
from tests.benchmark.report.factory import make_record

OUTCOMES = {"label": np.array([1, 0, 1, 1]), "prediction": np.array([1, 0, 0, 1])}


def finished(folder: Path, **changes: Any) -> Board:
    """A board with a record for each cell."""
    board = make_board(folder, **changes)
    data = pack_outcomes(OUTCOMES)
    for spec in board.suite.cells():
        record = make_record(spec, 75.0, outcomes_sha256=hashlib.sha256(data).hexdigest())
        save_record(board.records_folder, record, data)
    return board
