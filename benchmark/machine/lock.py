"""Locks, so that no run is trained by two processes at once. The operating system releases the lock of a process that dies."""

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


def was_started(locks: Path, run_id: str) -> bool:
    """Whether any process has ever locked this run."""
    return (locks / f"{run_id}.lock").exists()


def remove_leftovers(run_id: str, *folders: Path) -> None:
    """Delete temporary files of a process that was killed while writing for this run. Call it with the run locked."""
    for folder in folders:
        for path in folder.glob(f".{run_id}[.-]*.tmp"):
            path.unlink(missing_ok=True)


def _place(locks: Path, run_id: str) -> Path:
    """Path of the lock file, which need not exist yet. Boards may come from strangers, so links and pipes are not opened."""
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
def locked(locks: Path, run_id: str, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of `run_id`; yields True, or, without `wait`, False if another runner holds it.

    When several processes train one run, the first takes the lock and tells the others what it got (parallel.agreed).
    """
    if parallel.rank() > 0:
        yield True
        return
    try:
        lock = FileLock(_place(locks, run_id), timeout=-1 if wait else 0)
        lock.acquire()
    except Timeout:
        yield False
        return
    except FileNotFoundError:
        check_held(locks)  # says so if the folder was moved since it was last looked at
        raise
    try:
        yield True
    finally:
        lock.release()
