"""Reads files that others wrote: ordinary files of a bounded size, and numbers packed no larger than they say.

A record's folder may hold what was copied from anywhere: a pipe that never ends, a gigabyte of brackets, an archive of a
kilobyte that unfolds to a terabyte.
"""

import io
import os
import stat
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

RECORD = 16 << 20
"""Bytes: no record is larger."""
PACKED = 256 << 20
"""Bytes: no file of per-example outcomes is larger."""
UNPACKED = 1 << 30
"""Bytes: nor are the numbers in it."""
ARRAYS = 1000
"""Outcomes of one record at most."""
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


def unpack(data: bytes) -> "dict[str, NDArray[Any]]":
    """The arrays of npz bytes; ValueError where they are damaged, hold anything but numbers, or unfold to more than UNPACKED."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > ARRAYS:
                raise ValueError(f"{len(entries)} arrays, expected {ARRAYS} at most")
            if (size := sum(entry.file_size for entry in entries)) > UNPACKED:
                raise ValueError(f"unfolds to {size} bytes, expected {UNPACKED} at most")
            return {entry.filename.removesuffix(".npy"): _array(archive, entry) for entry in entries}
    except ValueError:
        raise
    except Exception as error:  # the archive's, the compressor's and numpy's errors alike
        raise ValueError(f"damaged ({error or type(error).__name__})") from error


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> "NDArray[Any]":
    """One array, read only when its header promises exactly the bytes that are there."""
    import numpy as np  # not by commands that only list plugins
    from numpy.lib import format as npy

    with archive.open(entry) as stream:
        version = npy.read_magic(stream)
        read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
        if read_header is None:
            raise ValueError(f"'{entry.filename}' is of an unknown version")
        shape, fortran, dtype = read_header(stream)
        if dtype.kind not in "biuf" or dtype.hasobject:
            raise ValueError(f"'{entry.filename}' holds {dtype}, expected numbers")
        body = stream.read(entry.file_size + 1)
        count = 1
        for length in shape:
            count *= length
        if min(shape, default=0) < 0 or count * dtype.itemsize != len(body):
            raise ValueError(f"'{entry.filename}' holds {len(body)} bytes, expected {count * dtype.itemsize}")
        flat = np.frombuffer(body, dtype)
        return flat.reshape(shape, order="F" if fortran else "C").copy()
