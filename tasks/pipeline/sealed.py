"""Checksums inside safetensors files: a flipped bit is found out, names and shapes included, and other readers still read the file.

    write_whole(path, seal(save(tensors, BLANK)))
    if intact(data): tensors = load(data)

The checksum is the SHA-256 of the file as it was with a blank one.
"""

import hashlib

BLANK = {"sha256": "0" * 64}
"""Metadata to save with, whose place the checksum takes."""
HEADER = 1 << 24
"""Bytes of a header that are searched for the checksum."""


def seal(data: bytes) -> bytes:
    """The bytes of a safetensors file saved with BLANK, with their checksum in it."""
    blank = BLANK["sha256"].encode()
    at = data.index(blank)
    return b"".join((data[:at], hashlib.sha256(data).hexdigest().encode(), data[at + len(blank) :]))


def intact(data: bytes) -> bool:
    """Whether the bytes are as they were sealed; False where they carry no checksum."""
    mark = b'"sha256":"'
    at = data.find(mark, 0, HEADER) + len(mark)
    end = at + len(BLANK["sha256"])
    if at < len(mark):
        return False
    whole = hashlib.sha256(data[:at])
    whole.update(BLANK["sha256"].encode())
    whole.update(memoryview(data)[end:])
    return whole.hexdigest().encode() == data[at:end]
