"""Reads files that others wrote: only regular files, and only up to a given size.

A folder of records may come from anywhere, and hold a pipe that never ends, a link to /dev/zero or a gigabyte of brackets.
"""

import os
import stat
from pathlib import Path

MAX_RECORD = 16 << 20
"""Bytes of the largest record that is read."""
MAX_OUTCOMES = 256 << 20
"""Bytes of the largest file of per-example outcomes that is read."""
FLAGS = os.O_RDONLY | os.O_NONBLOCK
"""Non-blocking, so that opening a pipe that nobody writes to does not wait."""


def read_regular_file(path: Path | str, largest: int) -> bytes:
    """The content of a regular file of at most `largest` bytes; OSError if it cannot be read, ValueError if it is none or larger."""
    handle = os.open(path, FLAGS)  # creating a Python file object takes as long as reading a record
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("not an ordinary file")
        if found.st_size > largest:
            raise ValueError(f"larger than {largest} bytes")
        return _whole(handle, found.st_size)
    finally:
        os.close(handle)


def _whole(handle: int, size: int) -> bytes:
    """`size` bytes, which the system may return in pieces; ValueError if the file has become shorter."""
    data = os.read(handle, size)
    while len(data) < size:
        if not (more := os.read(handle, size - len(data))):
            raise ValueError("became shorter while it was read")
        data += more
    return data
