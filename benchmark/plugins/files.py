"""Plugins that are named by their files. Their code runs only under commands that run cells.

A command that only shows a board must be safe on boards of strangers, so it reads options from the source (spelling.py).
Reading a board must also work where its data and model are not at hand.
"""

import os
import re
from pathlib import Path

VARIABLE = "PRUNEBENCH_PLUGIN_FILES"
"""Environment variable: with 'no' such plugins never run, with 'yes' also under commands that only show a board."""


class _Command:
    """Whether this process's command only shows boards, or runs cells."""

    only_looks = False


def only_look(wanted: bool) -> None:
    """Set whether plugins named by their files may run from now on."""
    _Command.only_looks = wanted


def only_looks() -> bool:
    """Whether this command only shows a board."""
    return _Command.only_looks


def files_run() -> bool:
    """Whether plugins named by their files may run."""
    said = os.environ.get(VARIABLE, "")
    return said != "no" and (said == "yes" or not _Command.only_looks)


def brings_code(task: str) -> bool:
    """Whether opening a configured task runs functions of a folder that its options name, as lm_eval/* does with `include`."""
    return bool(re.match(r"\s*lm_eval/.*\binclude\s*=", task, re.DOTALL))


def file_of(text: str) -> str:
    """The path in a configured plugin that is named by its file, without class and options; "" for any other plugin."""
    location = text.partition("[")[0].partition(":")[0].strip()
    return location if location.endswith(".py") else ""


def is_file(text: str) -> bool:
    """Whether a configured plugin is named by its file."""
    return bool(file_of(text))


def plugin_file(location: str) -> Path | None:
    """The file of that name; None if there is none, or the name cannot be one of a file."""
    try:
        path = Path(location).expanduser()
        return path if path.is_file() else None
    except (OSError, RuntimeError, ValueError):
        return None


def file_called(name: str) -> str:
    """`name` as the plugin's file that is meant by it, `name.py`, if there is one in the current folder; else empty."""
    location, colon, cls = name.partition(":")
    path = f"{location}.py"
    return f"{path}{colon}{cls}" if not is_file(name) and plugin_file(path) else ""
