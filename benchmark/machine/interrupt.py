"""Signals that ask a run to end: SIGINT and SIGTERM stop it at the next step, where it can be saved; a second one stops it at once.

Outside the training loop there is nothing to save, and the first signal already stops.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """Somebody asked this process to end; `code` is its exit code by convention, 128 + signal."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.code = 128 + number


class _Asked:
    """What this process was asked; signals belong to the process, so there is one of it."""

    def __init__(self) -> None:
        self.number, self.deferring = 0, False

    def handle(self, number: int, _: FrameType | None) -> None:
        """Remember the signal where the loop will look, else raise."""
        first, self.number = not self.number, number
        if not (first and self.deferring):
            raise Interrupted(number)


_asked = _Asked()


@contextmanager
def catching() -> Iterator[None]:
    """Handle the signals as described above; outside the main thread nothing can be handled, and nothing is."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _asked.handle) for number in SIGNALS}
    _asked.number = 0
    try:
        yield
    finally:
        _asked.number = 0
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def deferred() -> Iterator[None]:
    """The first signal inside waits for `raise_if_asked`, or for the end of the block."""
    outer, _asked.deferring = _asked.deferring, True
    try:
        yield
    finally:
        _asked.deferring = outer


def asked() -> int:
    """The signal that is waiting, or 0."""
    return _asked.number


def ask(number: int = signal.SIGTERM) -> None:
    """As if this signal had come: another process of the same run got it."""
    _asked.number = _asked.number or number


def raise_if_asked() -> None:
    """Interrupted if a signal is waiting."""
    if _asked.number:
        raise Interrupted(_asked.number)
