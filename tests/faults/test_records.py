"""Truncated, flipped, foreign and hostile records: loaded, or refused with our error; never another one, never a hang."""

import hashlib
import io
import json
import os
import struct
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from benchmark.board.board import Board
from benchmark.board.outcomes import load_outcomes, pack_outcomes
from benchmark.board.record import (
    Record,
    RecordError,
    as_json,
    failure_path,
    failure_reason,
    load_record,
    load_records,
    outcomes_path,
    record_path,
    save_record,
)
from benchmark.commands.export import card
from benchmark.commands.merge import merge
from benchmark.commands.views import View, plot, table_text, write_report
from benchmark.machine import safe_arrays
from benchmark.machine.safe_arrays import unpack
from tests.benchmark.report.factory import make_record, make_spec
from tests.command import Printed
from tests.faults.boards import OUTCOMES, finished
from tests.faults.disk import files

WHOLE = json.dumps(as_json(make_record(make_spec())), indent=1).encode()
ID = make_spec().id
PACKED = pack_outcomes(OUTCOMES)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


def tried(folder: Path, data: bytes) -> Record | None:
    """The record, or None where it is said why not."""
    path = record_path(folder, ID)
    folder.mkdir(exist_ok=True)
    path.write_bytes(data)
    load_records(folder)
    found, said = None, f"{path}: "
    try:
        found = load_record(path)
    except RecordError as error:
        said = str(error)
    assert said.startswith(f"{path}: ")
    assert found is None or found.id == ID
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("records")


@given(st.integers(0, len(WHOLE)))
def test_a_record_that_is_cut_off_is_read_or_refused(folder: Path, length: int) -> None:
    tried(folder, WHOLE[:length])


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 7)), min_size=1, max_size=4))
def test_a_record_with_flipped_bits_is_read_or_refused(folder: Path, flips: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE)
    for at, bit in flips:
        data[at] ^= 1 << bit
    tried(folder, bytes(data))


@given(st.binary(max_size=200))
def test_rubbish_is_refused(folder: Path, data: bytes) -> None:
    tried(folder, data)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in inside for place in places(part, (*path, key)))]


PLACES = places(json.loads(WHOLE))


ODD = st.sampled_from([True, 1.0, "1", 10**400, 1e308, "NaN", "true", "last", "\ud800"])


@settings(max_examples=200)
@given(st.sampled_from(PLACES), JSON | ODD)
def test_any_value_at_any_place_is_read_as_it_stands_or_refused(
    folder: Path, place: tuple[Any, ...], value: Any
) -> None:
    raw = json.loads(WHOLE)
    if not place:
        raw = value
    else:
        node = raw
        for key in place[:-1]:
            node = node[key]
        node[place[-1]] = value
    if record := tried(folder, json.dumps(raw).encode()):
        found: Any = as_json(record)
        for key in place:
            found = found[key]
        assert found == value or (isinstance(found, float) and found == float(value))


@pytest.mark.parametrize(
    "text",
    [
        "1e999", "-1e999", "1e308", "NaN", "Infinity", "9" * 5000, "9" * 300, "1" + "0" * 400 + ".0", "-0.0", "1e-999",
        '"80"', "[80]", "null", "true", "[" * 50_000, '{"a":' * 50_000, '"\\ud800"', '"\\u0000"', "80 ", "0x50", "8_0",
    ],
)  # fmt: skip
@pytest.mark.parametrize("field", [b'"accuracy": 80.0', b'"peak_bytes": 268435456', b'"zeros": 800'])
def test_numbers_that_are_none_are_refused(folder: Path, text: str, field: bytes) -> None:
    name = field.split(b":")[0]
    assert field in WHOLE
    tried(folder, WHOLE.replace(field, name + b": " + text.encode(), 1))
    if text in ("1e999", "-1e999", "1e308", "NaN", "Infinity", "9" * 5000, "true", '"80"'):
        with pytest.raises(RecordError):
            load_record(record_path(folder, ID))


