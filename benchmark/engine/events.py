"""Events that a runner in another process sends to the engine's driver, as short lists of JSON values.

["ready", ""] once a worker takes cells, ["started", id], ["progress", id, steps done, steps planned, loss, sparsity],
["noted", id, text], and one that ends an attempt: ["finished", id, score, seconds], ["failed", id, reason], ["standing", id] if the
record was there already, ["failed before", id, reason], ["busy", id] if another runner has it, ["trouble", id, text]
if no runner could go on (a full disk).
"""

from collections.abc import Callable

from benchmark.engine.cell import CellRunner
from benchmark.errors import DeviceLostError, message_of
from benchmark.suite.spec import RunSpec
from benchmark.training.train import Progress

Event = list[str | int | float]
Send = Callable[[Event], None]

LAST = ("finished", "failed", "standing", "failed before", "busy", "trouble")
"""Kinds of events that end an attempt at a cell."""


class EventWatcher:
    """A watcher that sends events."""

    def __init__(self, send: Send) -> None:
        self.send = send

    def started(self, spec: RunSpec) -> Progress:
        """A cell starts; its progress is sent at points of its curve."""
        run_id = spec.id
        self.send(["started", run_id])
        return lambda done, total, loss, sparsity: self.send(["progress", run_id, done, total, loss, sparsity])

    def finished(self, spec: RunSpec, score: float, seconds: float) -> None:
        """A cell has its record."""
        self.send(["finished", spec.id, score, seconds])

    def failed(self, spec: RunSpec, reason: str) -> None:
        """A cell failed."""
        self.send(["failed", spec.id, reason])

    def noted(self, spec: RunSpec, text: str) -> None:
        """A message for the user."""
        self.send(["noted", spec.id, text])


def attempt(runner: CellRunner, spec: RunSpec, send: Send) -> bool:
    """Run the cell with a runner whose watcher is `EventWatcher(send)`; exactly one last event is sent, if this returns.

    Returns False if this process can run no other cell, because its GPU is lost.
    """
    try:
        outcome = runner.attempt(spec, wait=False)
    except DeviceLostError:  # the cell's failure has been sent
        return False
    except Exception as error:  # a cell's own failure is caught below this; a full disk is everybody's
        send(["trouble", spec.id, message_of(error)])
        return True
    if outcome in ("busy", "standing"):
        send([outcome, spec.id])
    elif outcome == "failed before":
        send([outcome, spec.id, runner.done.failed_before[spec.id]])
    return True
