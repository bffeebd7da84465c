"""Every output, every step of writing it, a full and a broken disk: the old file stands or nothing, and one sentence says which.

The table of docs/safety.md is what these tests inject.
"""

import errno
import os
import re
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from benchmark.board.board import Board
from benchmark.board.outcomes import pack_outcomes
from benchmark.board.record import load_record, load_records, save_record
from benchmark.board.weights import load_weights, save_weights
from benchmark.commands.new import new
from benchmark.machine.atomic import WriteError, disk_trouble, write_text
from benchmark.report.figures.style import save
from benchmark.report.page import write as page_writer
from benchmark.report.page.board import PageBoard
from tasks.pipeline.features import Features
from tests.benchmark.boards import make_board
from tests.benchmark.report.factory import make_board as make_records
from tests.benchmark.report.factory import make_record, make_spec
from tests.command import Command
from tests.faults.disk import BROKEN, DENIED, FULL, READONLY, STEPS, failing, files

Output = Callable[[Path, int], None]
"""Writes its files into a folder; a second version of them has other bytes."""


def record(folder: Path, version: int) -> None:
    save_record(folder, make_record(make_spec(), 80.0 + version), pack_outcomes({"a": np.array([version])}))


def weights(folder: Path, version: int) -> None:
    save_weights(folder, "0123456789abcdef", {"a": torch.full((3,), float(version))})


def teacher(folder: Path, version: int) -> None:
    save_weights(folder / "teachers", "0123456789abcdef-0123456789abcdef", {"a": torch.full((3,), float(version))})


def table(folder: Path, version: int) -> None:
    write_text(folder / "table.md", f"| {version} |")


def failure(folder: Path, version: int) -> None:
    board = Board.open(folder) if (folder / "suite.yaml").exists() else make_board(folder)
    board.fail(board.suite.cells()[0], f"reason {version}", "log")


def figures(folder: Path, version: int) -> None:
    """Two files of one drawing: what is tested is their writing."""
    for name in ("score-cost", "ranks"):
        save(_drawn(version), folder / f"{name}.svg")


@cache
def _drawn(version: int) -> Figure:
    figure = Figure(figsize=(1, 1))
    figure.suptitle(str(version))
    return figure


def report(folder: Path, version: int) -> None:
    """The text of the page is made once."""
    text = _text(version)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_writer, "page", lambda *_, **__: text)
        page_writer.write_page([], folder / "report.html")


@cache
def _text(version: int) -> str:
    specs, records = make_records(tasks=("glue/rte",), criteria={"magnitude": 60.0}, sparsities=(0.5,), seeds=(0,))
    return page_writer.page([PageBoard(f"Title {version}", records, specs, {}, [], "board")])


def tokenized(folder: Path, version: int) -> None:
    example = np.arange(version + 1)
    Features({}, {"label": example}, example).save(folder / "key.safetensors")


OUTPUTS: dict[str, Output] = {
    function.__name__: function for function in (record, weights, teacher, table, failure, figures, report, tokenized)
}
FAULTS = [*product(STEPS, (FULL, BROKEN)), ("mkstemp", DENIED), ("mkstemp", READONLY), ("replace", DENIED)]


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_fault_at_every_step_of_every_write(tmp_path: Path, name: str) -> None:
    """Nothing there yet: afterwards whole files or none. Old ones there: each is the old or the new one, whole."""
    write = OUTPUTS[name]
    clean = tmp_path / "clean"
    with failing() as counted:
        write(clean, 1)
    new_ = files(clean)
    writes = counted.counts["replace"]
    assert set(counted.counts) == set(STEPS)
    for (step, number), at, standing in product(FAULTS, range(1, writes + 1), (False, True)):
        folder = tmp_path / f"{step}-{number}-{at}-{standing}"
        if standing:
            write(folder, 2)
        elif name == "failure":
            make_board(folder)
        old = files(folder)
        with pytest.raises((WriteError, OSError)) as caught, failing(step, number, at):
            write(folder, 1)
        trouble = disk_trouble(caught.value) or caught.value
        assert os.strerror(number) in str(trouble)
        assert str(folder) in str(trouble)
        now = files(folder)
        assert now.keys() <= old.keys() | new_.keys(), "a temporary file was left"
        assert all(data in (old.get(path), new_.get(path)) for path, data in now.items())
        assert all(path in now for path in old)
        if step == "fsync folder":
            continue  # the file stands whole by then; only a power cut could still lose it
        done = sum(now.get(path) == data != old.get(path) for path, data in new_.items())
        assert done == at - 1


def test_a_record_is_written_after_its_outcomes(tmp_path: Path) -> None:
    """Whichever write fails, no record stands whose outcomes do not."""
    for step, at in product(STEPS, (1, 2)):
        folder = tmp_path / f"{step}{at}"
        with pytest.raises(WriteError), failing(step, at=at):
            record(folder, 1)
        records, problems = load_records(folder)
        assert problems == []
        assert bool(records) == ((step, at) == ("fsync folder", 2))


def test_nothing_of_a_plugin_is_left_where_its_second_file_fails(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="No space left on device"), failing("write", at=2):
        new("criterion", "mine", tmp_path, tmp_path / "package")
    assert files(tmp_path) == {}


