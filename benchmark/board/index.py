"""The index of a board: the parts of its records that tables and `status` need, so that only changed files are read again.

One SQLite file in the board's cache (machine/caches.py). It can be deleted at any time, and never changes a result:

- a row counts only while its record's file has the size, times and inode with which it was read; files that were written in the last
  two seconds are not entered, because a second change might leave them the same times;
- each row carries a checksum of itself, and the file says which version of prunebench made it;
- records that are not in it are read from their files; an index that is damaged or of another version is deleted, and one that can
  be neither read nor written is not used.

Unreadable records are never entered: they are read, and reported, every time.
"""

import hashlib
import json
import os
import sqlite3
import stat
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from msgspec import DecodeError, Struct
from msgspec.json import Decoder, Encoder
from msgspec.structs import replace

from benchmark.board.record import FAILED, Record, RecordError, load_record
from benchmark.errors import PrunebenchError
from benchmark.machine.caches import board_cache
from benchmark.plugins.classes import KINDS
from benchmark.suite.spec import Plugins, RunSpec

WORTH = 500
"""Number of records from which an index is made; fewer are read in less than a second."""
SETTLED = 2.0
"""Seconds after which a further change of a file certainly gives it another time."""
PATIENCE = 10.0
"""Seconds to wait for another process that is writing the index."""
AT_ONCE = 1000
"""Number of records that are parsed together."""
PRINTED = ("prunebench", "commit", "torch", "device", "precision")
"""What captions print of a record's environment."""
PACKAGES = ("benchmark", "criteria", "tasks")
TABLES = """
CREATE TABLE IF NOT EXISTS made (by TEXT);
CREATE TABLE IF NOT EXISTS records (name TEXT PRIMARY KEY, stamp TEXT, content BLOB, checksum INTEGER);
CREATE TABLE IF NOT EXISTS plans (name TEXT PRIMARY KEY, stamp TEXT, content BLOB, checksum INTEGER);
"""
"""`records`: a shortened record by file name. `plans`: the board's cells, one row. `stamp`: the state of what a row was read from."""


def shortened(record: Record) -> Record:
    """The record with what tables need: its curve and layers are empty, and of its environment only what captions print is left."""
    environment = {name: text for name, text in record.environment.items() if name in PRINTED}
    return replace(record, curve=[], sparsity=replace(record.sparsity, layers=[]), environment=environment)


WRITER = Encoder(enc_hook=lambda spec: spec.id)
"""A spec is written as its id alone, because whoever reads the index has the suite's cells."""


class _Cost(Struct):
    total_seconds: float


class _Brief(Struct):
    cost: _Cost


BRIEF = Decoder(_Brief)


class Index:
    """The records in a folder now, by file name in order. `file` is the SQLite file, which need not exist."""

    def __init__(self, folder: Path, file: Path | None) -> None:
        self.folder, began = folder, time.time_ns()
        stamps, self.failures = _listed(folder)
        kept = _rows(file, "records")
        known = {name: content for name, (stamp, content) in kept.items() if stamp and stamps.get(name) == stamp}
        new, self.problems = _read(folder, [name for name in stamps if name not in known])
        self.contents = {name: known.get(name) or new[name] for name in stamps if name in known or name in new}
        """The shortened records as JSON."""
        settled = [(name, stamps[name], new[name]) for name in new if _newest(stamps[name]) < began - SETTLED * 1e9]
        if kept or len(new) >= WORTH:
            _keep(file, "records", settled, gone=kept.keys() - stamps.keys())

    @property
    def ids(self) -> set[str]:
        """Ids of the readable records."""
        return {name.removesuffix(".json") for name in self.contents}

    def seconds(self) -> dict[str, float]:
        """What the run of every readable record took, by id."""
        return {
            name.removesuffix(".json"): BRIEF.decode(content).cost.total_seconds
            for name, content in self.contents.items()
        }

    def summaries(self, cells: Iterable[RunSpec]) -> list[Record]:
        """The readable records of these cells, shortened, in the order of the cells.

        Tables read them in that order, and memory that is read in order is faster.
        """
        specs = {spec.id: spec.recorded() for spec in cells}
        decoder = Decoder(list[Record], dec_hook=lambda _, id_: specs[id_])
        contents = [self.contents[name] for name in (f"{id_}.json" for id_ in specs) if name in self.contents]
        parts = (contents[i : i + AT_ONCE] for i in range(0, len(contents), AT_ONCE))
        return [record for part in parts for record in decoder.decode(b"[%b]" % b",".join(part))]


def _listed(folder: Path) -> tuple[dict[str, str], set[str]]:
    """Stamps of the records' files by name, in order, and ids that have a failure."""
    stamps: dict[str, str] = {}
    failures: set[str] = set()
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(FAILED):
                failures.add(entry.name.removesuffix(FAILED))
            elif entry.name.endswith(".json"):
                try:
                    at = entry.stat()
                    stamps[entry.name] = f"{at.st_mtime_ns} {at.st_ctime_ns} {at.st_size} {at.st_ino}"
                except OSError:
                    stamps[entry.name] = ""  # gone again, or a link to nowhere
    return dict(sorted(stamps.items())), failures


def _newest(stamp: str) -> int:
    """The later of the two times in a stamp, in ns."""
    return max(map(int, stamp.split()[:2]), default=2**63)


