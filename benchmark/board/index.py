"""The index of a board's records: what tables and `status` need of each, so that only what changed is read again.

    .cache/index/seen.json      of every record: size, times and inode of its file, its task, its seconds
    .cache/index/heads.jsonl    the records without curves and layers, in that order (heads.py)

The files are the truth: an entry counts only while the file has the size, times and inode of when it was read; files too fresh to
be told apart from a later change are not entered; an index that is damaged, or was made by another version, is none. Unreadable
records are never entered, so they are read, and reported, every time. The index can be deleted at any time.
"""

import gc
import hashlib
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from msgspec import DecodeError, Struct
from msgspec.json import Decoder, encode

from benchmark.board import heads as heads_module
from benchmark.board import record as record_module
from benchmark.board.garbage import no_search
from benchmark.board.heads import head_of, read_heads
from benchmark.board.record import Record, RecordError, checked, load_record
from benchmark.errors import PrunebenchError
from benchmark.machine.atomic import write_bytes
from benchmark.suite import spec as spec_module

WORTH = 500
"""Records that had to be read before the index is written again: small boards have none, large ones rarely rewrite it."""
SETTLED = 2.0
"""Seconds after which a file that changes once more gets another time."""
AT_ONCE = 1000
"""Heads parsed together."""
FAILED = ".failed.json"
MANY = Decoder(list[Record], dec_hook=checked)


class _Spec(Struct):
    task: str


class _Cost(Struct):
    total_seconds: float


class _Told(Struct):
    """What `status` tells of a head."""

    spec: _Spec
    cost: _Cost


TOLD = Decoder(_Told)


class Seen(NamedTuple):
    """A state of a record's file (size, modified, changed, inode), and what `status` tells of the record."""

    stamp: tuple[int, ...]
    task: str
    seconds: float


class _Stored(Struct):
    """What seen.json holds."""

    version: str
    heads: str
    """Checksum of heads.jsonl."""
    records: dict[str, Seen]


STORED = Decoder(_Stored)


class Index:
    """What stands in a folder of records now, by file name in order."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.folder, self.store, began = folder, store, time.time()
        stamps, self.failures = _listed(folder)
        self.stored, self.digest = _stored(store)
        known = {name: seen for name, seen in self.stored.items() if stamps.get(name) == seen.stamp}
        self.heads, self.problems = _read(folder, [name for name in stamps if name not in known])
        read = {name: _seen(stamps[name], head) for name, head in self.heads.items()}
        self.seen = {name: known.get(name) or read[name] for name in stamps if name in known or name in read}
        if len(read) >= WORTH:
            self._write(began - SETTLED)

    @property
    def ids(self) -> set[str]:
        """Ids of the readable records."""
        return {name.removesuffix(".json") for name in self.seen}

    def summaries(self) -> list[Record]:
        """Every readable record, sorted by id, without its curve and layers: those are empty."""
        lines = self._lines(self.seen)
        if lines is None:  # the heads were replaced or damaged since: what they said is read from the files
            self._drop()
            self.heads, problems = _read(self.folder, list(self.seen))
            self.problems = sorted(self.problems + problems, key=lambda problem: problem.path)
            lines = list(self.heads.values())
        with no_search():
            parts = (lines[i : i + AT_ONCE] for i in range(0, len(lines), AT_ONCE))
            records = [rec for part in parts for rec in MANY.decode(b"[%b]" % b",".join(part))]
            if len(records) > WORTH:
                gc.freeze()  # and later looks need not go through them either
            return records

    def _lines(self, names: Iterable[str]) -> list[bytes] | None:
        """The heads of these records; None where the stored ones are not those that the stored index speaks of."""
        old: dict[str, bytes] = {}
        if any(name not in self.heads for name in names):
            with suppress(OSError, ValueError):
                data = (self.store / "heads.jsonl").read_bytes()
                if hashlib.sha256(data).hexdigest() == self.digest:
                    old = dict(zip(self.stored, data.split(b"\n"), strict=True))
            if not old:
                return None
        return [self.heads.get(name) or old[name] for name in names]

    def _write(self, before: float) -> None:
        """Replace the stored index by this one; where that cannot be, there is just none."""
        settled = {name: seen for name, seen in self.seen.items() if max((*seen.stamp[1:3], 0)) < before * 1e9}
        lines = self._lines(settled)
        if lines is None:
            self._drop()
            return
        data = b"\n".join(lines)
        digest = hashlib.sha256(data).hexdigest()
        with suppress(OSError, PrunebenchError):
            write_bytes(self.store / "heads.jsonl", data)
            self.stored, self.digest = settled, digest
            write_bytes(self.store / "seen.json", encode(_Stored(_version(), digest, settled)))

    def _drop(self) -> None:
        with suppress(OSError):
            (self.store / "seen.json").unlink(missing_ok=True)


def _listed(folder: Path) -> tuple[dict[str, tuple[int, ...]], set[str]]:
    """Stamps of the records' files by name, in order, and ids that have a failure."""
    stamps: dict[str, tuple[int, ...]] = {}
    failures: set[str] = set()
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(FAILED):
                failures.add(entry.name.removesuffix(FAILED))
            elif entry.name.endswith(".json"):
                stamps[entry.name] = ()  # gone again, or a link to nowhere: nothing stored is equal to that
                with suppress(OSError):
                    at = entry.stat()
                    stamps[entry.name] = (at.st_size, at.st_mtime_ns, at.st_ctime_ns, at.st_ino)
    return dict(sorted(stamps.items())), failures


def _read(folder: Path, names: list[str]) -> tuple[dict[str, bytes], list[RecordError]]:
    """The heads of these records by name, and what is wrong with those that have none."""
    heads: dict[str, bytes] = {}
    problems: list[RecordError] = []
    for name, head in zip(names, read_heads(folder, names), strict=True):
        try:
            heads[name] = head or head_of(load_record(folder / name))
        except RecordError as error:
            problems.append(error)
    return heads, problems


def _seen(stamp: tuple[int, ...], head: bytes) -> Seen:
    told = TOLD.decode(head)
    return Seen(stamp, told.spec.task, told.cost.total_seconds)


def _stored(store: Path) -> tuple[dict[str, Seen], str]:
    """The stored entries and the checksum of their heads; empty where there are none, damaged ones or another version's."""
    with suppress(OSError, ValueError, DecodeError, RecursionError):
        facts = STORED.decode((store / "seen.json").read_bytes())
        if facts.version == _version():
            return facts.records, facts.heads
    return {}, ""


@cache
def _version() -> str:
    """What a head means, and which records are sound, is in these files."""
    files = [Path(str(module.__file__)).read_bytes() for module in (record_module, spec_module, heads_module)]
    return hashlib.sha256(b"\0".join([*files, Path(__file__).read_bytes()])).hexdigest()
