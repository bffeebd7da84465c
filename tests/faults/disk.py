"""A disk that fails: lets one system call of the writing code fail, the n-th time it is made."""

import errno
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tasks.pipeline import whole

STEPS = ("mkstemp", "write", "flush", "fsync", "chmod", "replace", "fsync folder")
"""Steps of writing one file, in their order."""
FULL, BROKEN, DENIED, READONLY = errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS


class Disk:
    """Counts the steps of all writes, and fails one of them with `number` at its `at`-th occurrence (from 1)."""

    def __init__(self, step: str = "", number: int = FULL, at: int = 1) -> None:
        self.step, self.number, self.at = step, number, at
        self.counts: Counter[str] = Counter()
        self.folders: set[int] = set()

    def reach(self, step: str) -> None:
        """One more of this step; the fault, where it is due."""
        self.counts[step] += 1
        if step == self.step and self.counts[step] >= self.at:
            raise OSError(self.number, os.strerror(self.number))

    # What the writing code sees of `os` and `tempfile`.

    def mkstemp(self, **options: Any) -> tuple[int, str]:
        """As tempfile's."""
        self.reach("mkstemp")
        return tempfile.mkstemp(**options)

    def fdopen(self, handle: int, mode: str) -> Any:
        """As os's, of a file that may fail after it has written half."""
        return _File(self, os.fdopen(handle, mode))

    def chmod(self, name: str, mode: int) -> None:
        """As os's."""
        self.reach("chmod")
        os.chmod(name, mode)  # noqa: PTH101

    def replace(self, source: str, target: Path) -> None:
        """As os's."""
        self.reach("replace")
        os.replace(source, target)  # noqa: PTH105

    def open(self, path: Path, flags: int) -> int:
        """As os's; notes that it is a folder."""
        handle = os.open(path, flags)
        self.folders.add(handle)
        return handle

    def fsync(self, handle: int) -> None:
        """As os's."""
        self.reach("fsync folder" if handle in self.folders else "fsync")
        os.fsync(handle)

    def close(self, handle: int) -> None:
        """As os's."""
        self.folders.discard(handle)
        os.close(handle)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


class _File:
    def __init__(self, disk: Disk, file: Any) -> None:
        self.disk, self.file = disk, file

    def write(self, data: bytes) -> None:
        try:
            self.disk.reach("write")
        except OSError:
            self.file.write(data[: len(data) // 2])
            raise
        self.file.write(data)

    def flush(self) -> None:
        self.disk.reach("flush")
        self.file.flush()

    def fileno(self) -> int:
        return int(self.file.fileno())

    def __enter__(self) -> "_File":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


@contextmanager
def failing(step: str = "", number: int = FULL, at: int = 1) -> Iterator[Disk]:
    """Inside, the n-th and every later `step` of writing a file fails; without a step, they are only counted."""
    disk = Disk(step, number, at)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole, "os", disk)
        patch.setattr(whole, "tempfile", disk)
        yield disk


def files(folder: Path) -> dict[str, bytes]:
    """Everything below a folder, locks left out."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
