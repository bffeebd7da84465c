"""Where files lie that can be made again: in the cache folder of the user, never in a board.

A board may come from anywhere: a tar, a git checkout, a colleague. What a cache says is believed, so none may come with it.

    PRUNEBENCH_CACHE                        where it is set; for instance a folder that all nodes of a cluster share
    $XDG_CACHE_HOME/prunebench              else, where that is set to an absolute path
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
    """This user's folder of caches; PrunebenchError where the system names no home folder."""
    if given := os.environ.get(VARIABLE):
        return Path(os.path.abspath(os.path.expanduser(given)))  # noqa: PTH100, PTH111 - "~nobody" stays as it is
    if (xdg := Path(os.environ.get("XDG_CACHE_HOME", ""))).is_absolute():
        return xdg / "prunebench"
    try:
        return Path.home() / ".cache" / "prunebench"
    except RuntimeError as error:
        raise PrunebenchError(f"no home folder for caches: set {VARIABLE} to a folder of your own") from error


def board_cache(folder: Path) -> Path:
    """The cache of the board in `folder`: another place has another one, so a board that is moved or copied starts with none."""
    path = os.path.realpath(folder)
    name = re.sub(r"[^A-Za-z0-9._-]", "_", Path(path).name)[:40]
    return cache_folder() / "boards" / f"{name}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:DIGITS]}"
