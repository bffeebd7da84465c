"""SIGKILL at random moments of a board: afterwards its records are those of a board that nobody disturbed.

PRUNEBENCH_KILLS sets how many; the project's fault table is made with 100.
"""

import json
import os
from pathlib import Path

from benchmark.board.board import Board
from benchmark.board.outcomes import load_outcomes
from benchmark.board.record import record_path
from benchmark.board.weights import load_weights
from tests.benchmark import nursery
from tests.benchmark.boards import facts, finish, make_board
from tests.benchmark.forked import Forked

KILLS = int(os.environ.get("PRUNEBENCH_KILLS", "8"))


def disturbed(board: Board, seed: int) -> dict[str, int]:
    """Run the board under kills; what the nursery counted."""
    nursing = Forked(nursery.main, board.folder, KILLS, seed)
    said = nursing.communicate(timeout=1800)
    assert nursing.returncode == 0, said
    counted: dict[str, int] = json.loads(said.splitlines()[-1])
    return counted


def test_killed_runners_lose_nothing(tmp_path: Path) -> None:
    suite = {
        "criteria": ["principled", "movement"],
        "regularizers": ["self_regularization", "distillation"],
    }
    board, calm = make_board(tmp_path / "disturbed", **suite), make_board(tmp_path / "calm", **suite)
    counted = disturbed(board, seed=0)
    assert (counted["killed"], counted["exit"]) == (KILLS, 0)
    finish(calm)
    assert board.records()[1] == []
    assert board.failures() == {}
    for spec in board.suite.cells():
        ours, theirs = (record_path(b.records_folder, spec.id) for b in (board, calm))
        assert facts(ours) == facts(theirs) | {"environment": facts(ours)["environment"]}
        assert ours.with_suffix(".npz").read_bytes() == theirs.with_suffix(".npz").read_bytes()
        assert load_outcomes(board.records_folder, board.record(spec))
        assert load_weights(board.weights_folder, spec.id) is not None
    assert list(board.checkpoints.iterdir()) == []
    assert [path.name for path in board.folder.rglob("*.tmp")] == []
