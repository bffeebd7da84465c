"""The command line: parses, calls, prints. No logic here; heavy modules are imported by the command that needs them."""

import sys

import typer

from benchmark.cli import running, showing, keeping, extending  # isort: skip - the order of the help
from benchmark.cli.app import app
from benchmark.errors import PrunebenchError

__all__ = ["app", "extending", "keeping", "main", "running", "showing"]


def main() -> None:
    """The console script: errors a user can mend are one message and exit code 2."""
    try:
        app()
    except PrunebenchError as error:
        typer.echo(f"prunebench: {error}", err=True)
        sys.exit(2)
