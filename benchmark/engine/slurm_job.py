"""Runs inside a Slurm job: one cell, which appends events to a file, and saves a checkpoint when Slurm ends the job."""

import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from benchmark.board.board import Board
from benchmark.engine.cell import CellRunner, Settings
from benchmark.engine.events import Event, EventWatcher, attempt
from benchmark.machine import interrupt
from benchmark.suite.spec import RunSpec

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

REQUEUE = signal.SIGUSR2
"""The signal that submitit asks Slurm to send before a job's time is over, or when it is preempted."""
BOTH = 1.0
"""Seconds in which SIGUSR2 may follow a SIGTERM: preemption sends both, scancel SIGTERM alone."""


@dataclass
class CellJob:
    """A cell of a board, to be called by submitit."""

    board: Board
    spec: RunSpec
    settings: Settings
    events: Path

    def __call__(self) -> None:
        """Run the cell. On a signal it saves at the next step, and then is requeued (SIGUSR2) or ends (SIGTERM)."""
        received: set[int] = set()

        def note(number: int, _: FrameType | None) -> None:
            received.add(number)
            interrupt.request_stop(number)

        with interrupt.catching():
            requeue = signal.signal(REQUEUE, note)
            signal.signal(signal.SIGTERM, note)
            try:
                attempt(CellRunner(self.board, EventWatcher(self._send), self.settings), self.spec, self._send)
            except interrupt.Interrupted as stop:
                until = time.monotonic() + BOTH
                while REQUEUE not in received and time.monotonic() < until:
                    time.sleep(0.05)
                if REQUEUE not in received or not callable(requeue):
                    sys.exit(stop.code)
                requeue(REQUEUE, None)  # submitit's: calls checkpoint(), has the job requeued, exits

    def checkpoint(self) -> "DelayedSubmission":
        """For submitit: the same job again, since a cell finds its own checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def _send(self, event: Event) -> None:
        """Append one line in one write, so that the driver never reads half of one."""
        handle = os.open(self.events, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, (json.dumps(event) + "\n").encode())
        finally:
            os.close(handle)
