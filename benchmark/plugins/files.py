"""Plugins that are named by their files, and who lets those run: the user, by a command that runs cells.

A command that only shows a board must be safe on a stranger's: it reads the options from the source (spelling.py). It also
shows boards whose data or model are not on this machine.
"""

import os
from pathlib import Path

VARIABLE = "PRUNEBENCH_PLUGIN_FILES"
"""Environment variable: 'no' runs no such plugin, 'yes' lets commands that only show a board run them too."""


class _Command:
    """What the command of this process does with a board: nothing but show it, or run its cells."""

    only_looks = False


def only_look(wanted: bool) -> None:
    """From now on, plugins named by their files are not run, or they are."""
    _Command.only_looks = wanted


def only_looks() -> bool:
    """Whether this command only shows what a board holds."""
    return _Command.only_looks


def files_run() -> bool:
    """Whether a plugin that is named by its file is run."""
    said = os.environ.get(VARIABLE, "")
    return said != "no" and (said == "yes" or not _Command.only_looks)


def is_file(text: str) -> bool:
    """Whether a configured plugin is named by its file."""
    return text.partition("[")[0].partition(":")[0].strip().endswith(".py")


def plugin_file(location: str) -> Path | None:
    """The file of that name; None where there is none, or no file system could hold it."""
    try:
        path = Path(location).expanduser()
        return path if path.is_file() else None
    except (OSError, RuntimeError, ValueError):
        return None
