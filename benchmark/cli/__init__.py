"""The command line: parses, calls, prints. No logic here; heavy modules are imported by the command that needs them."""

import sys

from benchmark.cli import running, tuning, showing, diagnosing, measuring, keeping, extending  # isort: skip - the order of the help
from benchmark.cli.app import app, echo
from benchmark.errors import PrunebenchError
from benchmark.machine.atomic import MACHINE, reason_of
from benchmark.plugins.files import only_look

__all__ = ["app", "diagnosing", "extending", "keeping", "main", "measuring", "running", "showing", "tuning"]


def main() -> None:
    """The console script: errors a user can mend, of input or of the machine, are one message and exit code 2."""
    try:
        app()
    except PrunebenchError as error:
        echo(f"prunebench: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        if error.errno not in MACHINE:
            raise
        echo(
            f"prunebench: {error.filename or 'the file system'}: {reason_of(error)}. Finished records are safe",
            err=True,
        )
        sys.exit(2)
    finally:
        only_look(False)  # of this command alone