def test_the_message_names_the_file_the_reason_and_what_is_safe(tmp_path: Path) -> None:
    with pytest.raises(WriteError) as caught, failing("write"):
        write_text(tmp_path / "table.md", "x")
    assert str(caught.value) == (
        f"cannot write {tmp_path}/table.md: No space left on device. No file was damaged, finished records are safe: "
        "remove the cause and run again"
    )


def test_what_is_the_disks_and_what_is_a_cells() -> None:
    full = OSError(errno.ENOSPC, "x", "/data/file")
    wrapped = ValueError("saving failed")
    wrapped.__cause__ = full
    for error in (full, wrapped):
        assert str(disk_trouble(error)).startswith("cannot write /data/file: No space left on device")
    assert disk_trouble(FileNotFoundError(errno.ENOENT, "x", "/data/file")) is None
    assert disk_trouble(ValueError("no")) is None


# A whole board.


@pytest.mark.parametrize("at", [1, 2, 4, 6])
def test_a_full_disk_stops_the_board_with_a_sentence(tmp_path: Path, command: Command, at: int) -> None:
    """At whichever file: exit code 2, no cell marked as failed, finished records stand; the next run does the rest."""
    board = make_board(tmp_path / "board")
    with failing("write", at=at):
        code, _, said = command("run", board.folder, "--device", "cpu")
    assert code == 2
    assert said.startswith("prunebench: ")
    assert re.search(r"No space left on device\. .*[Ff]inished records are safe", said)
    assert "Traceback" not in said
    assert board.failures() == {}
    standing = {path: path.read_bytes() for path in board.records_folder.glob("*.json")}
    assert all(load_record(path) for path in standing)
    assert not list(board.folder.rglob("*.tmp"))
    code, printed, _ = command("run", board.folder, "--device", "cpu")
    assert code == 0
    assert re.search(rf"{3 - len(standing)} cells? run, {len(standing)} done before, 0 failed\.", printed)
    assert {path: path.read_bytes() for path in standing} == standing


def test_a_disk_that_reads_only(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders cannot even be made: a sentence all the same."""
    board = make_board(tmp_path / "board")
    original = Path.mkdir

    def refused(path: Path, *words: object, **options: object) -> None:
        if path.is_relative_to(board.folder):
            raise OSError(READONLY, os.strerror(READONLY), str(path))
        original(path, *words, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "mkdir", refused)
    code, _, said = command("run", board.folder, "--device", "cpu")
    assert code == 2
    assert "Read-only file system" in said
    assert str(board.folder) in said
    assert "Traceback" not in said
    assert files(board.folder).keys() == {"suite.yaml"}


def test_an_unreadable_record_is_named_and_left(
    finished_copy: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rights are refused by hand: tests may run as root, who may read everything."""
    path = sorted((finished_copy / "records").glob("*.json"))[0]
    original = os.open

    def refused(name: object, *words: object, **options: object) -> int:
        if str(name) == str(path):
            raise PermissionError(DENIED, os.strerror(DENIED), str(path))
        return original(name, *words, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refused)
    code, printed, _ = command("status", finished_copy)
    assert code == 0
    assert f"unreadable, not counted: {path}: not a readable record ([Errno 13] Permission denied" in printed
    assert "in all 2 of 3 done" in printed


# Caches mend themselves.


@pytest.mark.parametrize(
    ("words", "place"),
    [(("run",), "records"), (("run", "--save-weights"), "weights"), (("compare", "--add", "taylor"), "records")],
)
def test_a_place_that_is_no_folder_is_told_before_training(
    tmp_path: Path, command: Command, words: tuple[str, ...], place: str
) -> None:
    board = make_board(tmp_path / "board")
    (board.folder / place).write_text("")
    code, out, said = command(words[0], board.folder, *words[1:], "--device", "cpu")
    assert (code, out, said.strip()) == (2, "", f"prunebench: {board.folder / place}: is no folder")


@pytest.mark.parametrize("damage", ["bit", "half", "empty", "foreign"])
def test_damaged_weights_are_set_aside_with_a_message(tmp_path: Path, damage: str) -> None:
    state = {"a": torch.arange(12.0)}
    save_weights(tmp_path, "run", state)
    path = tmp_path / "run.safetensors"
    data = bytearray(path.read_bytes())
    data[-9] ^= 4
    path.write_bytes(
        {"bit": bytes(data), "half": bytes(data[: len(data) // 2]), "empty": b"", "foreign": b"PK\x03\x04"}[damage]
    )
    with pytest.warns(UserWarning, match=r"run\.safetensors: .*set aside as run\.damaged, to be made again"):
        assert load_weights(tmp_path, "run") is None
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.damaged"]
    save_weights(tmp_path, "run", state)
    loaded = load_weights(tmp_path, "run")
    assert loaded is not None
    assert torch.equal(loaded["a"], state["a"])


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    """In header, checksum and numbers alike."""
    from tasks.pipeline.sealed import intact

    save_weights(tmp_path, "run", {"a": torch.arange(4.0), "b": torch.zeros(2)})
    data = (tmp_path / "run.safetensors").read_bytes()
    assert intact(data)
    for at, bit in product(range(len(data)), (0, 7)):
        flipped = bytearray(data)
        flipped[at] ^= 1 << bit
        assert not intact(bytes(flipped)), at
