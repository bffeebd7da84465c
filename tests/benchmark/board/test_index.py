"""The index never says anything that the records do not: whatever happens to them, or to it."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark.bench.synthetic import write_board
from benchmark.board import heads
from benchmark.board import index as store
from benchmark.board.board import Board
from benchmark.board.heads import shortened
from benchmark.board.index import Index
from benchmark.board.record import load_records

COUNT = 6


@pytest.fixture(autouse=True)
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Written for a single record, and for the freshest."""
    monkeypatch.setattr(store, "WORTH", 1)
    monkeypatch.setattr(store, "SETTLED", -3600.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_board(tmp_path / "board", COUNT)
    return tmp_path / "board" / "records"


def index(folder: Path) -> Index:
    return Index(folder, folder.parent / ".cache" / "index")


def agrees(folder: Path) -> Index:
    """The index tells what the records themselves tell, problems included."""
    records, problems = load_records(folder)
    found = index(folder)
    assert found.summaries() == [shortened(record) for record in records]
    assert [str(problem) for problem in found.problems] == [str(problem) for problem in problems]
    assert found.ids == {record.id for record in records}
    seconds = {f"{record.id}.json": (record.spec.task, record.cost.total_seconds) for record in records}
    assert {name: (seen.task, seen.seconds) for name, seen in found.seen.items()} == seconds
    return found


def record_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.json"))


def test_unchanged_records_are_not_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    read = heads.read_heads

    def watched(at: Path, names: list[str]) -> list[bytes]:
        asked.append(names)
        return read(at, names)

    monkeypatch.setattr(store, "read_heads", watched)
    names = [path.name for path in record_files(folder)]
    agrees(folder)
    (folder / names[2]).write_bytes((folder / names[2]).read_bytes())
    agrees(folder)
    agrees(folder)
    assert asked == [names, [names[2]], []]


def test_a_board_without_records(tmp_path: Path) -> None:
    assert (index(tmp_path / "records").summaries(), index(tmp_path / "records").problems) == ([], [])
    assert not (tmp_path / ".cache").exists()


def edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


def truncate(path: Path) -> None:
    edit(path, lambda text: text[: len(text) // 2])


def same_size_and_times(path: Path) -> None:
    """As a careful attacker, or a restored backup, would leave it."""
    at = path.stat()
    edit(path, lambda text: text.replace('"threads": "1"', '"threads": "7"'))
    os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))
    assert path.stat().st_size == at.st_size


def replaced(path: Path) -> None:
    """By a file with the same size and times, moved into its place."""
    other = path.with_suffix(".new")
    other.write_text(path.read_text().replace('"threads": "1"', '"threads": "8"'))
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.rename(path)


def broken_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nowhere")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


CHANGES: list[Callable[[Path], object]] = [
    truncate,
    same_size_and_times,
    replaced,
    broken_link,
    a_folder,
    Path.unlink,
    lambda path: path.write_text(""),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_record_is_read_again(folder: Path, change: Callable[[Path], object]) -> None:
    before = agrees(folder).summaries()
    change(record_files(folder)[1])
    assert agrees(folder).summaries() != before
    agrees(folder)


def test_a_record_that_is_mended_counts_again(folder: Path) -> None:
    path = record_files(folder)[0]
    whole = path.read_text()
    truncate(path)
    assert len(agrees(folder).problems) == 1
    assert len(agrees(folder).problems) == 1  # said every time, not only when it was new
    path.write_text(whole)
    assert agrees(folder).problems == []


@given(
    steps=st.lists(st.tuples(st.integers(0, COUNT - 1), st.integers(0, len(CHANGES) - 1), st.booleans()), max_size=6)
)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sequence_of_changes(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, bool]]) -> None:
    board = tmp_path_factory.mktemp("any") / "board"
    write_board(board, COUNT)
    for which, how, look in steps:
        files = [path for path in record_files(board / "records") if path.is_file() and path.stat().st_size > 1000]
        if files:
            CHANGES[how if '"threads": "1"' in files[which % len(files)].read_text() else 0](files[which % len(files)])
        if look:
            agrees(board / "records")
    agrees(board / "records")


# The index itself.


def damaged(name: str, content: bytes | None) -> Callable[[Path], None]:
    def damage(at: Path) -> None:
        path = at / name
        path.write_bytes(path.read_bytes()[:-20] if content is None else content)

    return damage


def another_head(at: Path) -> None:
    """The heads of other records, whole and valid."""
    path = at / "heads.jsonl"
    path.write_text(path.read_text().replace('"accuracy":', '"f2":'))


def fewer(at: Path) -> None:
    facts = json.loads((at / "seen.json").read_text())
    facts["records"] = dict(list(facts["records"].items())[::2])
    (at / "seen.json").write_text(json.dumps(facts))


def another_version(at: Path) -> None:
    edit(at / "seen.json", lambda text: text.replace('"version": "', '"version": "0'))


@pytest.mark.parametrize(
    "damage",
    [
        damaged("seen.json", None), damaged("heads.jsonl", None), damaged("seen.json", b""), damaged("heads.jsonl", b""),
        damaged("seen.json", b"[]"), damaged("seen.json", b'{"records": 7}'), damaged("seen.json", b"[" * 9999),
        damaged("heads.jsonl", b"\xff\x00"), another_head, fewer, another_version,
        lambda at: (at / "heads.jsonl").unlink(), lambda at: (at / "seen.json").unlink(),
    ],
)  # fmt: skip
def test_a_damaged_index_is_none(folder: Path, damage: Callable[[Path], None]) -> None:
    agrees(folder)
    damage(folder.parent / ".cache" / "index")
    agrees(folder)
    agrees(folder)


def test_a_damaged_index_that_cannot_be_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agrees(folder)
    another_head(folder.parent / ".cache" / "index")

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(store, "write_bytes", full)
    monkeypatch.setattr(Path, "unlink", full)
    agrees(folder)


def test_fresh_files_are_not_entered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change within the clock's tick would go unseen."""
    monkeypatch.setattr(store, "SETTLED", 3600.0)
    agrees(folder)
    assert json.loads((folder.parent / ".cache" / "index" / "seen.json").read_text())["records"] == {}


def test_small_boards_keep_no_index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "WORTH", COUNT + 1)
    agrees(folder)
    assert not (folder.parent / ".cache").exists()


def test_several_processes_read_as_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truncate(record_files(folder)[3])
    names = [path.name for path in record_files(folder)]
    alone = heads.read_heads(folder, names)
    monkeypatch.setattr(heads, "ALONE", 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert heads.read_heads(folder, names) == alone
    assert [bool(head) for head in alone] == [True, True, True, False, True, True]
    monkeypatch.setattr(heads, "COMMAND", ["false"])
    assert heads.read_heads(folder, names) == [b""] * COUNT
    agrees(folder)


def test_a_board_shows_its_summaries(folder: Path) -> None:
    board = Board.open(folder.parent)
    records, problems = board.summaries()
    assert (records, problems) == ([shortened(record) for record in board.records()[0]], [])
    assert all((record.curve, record.sparsity.layers) == ([], []) for record in records)
    truncate(record_files(folder)[0])
    assert [problem.path for problem in board.summaries()[1]] == [record_files(folder)[0]]
    assert [problem.path for problem in board.unreadable(board.cells())] == [record_files(folder)[0]]
