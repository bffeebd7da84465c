"""The command line: parses, calls, prints. No logic here; heavy modules are imported by the command that needs them."""

import sys
from pathlib import Path

from benchmark.cli import running, tuning, showing, diagnosing, measuring, keeping, extending  # isort: skip - the order of the help
from benchmark.cli.app import app, echo
from benchmark.errors import PrunebenchError
from benchmark.machine.atomic import MACHINE, reason_of
from benchmark.plugins.files import only_look

__all__ = ["app", "diagnosing", "extending", "keeping", "main", "measuring", "running", "showing", "tuning"]

LONGEST = 200
"""Characters of a file's name in a message."""


def main() -> None:
    """The console script: errors a user can mend, of input or of the machine, are one message and exit code 2."""
    try:
        app()
    except PrunebenchError as error:
        echo(f"prunebench: {error}", err=True)
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
    """Whether the current folder is still there."""
    try:
        Path.cwd()
    except OSError:
        return False
    return True


def _short(name: object) -> str:
    """A file's name, cut where it is long."""
    text = str(name)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
