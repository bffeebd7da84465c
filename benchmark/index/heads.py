"""Heads: records without their curves and layers, each one line of JSON, so that what they say is read from one file.

    python -m benchmark.index.heads FOLDER < names > heads

answers each file name with its head, or with an empty line where the record is unreadable or cannot be shortened: a large
board is read by one such process per core.
"""

import gc
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmark.bounded import RECORD, read_bounded
from benchmark.record import Record, parse_record

ALONE = 4000
"""As many records are read in the time in which another process starts."""
COMMAND = [sys.executable, "-m", "benchmark.index.heads"]


def shortened(record: Record) -> Record:
    """The record with an empty curve and no layers."""
    return record.model_copy(update={"curve": [], "sparsity": record.sparsity.model_copy(update={"layers": []})})


def head_of(record: Record) -> str:
    """The shortened record as a line of JSON, without what is as it is by default: a third less to parse."""
    return shortened(record).model_dump_json(by_alias=True, exclude_defaults=True)


def read_heads(folder: Path, names: Sequence[str]) -> list[str]:
    """The head of each record, in order; empty where there is none."""
    cores = min(os.cpu_count() or 1, len(names) // ALONE)
    if cores < 2:
        return [_head(folder / name) for name in names]
    parts = [names[i::cores] for i in range(cores)]
    heads = [""] * len(names)
    with ThreadPoolExecutor(cores) as pool:
        for i, found in enumerate(pool.map(lambda part: _in_process(folder, part), parts)):
            heads[i::cores] = found
    return heads


def _head(path: Path) -> str:
    try:
        record = parse_record(path.stem, read_bounded(path, RECORD))
    except (OSError, ValueError):
        return ""
    return head_of(record) if record else ""


def _in_process(folder: Path, names: Sequence[str]) -> list[str]:
    """As `read_heads`, by another interpreter; without it, nothing was read and the caller reads the files itself."""
    command, text = [*COMMAND, str(folder.resolve())], "\n".join(names)
    done = subprocess.run(command, input=text, capture_output=True, text=True, encoding="utf-8", check=False)
    heads = done.stdout.split("\n")[:-1]
    return heads if done.returncode == 0 and len(heads) == len(names) else [""] * len(names)


if __name__ == "__main__":
    gc.disable()  # it would look again and again at what is dropped line by line anyway
    heads_of = (_head(Path(sys.argv[1]) / name) for name in sys.stdin.read().split("\n"))
    sys.stdout.buffer.write("".join(f"{head}\n" for head in heads_of).encode())
