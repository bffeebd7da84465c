"""Files appear whole or not at all: temporary file in the same folder, fsync, rename, fsync of the folder.

The one place where this package and the harness write. It stands here because the harness may import from `tasks`, and not the
other way round.
"""

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path

UNSUPPORTED = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
"""What file systems answer that cannot sync a folder: the rename itself has been made."""


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path`. OSError, its `filename` set, where that fails: then the old file stands, or none, and nothing else."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
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