def test_what_never_ends_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that nobody writes to, a device, a file larger than any record."""
    path = record_path(tmp_path, ID)
    os.mkfifo(path)
    with pytest.raises(RecordError, match="not an ordinary file"):
        load_record(path)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(RecordError, match="not an ordinary file"):
        load_record(path)
    path.unlink()
    monkeypatch.setattr("benchmark.board.record.MAX_RECORD", 100)
    path.write_bytes(WHOLE)
    with pytest.raises(RecordError, match="larger than 100 bytes"):
        load_record(path)


@pytest.mark.parametrize("content", ["", "[]", "7", '{"reason": 7}', "[" * 100_000, '{"reason": "\\ud800"}', "\x00"])
def test_the_reason_of_a_failure_is_a_text_whatever_its_file_holds(tmp_path: Path, content: str) -> None:
    path = failure_path(tmp_path, ID)
    path.write_text(content)
    assert isinstance(failure_reason(path), str)


# Outcomes.


def zipped(name: str, body: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(name, body)
    return buffer.getvalue()


def npy(header: str, body: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (zipped("a.npy", npy("{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000,), }")), "holds 0 bytes"),
        (zipped("a.npy", npy("{'descr': '<i8', 'fortran_order': False, 'shape': (-1, -8), }", b"8" * 64)), "expected 64"),
        (zipped("a.npy", npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"8" * 8)), "expected numbers"),
        (zipped("a.npy", npy("{'descr': '<U4', 'fortran_order': False, 'shape': (1,), }", b"8" * 16)), "expected numbers"),
        (zipped("a.npy", npy("[" * 3000)), "damaged"),
        (zipped("a.npy", npy("__import__('os').abort()")), "damaged|header|malformed"),
        (zipped("a.npy", b"\x80\x04\x95"), "magic"),
        (zipped("../../a.npy", npy("{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }", b"8" * 7)), "holds 7 bytes"),
        (PACKED[:40], "damaged"),
        (b"", "damaged"),
        (b"\x80\x04\x95", "damaged"),
    ],
)  # fmt: skip
def test_hostile_outcomes_are_refused_before_they_are_unpacked(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unpack(data)


def test_what_unfolds_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kilobyte that says it is a megabyte; and one that says it is nothing, and goes on."""
    monkeypatch.setattr(safe_arrays, "UNPACKED", 1 << 16)
    bomb = zipped("a.npy", bytes(1 << 20))
    assert len(bomb) < 2000
    with pytest.raises(ValueError, match="unfolds to 1048576 bytes"):
        unpack(bomb)
    size = struct.pack("<L", 1 << 20)
    assert bomb.count(size) == 2
    with pytest.raises(ValueError, match=r"magic|damaged"):
        unpack(bomb.replace(size, struct.pack("<L", 10)))
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(safe_arrays.ARRAYS + 1):
            archive.writestr(f"{number}.npy", b"")
    with pytest.raises(ValueError, match="1001 arrays"):
        unpack(many.getvalue())


@given(st.lists(st.tuples(st.integers(0, len(PACKED) - 1), st.integers(0, 7)), min_size=1, max_size=4))
def test_flipped_outcomes_with_a_checksum_to_match(folder: Path, flips: list[tuple[int, int]]) -> None:
    data = bytearray(PACKED)
    for at, bit in flips:
        data[at] ^= 1 << bit
    path = outcomes_path(folder, ID)
    path.write_bytes(data)
    record = make_record(make_spec(), outcomes_sha256=hashlib.sha256(data).hexdigest())
    with suppress(RecordError):
        assert all(values.dtype.kind in "biuf" for values in load_outcomes(folder, record).values())


# Names that are paths, commands, markup.

NASTY = (
    "\x1b[2J\x1b]0;owned\x07<script>alert(1)</script>\\input{/etc/passwd}`$(id)`../../../x\n=cmd|' /C calc'!A0\u202e"
)


