"""Locks a run so that two processes never train it at once. The operating system releases the lock of a process that dies."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from benchmark.errors import PrunebenchError
from benchmark.machine import parallel
from tasks.pipeline.whole import check_held, make_folder


def tried(locks: Path, run_id: str) -> bool:
    """Whether somebody has ever begun this run."""
    return (locks / f"{run_id}.lock").exists()


def sweep(run_id: str, *folders: Path) -> None:
    """Drop what a process that was killed while it wrote has left of the run; for the one that has claimed it."""
    for folder in folders:
        for path in folder.glob(f".{run_id}[.-]*.tmp"):
            path.unlink(missing_ok=True)


def _place(locks: Path, run_id: str) -> Path:
    """The file of a lock, which need not be there yet. A board may come from a stranger: links and pipes are not opened."""
    check_held(locks)
    for folder in (locks.parent, locks):
        if folder.is_symlink():
            raise PrunebenchError(f"{folder} is a link: locks must lie in the board itself; remove it")
    make_folder(locks)
    path = locks / f"{run_id}.lock"
    if path.is_symlink():
        raise OSError(errno.ELOOP, "a lock must not be a link", str(path))
    if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
        path.replace(path.with_suffix(".damaged"))
    return path


@contextmanager
def claimed(locks: Path, run_id: str, wait: bool = True) -> Iterator[bool]:
    """Whether the run is ours inside the block; without `wait`, False where another runner has it.

    Of several processes at one run only the first takes the lock; the others ask what it got (parallel.agreed).
    """
    if parallel.rank() > 0:
        yield True
        return
    lock = FileLock(_place(locks, run_id), timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
