"""Heads: records without their curves and layers, each one line of JSON, so that what they say is read from one file.

    python -m benchmark.board.heads FOLDER < names > heads

answers each file name with its head, or with an empty line where the record is unreadable or cannot be shortened: a large
board is read by one such process per core.
"""

import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec.json import Encoder
from msgspec.structs import replace

from benchmark.board.record import Record, parse_record
from benchmark.machine.safe_read import RECORD, read_bounded
from benchmark.suite.spec import RunSpec

ALONE = 4000
"""As many records are read in the time in which another process starts."""
COMMAND = [sys.executable, "-m", "benchmark.board.heads"]


def shortened(record: Record) -> Record:
    """The record with an empty curve and no layers."""
    return replace(record, curve=[], sparsity=replace(record.sparsity, layers=[]))


def head_of(record: Record) -> bytes:
    """The shortened record as a line of JSON, its spec without defaults (less to parse) and without paths."""
    return WRITER.encode(shortened(record))


def _keyed(spec: RunSpec) -> dict[str, Any]:
    return spec.keyed


WRITER = Encoder(enc_hook=_keyed)


def read_heads(folder: Path, names: Sequence[str]) -> list[bytes]:
    """The head of each record, in order; empty where there is none."""
    cores = min(os.cpu_count() or 1, len(names) // ALONE)
    if cores < 2:
        return [_head(str(folder), name) for name in names]
    parts = [names[i::cores] for i in range(cores)]
    heads = [b""] * len(names)
    with ThreadPoolExecutor(cores) as pool:
        for i, found in enumerate(pool.map(lambda part: _in_process(folder, part), parts)):
            heads[i::cores] = found
    return heads


def _head(folder: str, name: str) -> bytes:
    """Of one record; paths are words here, for a Path object takes a tenth of the time that the record does."""
    try:
        record = parse_record(name.removesuffix(".json"), read_bounded(f"{folder}/{name}", RECORD))
    except (OSError, ValueError):
        return b""
    return head_of(record) if record else b""


def _in_process(folder: Path, names: Sequence[str]) -> list[bytes]:
    """As `read_heads`, by another interpreter; without it, nothing was read and the caller reads the files itself."""
    with suppress(OSError, ValueError), tempfile.TemporaryFile() as answer:  # a pipe of 100 MB keeps both its ends busy
        command = [*COMMAND, str(folder.resolve())]
        done = subprocess.run(
            command, input="\n".join(names).encode(), stdout=answer, stderr=subprocess.DEVNULL, check=False
        )
        answer.seek(0)
        heads = answer.read().split(b"\n")[:-1]
        if done.returncode == 0 and len(heads) == len(names):
            return heads
    return [b""] * len(names)


if __name__ == "__main__":
    gc.disable()  # it would look again and again at what is dropped line by line anyway
    for name in sys.stdin.buffer.read().decode().split("\n"):
        sys.stdout.buffer.write(_head(sys.argv[1], name) + b"\n")
