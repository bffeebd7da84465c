"""Where a benchmark's data come from: the embedded mini data, a folder of its own files, or the hub (or its parquet files).

    data: mini     tasks/mini of this package, laid out as below
    data: FOLDER   FOLDER/glue/SST-2/train.tsv, FOLDER/squad/train-v1.1.json, ...: the benchmark's own files, or, where those
                   are absent, FOLDER/hub/OWNER/NAME/[CONFIG/]SPLIT*.parquet: a copy of the hub's repository
    data: hub      the datasets library, at the id and revision pinned in the task's file

A task declares a `Layout`, opens it with `open_source`, and is handed paths (`Files`) or rows (`HubRows`), never both.
"""

import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.base import TaskError

MINI = Path(__file__).resolve().parents[1] / "mini"
"""The embedded data sets and checkpoints."""

LARGEST = 4 << 30
"""Bytes of the largest file that is read."""

POINTER = b"version https://git-lfs"
"""How a file begins that stands for a larger one which was not fetched."""

SHARD = re.compile(r"-(\d{5})-of-(\d{5})")
"""Which of how many files the name of a parquet file says it is, the first of them 00000."""

COMMIT = re.compile("[0-9a-f]{40}")
"""A revision that stands still; a branch's name, such as that of the hub's own parquet copies, may move."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Hub:
    """A data set on the hub; `splits` maps `train` and `reported` to the hub's names of them."""

    id: str
    revision: str
    config: str = ""
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"train": ("train",), "reported": ("test",)})
    converted: bool = False
    """The revision is one of the hub's own parquet copies (CONFIG/SPLIT/*.parquet), kept of data sets that were scripts."""
    files: Mapping[str, str] = field(default_factory=dict)
    """The one file of each of the hub's splits that is read, where all of it would be too much."""


@dataclass(frozen=True)
class Layout:
    """Where each split of a benchmark stands: file names (or glob patterns) below the data folder, and the hub's schema."""

    files: Mapping[str, tuple[str, ...]]
    hub: Hub | None = None
    published: Mapping[str, int] = field(default_factory=dict)
    """Examples of the published benchmark by split; another number is accepted and noted as a sample."""


@dataclass(frozen=True)
class Files:
    """The benchmark's own files below `folder`."""

    folder: Path
    layout: Layout

    def paths(self, split: str) -> list[Path]:
        """The files of `split`, patterns expanded in sorted order; TaskError names what is missing and where."""
        return [path for name in self.layout.files[split] for path in self._expand(name, split)]

    def describe(self, split: str) -> str:
        """What `split` is read from, for the record."""
        return " + ".join(self.layout.files[split])

    def fingerprint(self, split: str) -> str:
        """Hash of the names and contents of the files of `split`; where the folder lies does not matter."""
        return hash_files(self.paths(split), self.folder)

    def _expand(self, name: str, split: str) -> list[Path]:
        place = self.folder / name  # an absolute name stands for itself
        matching = (path for path in self.folder.glob(name) if not path.name.startswith("."))  # such as a Mac's ._NAME
        return _plain(list(matching) if "*" in name else [place], f"{split} data", place)


@dataclass(frozen=True)
class HubRows:
    """Rows of the hub's schema, from the hub itself (`folder` None) or from its parquet files below `folder`."""

    hub: Hub
    folder: Path | None = None

    def parts(self, split: str) -> list[tuple[str, Iterable[Row]]]:
        """(where, rows) for each of the hub's splits that make up `split`."""
        return [(self._where(name), self._read(name)) for name in self.hub.splits[split]]

    def describe(self, split: str) -> str:
        """What `split` is read from, for the record."""
        return " + ".join(self._where(name) for name in self.hub.splits[split])

    def fingerprint(self, split: str) -> str:
        """Hash of the parquet files, or of id, revision, configuration and split names; of all rows where the revision can move."""
        if self.folder is not None:
            return hash_files([p for name in self.hub.splits[split] for p in self._parquet(name)], self.folder)
        if COMMIT.fullmatch(self.hub.revision):
            names = self.hub.splits[split]
            files = tuple(self.hub.files[name] for name in names if name in self.hub.files)
            return hash_text(
                repr((self.hub.id, self.hub.revision, self.hub.config, names) + ((files,) if files else ()))
            )
        rows = (row for _, rows in self.parts(split) for row in rows)
        return hash_text("\n".join(json.dumps(row, sort_keys=True, default=str) for row in rows))

    def _where(self, name: str) -> str:
        place = f"{self.hub.id}@{self.hub.revision[:12]}" if self.folder is None else f"hub/{self.hub.id}"
        return "/".join(part for part in (place, self.hub.config, name) if part)

    def _read(self, name: str) -> Iterable[Row]:
        if self.folder is None:
            return load_hub(self.hub, name)
        return [row for path in self._parquet(name) for row in _parquet_rows(path)]

    def _parquet(self, name: str) -> list[Path]:
        assert self.folder is not None
        folder = self.folder / self.hub.config
        shards = f"{name}-*.parquet"
        there = [*folder.glob(f"{name}.parquet"), *folder.glob(shards)]
        found = _plain(there, f"{name} rows of {self.hub.id}", folder / shards)
        if not _is_one_set(found, name):
            raise TaskError(
                f"{folder} holds {first_names(found)}: expected {name}.parquet alone, or one whole set of "
                f"{name}-NNNNN-of-NNNNN.parquet"
            )
        return found


