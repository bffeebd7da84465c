"""`--track`: passes what a watcher is told on to an experiment tracker. Nothing is ever read back from it."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Protocol

from benchmark.engine.cell import Watcher
from benchmark.errors import PrunebenchError
from benchmark.suite.spec import RunSpec
from benchmark.training.train import Progress


class Session(Protocol):
    """One cell in a tracker."""

    def log(self, step: int, values: dict[str, float]) -> None:
        """Numbers at a training step."""

    def end(self, values: dict[str, float], reason: str | None) -> None:
        """Final numbers, or the reason of a failure."""


Opener = Callable[[RunSpec, dict[str, str], Path], Session]
"""(cell, its settings as text, board folder) -> session."""


class Tracking:
    """A watcher that passes everything on to another one and to the tracker."""

    def __init__(self, inner: Watcher, opener: Opener, folder: Path) -> None:
        self.inner, self.opener, self.folder = inner, opener, folder
        self.sessions: dict[str, Session] = {}
        self.working = True

    def started(self, spec: RunSpec) -> Progress:
        """Open a session; progress goes to both."""
        shown = self.inner.started(spec)
        with self._unharmed():
            self.sessions[spec.id] = self.opener(spec, settings_of(spec), self.folder)

        def progress(done: int, total: int, loss: float, sparsity: float) -> None:
            shown(done, total, loss, sparsity)
            with self._unharmed():
                if session := self.sessions.get(spec.id):
                    session.log(done, {"loss": loss, "sparsity": sparsity})

        return progress

    def finished(self, spec: RunSpec, score: float, seconds: float) -> None:
        """Close the session with its score."""
        self.inner.finished(spec, score, seconds)
        self._end(spec.id, {"score": score, "seconds": seconds}, None)

    def failed(self, spec: RunSpec, reason: str) -> None:
        """Close the session as failed."""
        self.inner.failed(spec, reason)
        self._end(spec.id, {}, reason)

    def noted(self, spec: RunSpec, text: str) -> None:
        """A message for the user; not sent to the tracker."""
        self.inner.noted(spec, text)

    def close(self) -> None:
        """Close the sessions of interrupted cells."""
        for run_id in list(self.sessions):
            self._end(run_id, {}, "interrupted")

    def _end(self, run_id: str, values: dict[str, float], reason: str | None) -> None:
        session = self.sessions.pop(run_id, None)
        with self._unharmed():
            if session is not None:
                session.end(values, reason)

    @contextmanager
    def _unharmed(self) -> Iterator[None]:
        """Call the tracker; an error of it (a full disk, a lost server) fails no run, and the first one is shown."""
        try:
            yield
        except Exception as error:
            if self.working:
                warnings.warn(f"the tracker fails ({error!r}); runs go on without it", stacklevel=2)
            self.working = False


@contextmanager
def tracked(watcher: Watcher, tracker: str | None, folder: Path) -> Iterator[Watcher]:
    """`watcher`, which also tells `tracker` if one is named; PrunebenchError if it is not installed."""
    if tracker is None:
        yield watcher
        return
    tracking = Tracking(watcher, opener_of(tracker), folder)
    try:
        yield tracking
    finally:
        tracking.close()


def opener_of(tracker: str) -> Opener:
    """How a tracker opens a session: `open_session` of the module here that is called as the package that it needs."""
    try:
        found: Opener = import_module(f"benchmark.tracking.{tracker}").open_session
    except ImportError as error:
        raise PrunebenchError(
            f"--track {tracker} needs a package that is not installed ({error}): python -m pip install {tracker}"
        ) from error
    return found


def settings_of(spec: RunSpec) -> dict[str, str]:
    """The choices of a cell as flat text: `training.lr` and so on, and its id."""
    flat = {"id": spec.id}
    for name, value in spec.recorded().model_dump(mode="json").items():
        nested = value.items() if isinstance(value, dict) else [("", value)]
        flat |= {f"{name}.{key}".rstrip("."): str(part) for key, part in nested}
    return flat
