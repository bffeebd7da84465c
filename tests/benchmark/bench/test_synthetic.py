"""Synthetic boards are boards; what is measured of them is what a person would wait for."""

from pathlib import Path

import pytest

from benchmark.bench import records as reading
from benchmark.bench.records import measure_records
from benchmark.bench.synthetic import LAYERS, POINTS, grid, write_board
from benchmark.bench.workers import cells_of, folder_cost, grown
from benchmark.board.board import Board
from benchmark.board.outcomes import load_outcomes
from benchmark.errors import PrunebenchError


def test_a_synthetic_board_holds_together(tmp_path: Path) -> None:
    write_board(tmp_path / "board", 7)
    board = Board.open(tmp_path / "board")
    records, problems = board.records()
    assert (len(records), problems) == (7, [])
    assert {record.id for record in records} == {spec.id for spec in board.suite.cells()[:7]}
    for record in records:
        assert (len(record.curve), len(record.sparsity.layers)) == (POINTS, len(LAYERS))
        assert set(load_outcomes(board.records_folder, record)) == {"label", "prediction"}
    assert 8_000 < next(board.records_folder.glob("*.json")).stat().st_size < 13_000  # as a real one
    with pytest.raises(PrunebenchError, match="a synthetic board is written into a new folder"):
        write_board(tmp_path / "board", 7)


def test_the_grid_is_just_large_enough() -> None:
    one = len(grid(1).cells())
    assert [len(grid(count).cells()) for count in (one, one + 1, 3 * one)] == [one, 2 * one, 3 * one]


def test_the_grown_board_keeps_its_teachers(tmp_path: Path) -> None:
    board = tmp_path / "board"
    suite = write_board(board, 488)
    opened = Board.open(board)
    cells = cells_of(opened, opened.records()[0])
    assert len(cells) == len(suite.cells()) == 488
    teachers = {cell.teacher for cell in cells} - {None}
    assert all(cells[teacher].teacher is None for teacher in teachers if teacher is not None)
    more = grown(cells, 1000, 2.0)
    assert len(more) == 3 * 488
    assert more[488 + 5].seconds == 2 * cells[5].seconds
    assert {cell.teacher for cell in more[976:]} - {None} == {
        976 + teacher for teacher in teachers if teacher is not None
    }
    assert all(seconds > 0 for seconds in folder_cost(board, 3))


@pytest.mark.slow
def test_the_section_times_every_reading_command_and_stops_at_an_unreadable_record(tmp_path: Path) -> None:
    section = measure_records(20, tmp_path / "board", quick=True)
    assert section.name == "records-20"
    assert [row[0] for row in section.rows][:2] == ["status, first", "status, again"]
    assert all(target.measured is None for target in section.targets)
    (tmp_path / "board" / "records" / "0.json").write_text("")
    with pytest.raises(PrunebenchError, match="unreadable"):
        list(reading._load("whole", "records", tmp_path / "board", 20))
