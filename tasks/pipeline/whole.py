"""Files appear whole or not at all: temporary file in the same folder, fsync, rename, fsync of the folder.

The one place where this package and the harness write. It stands here because the harness may import from `tasks`, and not the
other way round.
"""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
"""What file systems answer that cannot sync a folder: the rename itself has been made."""

MOVED = "the folder was moved, removed or replaced meanwhile"

_held: dict[Path, tuple[int, int]] = {}
"""Folders that must stay what they were while something is written below them, by absolute path: device and inode."""


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Inside, whatever is written below `folder` goes into the folder that is there now.

    Where it was renamed, removed or replaced since, or a link below it leads out of it, writing is an OSError, and nothing is made.
    """
    place, mark = folder.absolute(), _mark(folder)
    if mark is None:
        raise OSError(errno.ESTALE, MOVED, str(folder))
    if place in _held:
        yield
        return
    _held[place] = mark
    try:
        yield
    finally:
        del _held[place]


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it, unless that would make a held one again, or one outside it."""
    check_held(folder)
    folder.mkdir(parents=True, exist_ok=True)


def check_held(path: Path) -> None:
    """OSError where `path` lies below a held folder that is no longer there, or leads out of it by a link."""
    place = path.absolute()
    for folder, mark in _held.items():
        if not place.is_relative_to(folder):
            continue
        if _mark(folder) != mark:
            raise OSError(errno.ESTALE, MOVED, str(folder))
        if not place.resolve().is_relative_to(folder.resolve()):
            raise OSError(errno.ELOOP, f"a link leads out of {folder}", str(path))


def _mark(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path`. OSError, its `filename` set, where that fails: then the old file stands, or none, and nothing else."""
    try:
        make_folder(path.parent)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)  # noqa: PTH101 - all steps through `os`, where tests let each of them fail
            os.replace(name, path)  # noqa: PTH105
        except BaseException:
            with suppress(OSError):  # the first trouble is the one to tell
                Path(name).unlink()
            raise
        _sync_folder(path.parent)
    except OSError as error:
        if error.errno:
            error.filename, error.filename2 = str(path), None
        raise


def _sync_folder(folder: Path) -> None:
    """Make the rename itself last through a power cut, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    finally:
        os.close(handle)
