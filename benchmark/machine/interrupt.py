"""Signals that ask a run to stop: Ctrl-C (SIGINT), SIGTERM, and a closed terminal (SIGHUP).

Inside the training loop the first signal only asks: the run ends after its current step, and training/checkpoint.py saves it
there. Elsewhere there is nothing to save, so the first signal stops the command at once, as a second one always does.
Every signal is also remembered, because Python swallows an exception that is raised inside a destructor; the next
`raise_if_signalled` then stops the run.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to end; `code` is its exit code by convention, 128 + signal."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.code = 128 + number


class _Signals:
    """The signal that this process received, if any. There is one instance, since signals are per process."""

    def __init__(self) -> None:
        self.number, self.deferring, self.catching = 0, False, False
        self.terminals: tuple[int, ...] = ()

    def handle(self, number: int, _: FrameType | None) -> None:
        """Remember the signal; raise Interrupted unless this is the first one and the training loop will look for it."""
        if number == signal.SIGHUP:
            _discard_output(self.terminals)
            if self.number:  # shell and system both send one when a terminal closes: one request, not two
                return
        first, self.number = not self.number, number
        if not (first and self.deferring):
            raise Interrupted(number)


_signals = _Signals()


@contextmanager
def catching() -> Iterator[None]:
    """Handle the signals as this module describes. Does nothing when nested, or outside the main thread."""
    if _signals.catching or threading.current_thread() is not threading.main_thread():
        yield
        return
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # started by nohup
    before = {n: signal.signal(n, _signals.handle) for n in SIGNALS if n != signal.SIGHUP or not ignored}
    _signals.number, _signals.catching = 0, True
    _signals.terminals = tuple(handle for handle in (0, 1, 2) if os.isatty(handle))
    try:
        yield
    finally:
        _signals.number, _signals.catching = 0, False
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def deferred() -> Iterator[None]:
    """Within, the first signal waits for the next `raise_if_signalled`."""
    outer, _signals.deferring = _signals.deferring, True
    try:
        yield
    finally:
        _signals.deferring = outer


def pending_signal() -> int:
    """Number of the signal that was received, or 0."""
    return _signals.number


def request_stop(number: int = signal.SIGTERM) -> None:
    """Act as if this process had received the signal: another process of the same run did."""
    _signals.number = _signals.number or number


def raise_if_signalled() -> None:
    """Raise Interrupted if a signal was received."""
    if _signals.number:
        raise Interrupted(_signals.number)


def _discard_output(terminals: tuple[int, ...]) -> None:
    """Send further output to the null device. Writing to a closed terminal fails, and would end the run before it is saved."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_RDWR)
        for handle in terminals:
            if not os.isatty(handle):
                os.dup2(nowhere, handle)
        os.close(nowhere)