def _read(folder: Path, names: Iterable[str]) -> tuple[dict[str, bytes], list[RecordError]]:
    """The shortened records in these files by name, and the errors of the others."""
    contents: dict[str, bytes] = {}
    problems: list[RecordError] = []
    for name in names:
        try:
            contents[name] = WRITER.encode(shortened(load_record(folder / name)))
        except RecordError as error:
            problems.append(error)
    return contents, problems


class Plan(Struct):
    """What `status` needs of a suite's cells, in order. It is kept because expanding a suite loads its plugins, and so torch."""

    tasks: list[str]
    cells: list[tuple[str, int, str]]
    """Id, position of the task, readable name."""
    places: dict[str, bool]
    """Models and data that the cells name, and whether there was such a folder."""


PLAN, PLAN_WRITER = Decoder(Plan), Encoder()


def planned(folder: Path, changes: Mapping[str, Any], data: str | None = None, model: str | None = None) -> Plan:
    """The plan of the board in `folder`; PrunebenchError if there is no board or its suite is wrong.

    That of a large board is kept in the index until its suite, the command line or the installed plugins change.
    """
    stamp = _stamp(folder, changes, data, model)
    with suppress(DecodeError):
        kept_stamp, content = _rows(index_file(folder), "plans").get("cells", ("", b""))
        plan = PLAN.decode(content)
        if kept_stamp == stamp and all(Path(place).is_dir() == there for place, there in plan.places.items()):
            return plan
    plan, built_in = _expanded(folder, dict(changes), data, model)
    if len(plan.cells) >= WORTH and built_in:  # other plugins may change without the stamp
        _keep(index_file(folder), "plans", [("cells", stamp, PLAN_WRITER.encode(plan))])
    return plan


def _expanded(folder: Path, changes: dict[str, Any], data: str | None, model: str | None) -> tuple[Plan, bool]:
    """The plan, and whether all its plugins are built in."""
    from benchmark.board.board import Board  # loads torch

    suite = Board.open(folder, changes, data=data, model=model).suite
    cells, at = suite.cells(), {task: i for i, task in enumerate(suite.tasks)}
    folders = {name: Path(name).is_dir() for name in {name for spec in cells for name in (spec.model, spec.data)}}
    none = Plugins()
    plan = Plan(suite.tasks, [(spec.id, at[spec.task], spec.cell) for spec in cells], folders)
    return plan, all(spec.plugins == none for spec in cells)


def _stamp(folder: Path, *given: object) -> str:
    """A hash of everything that determines the cells, except the program itself and the folders that they name."""
    with suppress(OSError):
        given += (hashlib.sha256((folder / "suite.yaml").read_bytes()).hexdigest(),)
    points = sorted(
        f"{point.group} {point.name} {point.value}"
        for kind in KINDS.values()
        for point in entry_points(group=kind.group)
    )
    return hashlib.sha256(json.dumps([str(Path.cwd()), given, points], default=repr).encode()).hexdigest()


def index_file(folder: Path) -> Path | None:
    """File of the index of the board in `folder`; None if this user has no cache folder."""
    try:
        return board_cache(folder) / "index.sqlite"
    except PrunebenchError:
        return None


def _rows(file: Path | None, table: str) -> dict[str, tuple[str, bytes]]:
    """Stamp and content of the undamaged rows by name; none without an index of this version. A damaged index is deleted."""
    if file is None:
        return {}
    try:
        if not stat.S_ISREG(file.lstat().st_mode):
            raise ValueError("not an ordinary file")
        with _opened(file) as base:
            if base.execute("SELECT by FROM made").fetchall() != [(_program(),)]:
                raise ValueError("of another version")
            found = base.execute(f"SELECT name, stamp, content, checksum FROM {table}")
            return {name: (stamp, content) for name, stamp, content, checksum in found
                    if _checksum(name, stamp, content) == checksum}  # fmt: skip
    except FileNotFoundError:
        return {}
    except (sqlite3.Error, OSError, ValueError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        if "locked" not in str(error):
            with suppress(OSError):
                file.unlink()
        return {}


def _keep(file: Path | None, table: str, rows: Iterable[tuple[str, str, bytes]], gone: Iterable[str] = ()) -> None:
    """Add rows and delete others. If that fails, the index stays as it is, or there is none."""
    rows, gone = list(rows), list(gone)
    if file is None or not (rows or gone):
        return
    with suppress(OSError, sqlite3.Error):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _opened(file) as base, base:
            base.execute("BEGIN IMMEDIATE")
            for statement in filter(str.strip, TABLES.split(";")):
                base.execute(statement)
            base.execute("INSERT INTO made SELECT ? WHERE NOT EXISTS (SELECT * FROM made)", (_program(),))
            base.executemany(f"DELETE FROM {table} WHERE name = ?", ((name,) for name in gone))
            summed = ((*row, _checksum(*row)) for row in rows)
            base.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?)", summed)


@contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file, timeout=PATIENCE, isolation_level=None)) as base:
        # Nothing needs to survive a crash: rows are checked one by one.
        base.execute("PRAGMA journal_mode = MEMORY")
        base.execute("PRAGMA synchronous = OFF")
        base.execute("PRAGMA trusted_schema = OFF")
        yield base


def _checksum(name: str, stamp: str, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(f"{name} {stamp}".encode()))


@cache
def _program() -> str:
    """A hash of this package's files by name, size and time, because another version may read records differently."""
    root = Path(__file__).resolve().parents[2]
    files = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr(stats).encode()).hexdigest()
