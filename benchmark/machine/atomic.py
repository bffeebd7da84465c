"""Files appear whole or not at all; where one cannot be written, an error that says which and why, and stops the board.

A cell that fails is a result, and the others go on. A disk that is full is none: every later cell would train for nothing.
"""

import errno
import os
from pathlib import Path

from benchmark.errors import PrunebenchError
from tasks.pipeline.whole import write_whole

PLACE = (errno.ESTALE, errno.ELOOP)
"""The folder that was to be written to is not what it was, or lies elsewhere by a link (whole.py says which)."""
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, *PLACE)
"""Errors of the disk, whoever meets them: not of what was to be written."""
MACHINE = (*DISK, errno.EACCES, errno.EPERM)
"""Errors of the machine or its rights, told by the command line as a sentence."""


class WriteError(PrunebenchError):
    """A file that could not be written: what stood before stands, and no temporary file is left."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"cannot write {self.path}: {self.reason}. No file was damaged, finished records are safe: mend it and run again"


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically. WriteError: then the old file stands, or none, and no temporary one."""
    try:
        write_whole(path, data)
    except OSError as error:
        raise WriteError(str(path), reason_of(error)) from error


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically; what is half of a character becomes '?'."""
    write_bytes(path, text.encode(errors="replace"))


def disk_trouble(error: BaseException) -> WriteError | None:
    """The trouble with the disk that `error` is, or came of; None where it is none, and the cell itself has failed."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        if isinstance(link, WriteError):
            return link
        if isinstance(link, OSError) and link.errno in DISK:
            return WriteError(str(link.filename or "a file"), reason_of(link))
        seen.add(id(link))
        link = link.__cause__ or link.__context__
    return None


def reason_of(error: OSError) -> str:
    """What the system says, in words."""
    if error.errno in PLACE and error.strerror:
        return error.strerror
    return os.strerror(error.errno) if error.errno else str(error)
