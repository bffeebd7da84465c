"""Errors for plugins that cannot be loaded. They show the plugin's own traceback and fail only its own cells."""

from pathlib import PurePath
from traceback import TracebackException

from benchmark.errors import PrunebenchError

MACHINERY = (
    "<frozen importlib",
    "importlib/metadata",
    "benchmark/plugins/registry.py",
    "benchmark/commands/check.py",
    "criteria/checks/",
    "tasks/checks/",
    "benchmark/pruning/schedules/checks.py",
)
"""Parts of file names whose frames in a traceback say nothing about the plugin."""


class BrokenPluginError(PrunebenchError):
    """A plugin exists but cannot be loaded, or is not of its kind. Cells of other plugins still run."""


class SlipError(BrokenPluginError):
    """A plugin defines a method under a misspelt name, which would never be called."""


def broken(what: str, error: BaseException, done: str = "imported") -> BrokenPluginError:
    """The error for a plugin that cannot be imported (or `done`), with the plugin's own part of the traceback."""
    reason = error.msg if isinstance(error, SyntaxError) else str(error)
    return BrokenPluginError(f"{what} cannot be {done}: {type(error).__name__}: {reason}\n{own_traceback(error)}")


def own_traceback(error: BaseException) -> str:
    """The traceback of `error` from the first frame of the plugin's own code."""
    return "".join(_own(error).format(chain=True)).rstrip()


def origin(error: BaseException) -> str:
    """Where in the plugin's own code `error` was raised, and its type: the same for one fault that is met twice."""
    return "".join([*_own(error).stack.format(), type(error).__name__])


def _own(error: BaseException) -> TracebackException:
    found = TracebackException.from_exception(error)
    own = [frame for frame in found.stack if not any(part in PurePath(frame.filename).as_posix() for part in MACHINERY)]
    found.stack[:] = own
    return found