@pytest.mark.parametrize("run_id", ["../../x", "/tmp/x", "..", "", ".", "x" * 300, "\x00", "0123456789abcdeg"])
def test_ids_are_hashes_of_their_cells(tmp_path: Path, run_id: str) -> None:
    raw = json.loads(WHOLE)
    raw["id"] = run_id
    records = tmp_path / "board" / "records"
    records.mkdir(parents=True)
    record_path(records, ID).write_text(json.dumps(raw))
    with pytest.raises(RecordError, match="do not belong together"):
        load_record(record_path(records, ID))


def nasty(folder: Path) -> Board:
    """A board whose every free text is hostile."""
    board = finished(folder, title=NASTY)
    for spec in board.suite.cells():
        record = board.record(spec)
        changed = replace(
            record, notes=[NASTY], splits={"reported": NASTY, NASTY: NASTY}, environment={NASTY: NASTY, "commit": NASTY},
            signatures={"accuracy": NASTY}, metrics={"accuracy": 75.0, NASTY: 1.0}, data_fingerprint=NASTY,
        )  # fmt: skip
        save_record(board.records_folder, changed, outcomes_path(board.records_folder, spec.id).read_bytes())
    board.fail(board.suite.cells()[0], NASTY, NASTY)
    (board.records_folder / f"{NASTY.replace('/', '_')[:80]}.json").write_text('{"schema": "\x1b[2J"}')
    return board


def test_nothing_reaches_terminal_sheet_page_or_paper(tmp_path: Path, prunebench: Printed) -> None:
    board = nasty(tmp_path / "board")
    for words in ("status", "table", "table --metric all", "statistics", "verify", "table --trace"):
        _, printed = prunebench(*words.split(), board.folder)
        assert not set(printed) & set("\x1b\x07\u202e\x00"), words
    view = View(metric="all")
    assert "\x1b" not in table_text(board, "text", view, trace=True)
    html = table_text(board, "html", view)
    assert "<script>alert" not in html
    for line in table_text(board, "csv", view).splitlines():
        assert not line.startswith(("=", "+", "@"))
        assert ",=cmd" not in line
    assert "\\input{" not in table_text(board, "latex", view)
    assert "<script>" not in table_text(board, "markdown", view)
    json.loads(table_text(board, "json", view))
    page = write_report([board], tmp_path / "page.html").read_text()
    assert "<script>alert" not in page
    assert "\x1b" not in page


def test_nothing_is_written_outside_the_board(tmp_path: Path) -> None:
    board = nasty(tmp_path / "deep" / "er" / "board")
    plot(board, board.folder / "figures", "svg")
    write_report([board], board.folder / "report.html")
    other = finished(tmp_path / "deep" / "er" / "other")
    for path in list(other.records_folder.glob("*")):
        path.unlink()
    merge(other, [board.folder])
    written = {path.split("/")[2] for path in files(tmp_path)}
    assert written == {"board", "other"}
    assert {path.count("/") for path in files(board.folder / "figures")} == {0}


def test_a_model_card_quotes_what_it_is_told() -> None:
    evil = make_spec().model_copy(update={"model": "x\n---\nlicense: evil"})
    record = replace(make_record(make_spec(), notes=[NASTY]), spec=evil)
    text = card(record)
    assert '\nbase_model: "x --- license: evil"\n' in text
    assert "<script>" not in text
    assert "\x1b" not in text


def test_merging_refuses_what_another_record_brings(tmp_path: Path) -> None:
    board = finished(tmp_path / "board")
    folder = tmp_path / "sent"
    folder.mkdir()
    for name in ("0123456789abcdef", "..x", "\x1b[2J"):
        (folder / f"{name}.json").write_bytes(WHOLE)
    merged = merge(board, [folder])
    assert len(merged.problems) == 3
    assert merged.taken == []


def test_figures_survive_large_numbers(tmp_path: Path) -> None:
    board = finished(tmp_path / "board")
    for number, spec in enumerate(board.suite.cells()):
        record = replace(board.record(spec), metrics={"accuracy": (-1.0) ** number * 1e60})
        save_record(board.records_folder, record, PACKED)
    assert np.isfinite([record.score for record in board.records()[0]]).all()
    json.loads(table_text(board, "json"))
    write_report([board], tmp_path / "page.html")
