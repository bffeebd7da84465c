"""The folder for files that can be made again: in the user's cache, never in a board.

Boards come from archives, repositories and colleagues, and the content of a cache is trusted. So a board must not bring one along.

    PRUNEBENCH_CACHE                        if it is set, for instance to a folder that all nodes of a cluster share
    $XDG_CACHE_HOME/prunebench              else, if that is an absolute path
    ~/.cache/prunebench                     else

Everything below it can be deleted while nothing runs.
"""

import hashlib
import os
import re
from pathlib import Path

from benchmark.errors import PrunebenchError

VARIABLE = "PRUNEBENCH_CACHE"
DIGITS = 16
"""Hex digits of the hash of a board's path."""


def cache_folder() -> Path:
    """This user's cache folder; PrunebenchError if the user has no home folder."""
    if given := os.environ.get(VARIABLE):
        return Path(os.path.abspath(os.path.expanduser(given)))  # noqa: PTH100, PTH111 - "~nobody" stays as it is
    if (xdg := Path(os.environ.get("XDG_CACHE_HOME", ""))).is_absolute():
        return xdg / "prunebench"
    try:
        return Path.home() / ".cache" / "prunebench"
    except RuntimeError as error:
        raise PrunebenchError(f"no home folder for caches: set {VARIABLE} to a folder of your own") from error


def board_cache(folder: Path) -> Path:
    """The cache of the board in `folder`. It goes by the path, so a board that is moved or copied starts with an empty one."""
    path = os.path.realpath(folder)
    name = re.sub(r"[^A-Za-z0-9._-]", "_", Path(path).name)[:40]
    return cache_folder() / "boards" / f"{name}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:DIGITS]}"
