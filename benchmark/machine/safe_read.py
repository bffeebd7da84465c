"""Reads files that others wrote: ordinary files alone, of a bounded size.

A record's folder may hold what was copied from anywhere: a pipe that never ends, a link to an endless device, a gigabyte of brackets.
"""

import os
import stat
from pathlib import Path

RECORD = 16 << 20
"""Bytes: no record is larger."""
PACKED = 256 << 20
"""Bytes: no file of per-example outcomes is larger."""
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""A pipe that nobody writes to must not hold us."""


def read_bounded(path: Path | str, largest: int) -> bytes:
    """The bytes of an ordinary file; OSError where it cannot be read, ValueError where it is none, or larger than `largest`."""
    handle = os.open(path, FLAGS)  # Python's own file objects take as long to make as a record takes to read
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
    """So many bytes, which the system may give in pieces; ValueError where the file has shrunk."""
    data = os.read(handle, size)
    while len(data) < size:
        if not (more := os.read(handle, size - len(data))):
            raise ValueError("became shorter while it was read")
        data += more
    return data
