"""Unpacks arrays of numbers that others wrote, of a bounded size: an archive of a kilobyte may hold a terabyte."""

import io
import math
import zipfile
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

UNPACKED = 1 << 30
"""Largest total size of an archive's arrays, in bytes."""
ARRAYS = 1000
"""Largest number of arrays in an archive."""


def unpack(data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays in the bytes of an npz file; ValueError if it is damaged, too large, or holds anything but numbers."""
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


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    """One array, read only if the shape in its header fits the bytes that are there."""
    with archive.open(entry) as stream:
        version = npy.read_magic(stream)
        read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
        if read_header is None:
            raise ValueError(f"'{entry.filename}' is of an unknown version")
        shape, fortran, dtype = read_header(stream)
        if dtype.kind not in "biuf" or dtype.hasobject:
            raise ValueError(f"'{entry.filename}' holds {dtype}, expected numbers")
        body = stream.read(entry.file_size + 1)
        expected = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or expected != len(body):
            raise ValueError(f"'{entry.filename}' holds {len(body)} bytes, expected {expected}")
        flat = np.frombuffer(body, dtype)
        return flat.reshape(shape, order="F" if fortran else "C").copy()
