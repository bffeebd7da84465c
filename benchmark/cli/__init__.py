"""The command line: parses, calls, prints. It has no logic, and each command imports the heavy modules that it needs."""

import atexit
import gc
import os
import sys
from pathlib import Path

from benchmark.cli import running, showing, measuring, keeping, extending  # isort: skip - the order of the help
from benchmark.cli.app import app, echo
from benchmark.errors import PrunebenchError
from benchmark.machine.atomic import MACHINE, reason_of
from benchmark.plugins.files import only_look

__all__ = ["app", "extending", "keeping", "main", "measuring", "running", "showing"]

LONGEST = 200
"""Longest file name in a message, in characters."""


def main() -> None:
    """The console script. Errors of input or of the machine are printed as one message, and the exit code is 2."""
    # When Python ends, it collects garbage once more, which takes half a second where torch is loaded and is of no use to anyone.
    atexit.register(gc.freeze)
    os.environ["MPLBACKEND"] = "agg"  # files alone are drawn, and one that does not exist would end the command
    if not os.environ.get("COLUMNS", "").strip("0").isdecimal():
        os.environ.pop("COLUMNS", None)  # a width that is none: of 0 columns nothing is printed
    try:
        app()
    except PrunebenchError as error:
        echo(f"prunebench: {error}", err=True)
        sys.exit(2)
    except UnicodeEncodeError as error:
        words = error.object[error.start : error.end]
        echo(
            f"prunebench: {words!r} cannot be written in this locale's encoding ({error.encoding}): set PYTHONUTF8=1",
            err=True,
        )
        sys.exit(2)
    except OSError as error:
        if error.errno not in MACHINE and error.filename is None and folder_stands():
            raise
        place = _short(error.filename or "the file system") if folder_stands() else "the current folder"
        echo(f"prunebench: {place}: {reason_of(error)}. Finished records are safe", err=True)
        sys.exit(2)
    finally:
        only_look(False)  # of this command alone


def folder_stands() -> bool:
    """Whether the current folder still exists."""
    try:
        Path.cwd()
    except OSError:
        return False
    return True


def _short(name: object) -> str:
    """A file's name, shortened if it is long."""
    text = str(name)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
