"""Status: the same with and without what is kept for large boards, and quick because of it."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from benchmark.bench.synthetic import write_board
from benchmark.board import index as indexes
from benchmark.board.board import Board
from benchmark.board.index import index_file, planned
from benchmark.board.record import record_path
from benchmark.commands.status import status_lines
from benchmark.errors import PrunebenchError
from tests.benchmark.boards import NOT_FINITE, make_board

QUICK = """
import sys
from pathlib import Path
from benchmark.board import index
from benchmark.commands.status import status_lines
index.WORTH = 1
print("\\n".join(status_lines(Path(sys.argv[1]), {})))
print("torch" in sys.modules)
"""


@pytest.fixture
def board(tmp_path: Path) -> Path:
    write_board(tmp_path / "board", 5)
    return tmp_path / "board"


@pytest.fixture
def _kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes, "WORTH", 1)
    monkeypatch.setattr(indexes, "SETTLED", -3600.0)


def kept(board: Path) -> bool:
    """Whether the board has an index."""
    file = index_file(board)
    return file is not None and file.exists()


def expansions(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Boards that were opened, from now on."""
    opened: list[Path] = []
    plain = Board.open

    def watched(folder: Path, *given: Any, **options: Any) -> Board:
        opened.append(folder)
        return plain(folder, *given, **options)

    monkeypatch.setattr(Board, "open", watched)
    return opened


def test_the_same_with_and_without_what_is_kept(board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Board.open(board)
    cells = opened.suite.cells()
    opened.fail(cells[6], "out of memory", "log")
    opened.fail(cells[1], "an old failure, run again since", "log")
    record_path(opened.records_folder, cells[2].id).write_text("{")
    (opened.records_folder / "notes.json").write_text("mine")
    plain = status_lines(board, {})
    assert not kept(board)
    assert plain[0] == "glue/rte: 4 done, 1 failed, 56 missing"
    assert plain[8] == f"FAILED {cells[6].cell}: out of memory"
    assert sorted(line.split(":")[0] for line in plain[9:11]) == ["unreadable, not counted"] * 2
    assert plain[11].startswith("in all 4 of 488 done; about ")
    monkeypatch.setattr(indexes, "WORTH", 1)
    monkeypatch.setattr(indexes, "SETTLED", -3600.0)
    assert status_lines(board, {}) == plain
    assert kept(board)
    assert status_lines(board, {}) == plain


def test_an_indexed_board_needs_no_torch(board: Path) -> None:
    def told() -> list[str]:
        done = subprocess.run([sys.executable, "-c", QUICK, str(board)], capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    first, again = told(), told()
    assert (first[-1], again[-1]) == ("True", "False")
    assert first[:-1] == again[:-1]


@pytest.mark.usefixtures("_kept")
def test_a_plan_counts_while_its_sources_are_what_they_were(board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = expansions(monkeypatch)
    first = planned(board, {})
    assert planned(board, {}).cells == first.cells
    assert len(opened) == 1
    assert len(planned(board, {"seeds": [0, 1]}).cells) == 2 * len(first.cells)
    assert len(opened) == 2
    (board / "suite.yaml").write_text((board / "suite.yaml").read_text().replace('"random",', ""))
    assert len(planned(board, {}).cells) < len(first.cells)
    assert len(opened) == 3
    monkeypatch.setattr(indexes, "_program", lambda: "another version")
    planned(board, {})
    assert len(opened) == 4


@pytest.mark.usefixtures("_kept")
@pytest.mark.parametrize(
    "damage", ["content = '{'", "content = NULL", "content = X'5B5D'", "stamp = ''", "checksum = checksum + 1"]
)
def test_a_damaged_plan_is_none(board: Path, damage: str) -> None:
    first = planned(board, {})
    with closing(sqlite3.connect(index_file(board) or "")) as base, base:
        base.execute(f"UPDATE plans SET {damage}")
    assert planned(board, {}).cells == first.cells
    assert planned(board, {}).cells == first.cells


@pytest.mark.usefixtures("_kept")
def test_a_folder_that_came_or_went_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    folder = make_board(tmp_path / "board", data=str(tmp_path / "data")).folder
    opened = expansions(monkeypatch)
    planned(folder, {})
    planned(folder, {})
    assert len(opened) == 1
    (tmp_path / "data").rmdir()
    with pytest.raises(PrunebenchError, match="no folder"):
        planned(folder, {})


@pytest.mark.usefixtures("_kept")
def test_no_plan_is_kept_of_a_board_with_plugins_of_others(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(NOT_FINITE.replace("Broken", "Mine"))
    folder = make_board(tmp_path / "board", criteria=[str(tmp_path / "mine.py")]).folder
    before = planned(folder, {})
    assert not kept(folder)
    assert before.tasks == ["glue/sst2"]
