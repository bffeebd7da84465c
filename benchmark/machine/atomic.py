"""Writes files atomically; a file that cannot be written raises WriteError, which stops the board.

After a failed cell the others go on. After a full disk they must not, because every later cell would train for nothing.
"""

import errno
import os
from pathlib import Path

from benchmark.errors import PrunebenchError
from tasks.pipeline.whole import write_whole

PLACE = (errno.ESTALE, errno.ELOOP)
"""Errors of a folder that was replaced, or leads elsewhere by a link (tasks/pipeline/whole.py raises them)."""
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, *PLACE)
"""Errors of the disk rather than of the file that was to be written."""
MACHINE = (*DISK, errno.EACCES, errno.EPERM)
"""Errors of the disk or of access rights, which the command line prints as one sentence."""


class WriteError(PrunebenchError):
    """A file could not be written. An older file is unchanged, and no temporary one is left."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        safe = "No file was damaged, finished records are safe: remove the cause and run again"
        return f"cannot write {self.path}: {self.reason}. {safe}"


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically, or raise WriteError."""
    try:
        write_whole(path, data)
    except OSError as error:
        above = next((place for place in path.parents if place.exists()), path.parent)
        in_a_file = error.errno in (errno.EEXIST, errno.ENOTDIR) and above.exists() and not above.is_dir()
        raise WriteError(
            str(path), f"{above} is a file, expected a folder" if in_a_file else reason_of(error)
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically; half of a surrogate pair, which UTF-8 cannot encode, becomes '?'."""
    write_bytes(path, text.encode(errors="replace"))


def disk_trouble(error: BaseException) -> WriteError | None:
    """The WriteError that `error` is or was caused by; None if the cell itself failed."""
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
    """The system's message."""
    if error.errno in PLACE and error.strerror:
        return error.strerror
    return os.strerror(error.errno) if error.errno else str(error)


def require_room(folder: Path, otherwise: str = "; choose another by --output") -> None:
    """PrunebenchError where `folder` cannot be written into, or not be made: asked before hours of work whose result goes there.
    `otherwise` says what else may be done."""
    standing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not standing.is_dir():
        raise PrunebenchError(f"{standing}: is no folder{otherwise}")
    if not os.access(standing, os.W_OK):
        raise PrunebenchError(f"{standing}: cannot be written to{otherwise}")
