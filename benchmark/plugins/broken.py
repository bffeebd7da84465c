"""A plugin that cannot be loaded: its own traceback, and an error that stops its own cells only."""

from traceback import TracebackException

from benchmark.errors import PrunebenchError

MACHINERY = (
    "<frozen importlib",
    "importlib/metadata",
    "importlib\\metadata",
    "benchmark/plugins/registry.py",
    "benchmark\\registry.py",
)
"""Files whose frames say nothing about the plugin."""


class BrokenPluginError(PrunebenchError):
    """A plugin that is there but fails to load, or is not what its kind must be. Other cells and lists go on."""


class SlipError(BrokenPluginError):
    """A plugin with a name that was meant to be another: what it overrides is never called."""


def broken(what: str, error: BaseException, done: str = "imported") -> BrokenPluginError:
    """The error that says what cannot be imported (or `done`), with the plugin's own part of the traceback."""
    reason = error.msg if isinstance(error, SyntaxError) else str(error)
    return BrokenPluginError(f"{what} cannot be {done}: {type(error).__name__}: {reason}\n{own_traceback(error)}")


def own_traceback(error: BaseException) -> str:
    """The traceback of `error`, begun where the plugin's own code begins."""
    found = TracebackException.from_exception(error)
    own = [frame for frame in found.stack if not any(part in frame.filename for part in MACHINERY)]
    found.stack[:] = own
    return "".join(found.format(chain=True)).rstrip()
