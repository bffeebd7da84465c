"""Signals that ask a run to end: Ctrl-C, SIGTERM, a closed terminal (SIGHUP). A run stops at its next step, where it can be saved.

Outside the training loop there is nothing to save, and the first signal already stops. A second Ctrl-C or SIGTERM stops at once.
A signal is also remembered: an exception that is raised inside a library's destructor is swallowed there, and then the next
`raise_if_asked` stops the run.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

HANGUP: int | None = getattr(signal, "SIGHUP", None)
"""The terminal was closed; not every system has it."""
SIGNALS = tuple(number for number in (signal.SIGINT, signal.SIGTERM, HANGUP) if number is not None)


class Interrupted(KeyboardInterrupt):
    """Somebody asked this process to end; `code` is its exit code by convention, 128 + signal."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.code = 128 + number


class _Asked:
    """What this process was asked; signals belong to the process, so there is one of it."""

    def __init__(self) -> None:
        self.number, self.deferring, self.catching = 0, False, False
        self.terminals: tuple[int, ...] = ()

    def handle(self, number: int, _: FrameType | None) -> None:
        """Remember the signal where the loop will look, else raise."""
        if number == HANGUP:
            _write_to_nowhere(self.terminals)
            if self.number:  # a closed terminal is told by the shell and by the system: that is one request, not two
                return
        first, self.number = not self.number, number
        if not (first and self.deferring):
            raise Interrupted(number)


_asked = _Asked()


@contextmanager
def catching() -> Iterator[None]:
    """Handle the signals as described above; inside another such block, or outside the main thread, nothing changes."""
    if _asked.catching or threading.current_thread() is not threading.main_thread():
        yield
        return
    ignored = HANGUP is not None and signal.getsignal(HANGUP) == signal.SIG_IGN  # started by nohup
    before = {n: signal.signal(n, _asked.handle) for n in SIGNALS if n != HANGUP or not ignored}
    _asked.number, _asked.catching = 0, True
    _asked.terminals = tuple(handle for handle in (0, 1, 2) if os.isatty(handle))
    try:
        yield
    finally:
        _asked.number, _asked.catching = 0, False
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def deferred() -> Iterator[None]:
    """The first signal inside waits for the next `raise_if_asked`."""
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
    """Interrupted if a signal is waiting, or was swallowed."""
    if _asked.number:
        raise Interrupted(_asked.number)


def _write_to_nowhere(terminals: tuple[int, ...]) -> None:
    """Discard further output once the terminal is closed: writing to it fails, and would end the run before it is saved."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_RDWR)
        for handle in terminals:
            if not os.isatty(handle):
                os.dup2(nowhere, handle)
        os.close(nowhere)
