"""The index never says anything that the records do not: whatever happens to them, or to it."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark.bench.synthetic import write_board
from benchmark.board import index as indexes
from benchmark.board.board import Board
from benchmark.board.index import Index, index_file, shortened
from benchmark.board.record import Record, load_record, load_records

COUNT = 6


@pytest.fixture(autouse=True)
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made for a single record, and for the freshest."""
    monkeypatch.setattr(indexes, "WORTH", 1)
    monkeypatch.setattr(indexes, "SETTLED", -3600.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_board(tmp_path / "board", COUNT)
    return tmp_path / "board" / "records"


def file_of(folder: Path) -> Path:
    """The index of the board whose records lie in `folder`."""
    found = index_file(folder.parent)
    assert found is not None
    return found


def agrees(folder: Path, file: Path | None = None) -> Index:
    """The index tells what the records themselves tell, problems included."""
    records, problems = load_records(folder)
    found = Index(folder, file or file_of(folder))
    assert found.summaries([record.spec for record in records]) == [shortened(record) for record in records]
    assert [str(problem) for problem in found.problems] == [str(problem) for problem in problems]
    assert found.ids == {record.id for record in records}
    assert found.seconds() == {record.id: record.cost.total_seconds for record in records}
    return found


def record_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"))


def entries(file: Path) -> list[str]:
    """Names of the records in an index."""
    with closing(sqlite3.connect(file)) as base:
        return [name for (name,) in base.execute("SELECT name FROM records ORDER BY name")]


@pytest.fixture
def read_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the records that the index reads from their files, from now on."""
    asked: list[str] = []

    def watched(path: Path) -> Record:
        asked.append(path.name)
        return load_record(path)

    monkeypatch.setattr(indexes, "load_record", watched)
    return asked


def test_only_what_changed_is_read_again(folder: Path, read_files: list[str]) -> None:
    names = [path.name for path in record_files(folder)]
    agrees(folder)
    assert read_files == names
    (folder / names[2]).write_bytes((folder / names[2]).read_bytes())
    agrees(folder)
    agrees(folder)
    assert read_files == [*names, names[2]]


def test_a_board_without_records(tmp_path: Path) -> None:
    found = Index(tmp_path / "records", tmp_path / "cache" / "index.sqlite")
    assert (found.summaries([]), found.problems) == ([], [])
    assert not (tmp_path / "cache").exists()


def test_the_index_lies_outside_the_board_and_a_board_that_moves_has_another(folder: Path, tmp_path: Path) -> None:
    board = folder.parent
    agrees(folder)
    assert sorted(path.name for path in board.iterdir()) == ["records", "suite.yaml"]
    (tmp_path / "link").symlink_to(board)
    assert index_file(tmp_path / "link") == index_file(board)
    shutil.copytree(board, tmp_path / "copy")
    assert index_file(tmp_path / "copy") != index_file(board)
    agrees(tmp_path / "copy" / "records")


# The records change.


def edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


def truncate(path: Path) -> None:
    edit(path, lambda text: text[: len(text) // 2])


def same_size(path: Path) -> None:
    size = path.stat().st_size
    edit(path, lambda text: text.replace('"device": "synthetic"', '"device": "Synthetic"'))
    assert path.stat().st_size == size


def same_size_and_times(path: Path) -> None:
    """As a careful attacker, or a restored backup, would leave it."""
    at = path.stat()
    edit(path, lambda text: text.replace('"device": "synthetic"', '"device": "sYnthetic"'))
    os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))
    assert path.stat().st_size == at.st_size


def replaced(path: Path) -> None:
    """By a file with the same size and times, moved into its place."""
    other = path.with_suffix(".new")
    other.write_text(path.read_text().replace('"device": "synthetic"', '"device": "syNthetic"'))
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.rename(path)


def broken_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nowhere")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_stranger(path: Path) -> None:
    """A file that is no record beside the others."""
    path.with_name("notes.json").write_text("mine")


CHANGES: list[Callable[[Path], object]] = [
    truncate, same_size, same_size_and_times, replaced, broken_link, a_folder, a_pipe, Path.unlink,
    lambda path: path.write_text(""),
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_record_is_read_again(folder: Path, change: Callable[[Path], object]) -> None:
    before = agrees(folder).contents
    change(record_files(folder)[1])
    assert agrees(folder).contents != before
    if change in (same_size, same_size_and_times, replaced):
        assert agrees(folder).problems == []
    agrees(folder)


def test_added_and_removed_records(folder: Path) -> None:
    path = record_files(folder)[0]
    whole = path.read_bytes()
    path.unlink()
    agrees(folder)
    assert len(entries(file_of(folder))) == COUNT - 1
    path.write_bytes(whole)
    agrees(folder)
    path.unlink()
    agrees(folder)
    assert path.name not in entries(file_of(folder))
    a_stranger(path)
    assert [problem.path.name for problem in agrees(folder).problems] == ["notes.json"]


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
            CHANGES[how](files[which % len(files)])
        if look:
            agrees(board / "records")
    agrees(board / "records")


# The index changes.


def sql(*statements: str) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        with closing(sqlite3.connect(file)) as base, base:
            for statement in statements:
                base.execute(statement)

    return damage


def written(content: bytes) -> Callable[[Path], object]:
    return lambda file: file.write_bytes(content)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flipped(file: Path) -> None:
    """Every 97th byte behind the header is another one."""
    data = bytearray(file.read_bytes())
    data[100::97] = bytes(byte ^ 0x5A for byte in data[100::97])
    file.write_bytes(data)


def instead(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        file.unlink()
        make(file)

    return damage


def sparse(file: Path) -> None:
    file.touch()
    os.truncate(file, 1 << 40)


def of_another_board(file: Path) -> None:
    """A board whose records have the same names and say something else."""
    other = file.parent / "other"
    write_board(other, COUNT, seed=1)
    Index(other / "records", file.parent / "other.sqlite")
    (file.parent / "other.sqlite").replace(file)


SCORES = "UPDATE records SET content = CAST(REPLACE(CAST(content AS TEXT), '\"f1\":', '\"f2\":') AS BLOB)"
DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "empty": written(b""),
    "odd bytes": written(b"\xff\x00" * 5000),
    "text": written(b"[]"),
    "cut": cut,
    "flipped": flipped,
    "a folder": instead(Path.mkdir),
    "a full folder": instead(lambda file: (file / "x").mkdir(parents=True)),
    "a pipe": instead(os.mkfifo),
    "a link to /dev/zero": instead(lambda file: file.symlink_to("/dev/zero")),
    "a link to itself": instead(lambda file: file.symlink_to(file)),
    "a terabyte of nothing": instead(sparse),
    "another base": instead(sql("CREATE TABLE made (by TEXT)", "CREATE TABLE things (x)")),
    "another version": sql("UPDATE made SET by = 'an older one'"),
    "two versions": sql("INSERT INTO made VALUES ('an older one')"),
    "no table": sql("DROP TABLE records"),
    "other columns": sql("DROP TABLE records", "CREATE TABLE records (x)"),
    "a view": sql("ALTER TABLE records RENAME TO r", "CREATE VIEW records AS SELECT * FROM r, r"),
    "other scores": sql(SCORES),
    "no content": sql("UPDATE records SET content = NULL"),
    "a number for content": sql("UPDATE records SET content = 7"),
    "names swapped": sql("UPDATE records SET name = 'x' || name"),
    "half of it": sql("DELETE FROM records WHERE rowid % 2"),
    "stamps of nothing": sql("UPDATE records SET stamp = ''"),
    "of another board": of_another_board,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_changes_no_answer_and_is_made_anew(folder: Path, damage: str, read_files: list[str]) -> None:
    agrees(folder)
    DAMAGES[damage](file_of(folder))
    agrees(folder)
    read_files.clear()
    agrees(folder)
    assert damage.endswith("folder") or read_files == []


@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), length=st.integers(1, 64))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_index_changes_nothing_that_is_read(
    tmp_path_factory: pytest.TempPathFactory, place: float, byte: int, length: int
) -> None:
    board = tmp_path_factory.mktemp("any") / "board"
    write_board(board, 2)
    agrees(board / "records")
    file = file_of(board / "records")
    data = bytearray(file.read_bytes())
    at = int(place * len(data))
    data[at : at + length] = bytes([byte] * len(data[at : at + length]))
    file.write_bytes(data)
    agrees(board / "records")
    agrees(board / "records")


def test_an_index_that_cannot_be_written_is_done_without(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocker = folder.parent.parent / "file"
    blocker.write_text("not a folder")
    agrees(folder, blocker / "index.sqlite")
    monkeypatch.delenv("PRUNEBENCH_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert index_file(folder.parent) is None
    assert len(Index(folder, None).contents) == COUNT


def test_a_read_only_index_is_read(folder: Path, read_files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    agrees(folder)
    read_files.clear()
    connect = sqlite3.connect

    def read_only(file: Path, **given: object) -> sqlite3.Connection:
        return connect(f"file:{file}?mode=ro", uri=True, **given)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(sqlite3, "connect", read_only)
    agrees(folder)
    assert read_files == []
    same_size(record_files(folder)[0])
    agrees(folder)
    agrees(folder)
    assert read_files == [record_files(folder)[0].name] * 2


def test_a_locked_index_is_done_without_and_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agrees(folder)
    file = file_of(folder)
    monkeypatch.setattr(indexes, "PATIENCE", 0.01)
    with closing(sqlite3.connect(file, isolation_level=None)) as base:
        base.execute("BEGIN EXCLUSIVE")
        same_size(record_files(folder)[0])
        agrees(folder)
    assert len(entries(file)) == COUNT
    agrees(folder)


TWO = """
import sys
from pathlib import Path
from benchmark.board import index
index.WORTH, index.SETTLED = 1, -3600.0
folder = Path(sys.argv[1])
for _ in range(15):
    found = index.Index(folder / "records", index.index_file(folder))
    assert len(found.contents) == int(sys.argv[2]) and not found.problems
    path = sorted((folder / "records").glob("*.json"))[int(sys.argv[3])]
    path.touch()
    if sys.argv[3] == "0":
        index.index_file(folder).unlink(missing_ok=True)
"""


def test_two_processes_write_it_at_once_while_it_is_deleted(folder: Path) -> None:
    words = [sys.executable, "-c", TWO, str(folder.parent), str(COUNT)]
    running = [subprocess.Popen([*words, which], stderr=subprocess.PIPE, text=True) for which in ("0", "1", "2")]
    assert [process.communicate()[1] for process in running] == [""] * 3
    agrees(folder)


def test_fresh_files_are_not_entered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change within the clock's tick would go unseen."""
    monkeypatch.setattr(indexes, "SETTLED", 3600.0)
    agrees(folder)
    assert not file_of(folder).exists()


def test_small_boards_have_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes, "WORTH", COUNT + 1)
    agrees(folder)
    assert not file_of(folder).exists()


def test_a_board_shows_its_summaries(folder: Path) -> None:
    board = Board.open(folder.parent)
    records, problems = board.summaries()
    whole = {record.id: record for record in board.records()[0]}
    assert (records, problems) == ([shortened(whole[cell.id]) for cell in board.cells() if cell.id in whole], [])
    assert all((record.curve, record.sparsity.layers) == ([], []) for record in records)
    truncate(record_files(folder)[0])
    assert [problem.path for problem in board.summaries()[1]] == [record_files(folder)[0]]
    assert [problem.path for problem in board.unreadable(board.cells())] == [record_files(folder)[0]]
