"""A worker process of `--jobs N`: runs the cells that it is given, and reports to the driver through its own pipe.

With one pipe for all, a process that is killed in the middle of a message would damage those of the others.
"""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from benchmark.board.board import Board
from benchmark.engine.cell import CellRunner, Settings
from benchmark.engine.events import Event, EventWatcher, attempt
from benchmark.machine import interrupt
from benchmark.suite.spec import RunSpec

SAFE = {"PYTHONSAFEPATH": "1"}
"""Environment variables under which a fresh interpreter imports nothing from the current folder."""


@dataclass
class Worker:
    """The driver's end of one process."""

    process: SpawnProcess
    connection: Connection
    spec: RunSpec | None = None
    """The cell that it runs."""
    ready: bool = False
    """Whether it has started."""

    @classmethod
    def start(cls, board: Board, settings: Settings, variables: Mapping[str, str]) -> "Worker":
        """A fresh interpreter with these environment variables, which torch reads when it is imported."""
        from multiprocessing import get_context, resource_tracker

        with _inherited(SAFE):
            resource_tracker.ensure_running()  # starting it would lift the block on signals below
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, board, settings), name="prunebench worker")
        with _inherited({**variables, **SAFE}):
            process.start()
        theirs.close()
        return cls(process, ours)

    def give(self, spec: RunSpec) -> None:
        """Send a cell. If the process is gone, that is noticed when its events are read."""
        self.spec = spec
        try:
            self.connection.send(spec)
        except OSError:
            return

    def ending(self) -> str:
        """How the process ended, for messages."""
        self.process.join()
        code = self.process.exitcode or 0
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


@contextmanager
def _inherited(variables: Mapping[str, str]) -> Iterator[None]:
    """Within, new processes inherit these variables, and block the terminal's signals, which the driver passes on."""
    before = {name: os.environ.get(name) for name in variables}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def serve(connection: Connection, board: Board, settings: Settings) -> None:
    """Run cells from the driver and send events, until the driver closes the pipe or SIGTERM asks to save and end."""

    def send(event: Event) -> None:
        try:
            connection.send(event)
        except OSError:
            interrupt.request_stop()  # the driver is gone: save at the next step, and end

    runner = CellRunner(board, EventWatcher(send), settings)
    try:
        with interrupt.catching():
            send(["ready", ""])
            while attempt(runner, connection.recv(), send):
                pass
    except (EOFError, OSError):
        return
    except interrupt.Interrupted as stop:
        sys.exit(stop.code)
