"""`run` says how much room kept weights will take before it takes it."""

import re
from pathlib import Path

from benchmark.board.weights import weights_path
from benchmark.commands.run import weights_room
from benchmark.engine.cell import Settings
from benchmark.engine.local import run_cells
from tests.benchmark.boards import Watched, make_board


def test_the_room_that_is_told_is_the_room_that_is_taken(tmp_path: Path) -> None:
    board = make_board(tmp_path)
    cells = board.suite.cells()
    said = weights_room(board, cells, Settings(device="cpu"))
    found = re.fullmatch(
        r"--save-weights: the weights of (\d+) runs will take ([\d.]+) GB in (.+); \d+ GB are free there", said
    )
    assert found is not None
    assert (int(found[1]), found[3]) == (len(cells), str(board.folder / "weights"))
    run_cells(board, cells, Watched(), Settings(device="cpu", save_weights=True))
    taken = sum(weights_path(board.weights_folder, spec.id).stat().st_size for spec in cells)
    assert abs(taken / 1e9 - float(found[2])) < 0.01


def test_a_task_that_cannot_be_opened_is_no_harm(tmp_path: Path) -> None:
    board = make_board(tmp_path)
    spec = board.suite.cells()[0].model_copy(update={"data": str(tmp_path / "nowhere")})
    assert weights_room(board, [spec], Settings(device="cpu")).startswith(
        "--save-weights: how much room the weights take cannot"
    )