Source = Files | HubRows


def open_source(data: str, layout: Layout) -> Source:
    """The source that `Setting.data` names; TaskError where it does not exist. Nothing is read yet."""
    if data == "hub":
        if layout.hub is None:
            raise TaskError(
                "data: hub, but this task has no pinned data set on the hub; give a folder of its own files"
            )
        return HubRows(layout.hub)
    if data == "mini":
        return _open_mini(layout)
    folder = Path(data).expanduser()
    if not folder.is_dir():
        raise TaskError(f"data: {data!r} is no folder; expected `mini`, `hub`, or a folder with {_wanted(layout)}")
    files = Files(folder, layout)
    if layout.hub is not None and not _present(files):
        parquet = folder / "hub" / layout.hub.id
        if parquet.is_dir():
            return HubRows(layout.hub, parquet)
    return files


NOT_TEXT = {
    b"\x1f\x8b": "compressed by gzip",
    b"PK\x03\x04": "a zip archive",
    b"PAR1": "a Parquet file",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
"""First bytes of files that are no UTF-8 text, and what such a file is."""


def read_text(path: Path) -> str:
    """The file's text: UTF-8, a byte order mark dropped, line ends untouched; TaskError gives the line of a bad byte."""
    try:
        raw = path.read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise TaskError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        if made := next((kind for start, kind in NOT_TEXT.items() if raw.startswith(start)), ""):
            raise TaskError(f"{path}: {made}; expected a text in UTF-8") from error
        line = raw[: error.start].count(b"\n") + 1
        raise TaskError(f"{path}:{line}: not UTF-8 ({error.reason}, byte {error.start})") from error


def open_text(path: Path) -> io.StringIO:
    """The file's text as a stream with untouched line ends, as the csv module wants it (`newline=""`)."""
    return io.StringIO(read_text(path), newline="")


def _parquet_rows(path: Path) -> list[Row]:
    import pyarrow.parquet  # type: ignore[import-untyped]

    try:
        rows: list[Row] = pyarrow.parquet.read_table(path).to_pylist()
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise TaskError(f"{path}: not a parquet file that can be read: {error}") from error
    return rows


def _is_one_set(files: Sequence[Path], name: str) -> bool:
    """Whether these are all shards of one set, each once, where names say so, and no second copy of split `name`."""
    shards = sorted((int(found[2]), int(found[1])) for path in files if (found := SHARD.search(path.name)))
    if shards:
        return len(shards) == len(files) and shards == [(len(files), at) for at in range(len(files))]
    return len(files) == 1 or all(path.stem != name for path in files)


def read_json(path: Path) -> tuple[str, Any]:
    """A JSON file's text and its value; TaskError names file and line of what is not JSON."""
    text = read_text(path)
    try:
        return text, json.loads(text)
    except json.JSONDecodeError as error:
        more = "; expected one JSON document, not one on each line" if error.msg == "Extra data" else ""
        raise TaskError(f"{path}:{error.lineno}: not JSON: {error.msg} (column {error.colno:,}){more}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists within lists without end
        raise TaskError(f"{path}:1: not JSON that can be read: {error}") from error


def hash_text(text: str) -> str:
    """SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def hash_files(paths: Iterable[Path], folder: Path) -> str:
    """SHA-256 over the names (relative to `folder`) and contents of files, whatever the order they are given in."""
    lines = sorted(f"{_name(path, folder)}\0{hash_file(path)}" for path in paths)
    return hash_text("\n".join(lines))


_hashes: dict[tuple[str, int, int, int], str] = {}


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, computed once for as long as size, inode and modification time do not change."""
    stat = path.stat()
    key = (str(path.resolve()), stat.st_ino, stat.st_size, stat.st_mtime_ns)
    if key not in _hashes:
        with path.open("rb") as stream:
            _hashes[key] = hashlib.file_digest(stream, "sha256").hexdigest()
    return _hashes[key]


def load_hub(hub: Hub, name: str) -> Iterable[Row]:
    """Split `name` from the hub at the pinned revision; TaskError with the reason where it cannot be had."""
    import datasets

    config = hub.config or None
    options: dict[str, Any] = {"split": name, "revision": hub.revision}
    if hub.converted:  # such a revision declares no configurations: its folders are they
        config, options["data_files"] = None, {name: f"{hub.config or 'default'}/{name}/*.parquet"}
    elif hub.files:
        config, options["data_files"] = None, {name: hub.files[name]}
    try:
        rows: Iterable[Row] = datasets.load_dataset(hub.id, config, **options)
    except ConnectionError as error:  # whatever the split: so that one sentence serves for all of a data set's tasks
        raise TaskError(
            f"could not load {hub.id} from the hub: {error}. A folder that holds the data serves as well: --data DIR"
        ) from error
    except Exception as error:  # the library raises its own, the network's and the file system's errors alike
        place = f"{hub.id} ({hub.config or 'default'}, {name}, revision {hub.revision})"
        raise TaskError(f"could not load {place} from the hub: {type(error).__name__}: {error}") from error
    return rows


def _open_mini(layout: Layout) -> Files:
    files = Files(MINI, layout)
    if not _present(files) and not any(Path(name).is_absolute() for names in layout.files.values() for name in names):
        found = [path for path in MINI.rglob("*train*") if path.is_file() and not path.suffix.startswith(".py")]
        held = ", ".join(sorted(str(path.relative_to(MINI).parent) for path in found))
        raise TaskError(f"data: mini has no {_wanted(layout)}; the embedded sets are: {held or 'none'}")
    return files


def _present(files: Files) -> bool:
    try:
        return all(files.paths(split) for split in files.layout.files)
    except TaskError:
        return False


def _wanted(layout: Layout) -> str:
    return ", ".join(name for names in layout.files.values() for name in names)


def _plain(paths: Sequence[Path], what: str, wanted: Path) -> list[Path]:
    """Those of `paths` that are plain files, which pipes and devices are not; TaskError where none is, so that there is no `what`
    where `wanted` was looked for, and where one is too large to be read, or only points at what was not fetched."""
    found = sorted(path for path in paths if path.is_file())
    if not found:
        raise TaskError(f"no {what}: {wrong_kind(paths) or f'looked for {wanted}{_beside(wanted)}'}")
    for path in found:
        if (size := path.stat().st_size) > LARGEST:
            raise TaskError(f"{path}: {size:,} bytes; expected {LARGEST:,} at most")
        if is_pointer(path):
            raise TaskError(f"{path} is a pointer of Git LFS, not the data: `git lfs pull` fetches them")
    return found


def is_pointer(path: Path) -> bool:
    """Whether the file stands for one that Git LFS did not fetch."""
    with path.open("rb") as file:
        return file.read(len(POINTER)) == POINTER


def wrong_kind(paths: Iterable[Path], expected: str = "a file") -> str:
    """What stands at the first of `paths` where something stands that is no plain file; empty where nothing does."""
    for path in paths:
        if path.is_dir():
            return f"{path} is a folder; expected {expected}"
        if path.is_symlink() and not path.exists():
            return f"{path} is a link to nothing; expected {expected}"
        if path.exists() and not path.is_file():
            return f"{path} is a pipe, a socket or a device; expected {expected}"
    return ""


def first_names(paths: Iterable[Path]) -> str:
    """What a message says is there: the names of `paths`, sorted, ten at most; "nothing" where there are none."""
    names = sorted(path.name for path in paths)
    return ", ".join(names[:10] + ["..."] * (len(names) > 10)) or "nothing"


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def _beside(path: Path) -> str:
    """What stands where `path` was looked for: the nearest folder above it that exists, and up to ten names in it."""
    folder = next(parent for parent in path.parents if parent.is_dir())
    return f" ({folder} holds: {first_names(folder.iterdir())})"
