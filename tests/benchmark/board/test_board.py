"""Boards: what counts as done, what is made again, and what a failure leaves."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.board.board import Board
from benchmark.board.record import failure_path, outcomes_path, record_path
from benchmark.engine.local import run_cells
from benchmark.errors import PrunebenchError
from benchmark.plugins.registry import load
from tests.benchmark.boards import CPU, NOT_FINITE, Watched, finish, make_board, times

# Done and not done.


def test_every_cell_leaves_a_record_and_its_outcomes(finished_board: Board) -> None:
    for spec in finished_board.suite.cells():
        assert finished_board.is_done(spec)
        assert outcomes_path(finished_board.records_folder, spec.id).is_file()
        assert finished_board.record(spec).id == spec.id
    records, problems = finished_board.records()
    assert {record.id for record in records} == {spec.id for spec in finished_board.suite.cells()}
    assert (problems, finished_board.failures()) == ([], {})


def test_what_stands_is_not_run_again(finished_board: Board) -> None:
    before, watched = times(finished_board), Watched()
    done = run_cells(finished_board, finished_board.cells(), watched, CPU)
    assert (done.finished, len(done.standing), done.failed, watched.told) == ([], 3, {}, [])
    assert times(finished_board) == before


def test_only_what_is_asked_for_is_run(tmp_path: Path) -> None:
    board = make_board(tmp_path, tasks=["glue/sst2", "squad"])
    assert [spec.cell for spec in board.cells("glue/*")] == [
        s.cell for s in board.suite.cells() if s.task == "glue/sst2"
    ]
    assert [spec.cell for spec in board.cells("*random*")] == ["glue/sst2 random 0.5 seed 0", "squad random 0.5 seed 0"]
    with pytest.raises(PrunebenchError, match=r"--only 'rte' matches no cell; tasks: glue/sst2, squad"):
        board.cells("rte")
    assert len(finish(board, "glue/sst2 dense*").finished) == 1
    assert len(times(board)) == 1


def test_a_folder_without_a_suite_is_no_board(tmp_path: Path, finished_board: Board) -> None:
    with pytest.raises(PrunebenchError, match=r"nowhere: no board there: expected a folder with a suite\.yaml"):
        Board.open(tmp_path / "nowhere")
    with pytest.raises(PrunebenchError, match=r"choices: .*finished\d"):
        Board.open(finished_board.folder.parent)


LOSSES = {
    "dense": [1.57346, 1.14610, 1.33050, 1.00878, 1.07151],
    "magnitude": [1.57346, 1.14610, 1.23005, 1.04345, 1.12075],
    "random": [1.57346, 1.14610, 0.71588, 0.73245, 0.73474],
}


def test_a_run_gives_the_numbers_that_it_always_gave(finished_board: Board) -> None:
    """Order of batches, learning rates, schedule, masks, updates: what changes one of them changes every published number."""
    for record in finished_board.records()[0]:
        expected = LOSSES[record.spec.criterion]
        assert [point.loss for point in record.curve] == pytest.approx(expected, rel=1e-3), record.spec.criterion


def test_a_cell_is_found_by_its_id_the_beginning_of_it_or_its_name(finished_board: Board) -> None:
    spec = finished_board.suite.cells()[1]
    assert finished_board.find(spec.id) == finished_board.find(spec.id[:10]) == finished_board.find(spec.cell) == spec
    with pytest.raises(PrunebenchError, match="'' names several cells"):
        finished_board.find("")


def test_of_many_cells_the_nearest_are_named(tmp_path: Path) -> None:
    board = make_board(tmp_path / "wide", criteria=["random", "magnitude"], seeds=list(range(30)))
    with pytest.raises(PrunebenchError) as caught:
        board.find("glue/sst2 magnitud 0.5 seed 7")
    said = str(caught.value)
    assert said.startswith(
        "'glue/sst2 magnitud 0.5 seed 7' names no cell of this board; did you mean 'glue/sst2 magnitude 0.5 seed 7'?"
    )
    assert said.count("glue/sst2") == 2 + 8
    assert said.endswith("and 82 more (see status)")


# Failures.


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Path]:
    """A criterion's file that gives scores that are not finite."""
    path = tmp_path / "broken.py"
    path.write_text(NOT_FINITE)
    load.cache_clear()
    yield path
    load.cache_clear()


def test_a_failing_cell_is_noted_and_the_others_finish(tmp_path: Path, broken: Path) -> None:
    board = make_board(tmp_path / "board", criteria=["random", str(broken), "magnitude"])
    watched = Watched()
    done = run_cells(board, board.cells(), watched, CPU)
    assert (len(done.finished), len(done.failed)) == (3, 1)
    assert [what for what, _ in watched.told].count("failed") == 1
    (failed,) = [spec for spec in board.suite.cells() if spec.id in done.failed]
    reason = done.failed[failed.id]
    assert re.match(r"criterion '.*broken.py' breaks its contract: Broken gives .*finite", reason)
    assert board.failures() == {failed.id: reason}
    assert "Traceback" in failure_path(board.records_folder, failed.id).read_text()
    assert board.records()[1] == []


def test_a_failure_beside_an_unreadable_record_is_not_forgotten(tmp_path: Path) -> None:
    board = make_board(tmp_path)
    spec = board.suite.cells()[0]
    board.fail(spec, "out of memory", "Traceback")
    record_path(board.records_folder, spec.id).write_text("")
    assert board.failures() == {spec.id: "out of memory"}
    failure_path(board.records_folder, spec.id).write_text("{")
    assert board.failures() == {spec.id: f"unreadable {spec.id}.failed.json"}


def test_other_data_beside_standing_records_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "glue" / "SST-2"
    folder.mkdir(parents=True)
    for name in ("train", "dev"):
        rows = "".join(f"word number {i}\t{i % 2}\n" for i in range(40))
        (folder / f"{name}.tsv").write_text("sentence\tlabel\n" + rows)
    board = make_board(tmp_path / "board", data=str(tmp_path / "data"), criteria=["random"])
    assert len(finish(board, "*dense*").finished) == 1
    with (folder / "dev.tsv").open("a") as file:
        file.write("one more\t1\n")
    reasons = list(finish(board).failed.values())
    assert len(reasons) == 1
    assert reasons[0].startswith("the data of glue/sst2 changed since this board's records were made (fingerprint ")
