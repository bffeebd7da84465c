"""Claims: who works on a run. A lock of the operating system, which a dead process frees by dying."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from benchmark import parallel


@contextmanager
def claimed(locks: Path, run_id: str, wait: bool = True) -> Iterator[bool]:
    """Whether the run is ours inside the block; without `wait`, False where another runner has it.

    Of several processes at one run only the first takes the lock; the others ask what it got (parallel.agreed).
    """
    if parallel.rank() > 0:
        yield True
        return
    locks.mkdir(parents=True, exist_ok=True)
    lock = FileLock(locks / f"{run_id}.lock", timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
