"""Boards come together without losing or mixing anything."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmark.board.board import Board
from benchmark.commands.merge import merge
from benchmark.errors import PrunebenchError
from tests.benchmark.boards import write_suite


def edit(path: Path, **changes: object) -> None:
    raw = json.loads(path.read_text())
    raw.update(changes)
    path.write_text(json.dumps(raw))


def record_of(folder: Path, criterion: str) -> Path:
    spec = next(spec for spec in Board.open(folder).cells() if spec.criterion == criterion)
    return folder / "records" / f"{spec.id}.json"


def test_an_empty_board_takes_everything(finished: Path, tmp_path: Path) -> None:
    board = Board.open(write_suite(tmp_path / "mine"))
    assert len(merge(board, [finished]).taken) == 3
    assert len(board.records()[0]) == 3
    assert len(merge(board, [finished / "records"]).standing) == 3


def test_conflicting_results_are_named_and_nothing_changes(finished: Path, board_copy: Path, tmp_path: Path) -> None:
    edit(record_of(board_copy, "magnitude"), metrics={"accuracy": 99.0})
    board = Board.open(write_suite(tmp_path / "mine"))
    with pytest.raises(PrunebenchError, match=r"glue/sst2 magnitude 0.5 seed 0 .* \(other metrics\)$"):
        merge(board, [finished, board_copy])
    assert board.records()[0] == []


def test_what_ends_here_while_others_are_merged_is_kept(
    finished: Path, board_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runner of this board finishes its cells after the records were compared, one of them with another result."""
    edit(record_of(board_copy, "magnitude"), metrics={"accuracy": 99.0})
    board = Board.open(write_suite(tmp_path / "mine"))

    @contextmanager
    def others_end(_: Path) -> Iterator[None]:
        shutil.copytree(board_copy / "records", board.records_folder, dirs_exist_ok=True)
        yield

    monkeypatch.setattr("benchmark.commands.merge.holding", others_end)
    with pytest.raises(
        PrunebenchError, match=r"0 records merged, 2 stood already(.|\n)*magnitude 0.5 seed 0 .*99.00 here"
    ):
        merge(board, [finished])
    assert {record.metrics["accuracy"] for record in board.records()[0] if record.spec.criterion == "magnitude"} == {
        99.0
    }


def test_other_data_is_refused(finished: Path, board_copy: Path, tmp_path: Path) -> None:
    for path in (board_copy / "records").glob("*.json"):
        edit(path, data_fingerprint="another")
    board = Board.open(write_suite(tmp_path / "mine", criteria=["magnitude"]))
    merge(board, [finished])
    wider = Board.open(write_suite(tmp_path / "mine"))
    with pytest.raises(PrunebenchError, match="other data"):
        merge(wider, [board_copy])


def test_foreign_truncated_and_incomplete_records_are_left(board_copy: Path, tmp_path: Path) -> None:
    truncated = record_of(board_copy, "magnitude")
    truncated.write_text(truncated.read_text()[:100])
    record_of(board_copy, "dense").with_suffix(".npz").unlink()
    board = Board.open(write_suite(tmp_path / "mine", criteria=["magnitude"]))
    merged = merge(board, [board_copy])
    assert merged.taken == []
    assert len(merged.foreign) == 1  # random is not in this suite
    assert len(merged.problems) == 2
    assert "unreadable, left" in merged.summary()


def test_a_missing_folder_is_an_error(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match="no such folder"):
        merge(Board.open(finished), [tmp_path / "nowhere"])
