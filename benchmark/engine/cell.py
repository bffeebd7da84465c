"""Runs one cell of a board under its lock; all engines use this.

A lock of the operating system keeps two runners from training the same cell, and is released when its runner dies. A finished
cell leaves its record, written atomically; a failed one leaves the reason.
"""

import gzip
import json
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal, Protocol

from benchmark.board.board import Board
from benchmark.board.record import predictions_path, record_path, save_record
from benchmark.board.weights import save_weights
from benchmark.engine.sources import open_sources, refuse_other_sources
from benchmark.errors import DeviceLostError, PrunebenchError
from benchmark.machine import environment, interrupt, parallel
from benchmark.machine.atomic import disk_trouble, require_room, write_bytes
from benchmark.machine.lock import locked, remove_leftovers, was_started
from benchmark.suite.spec import RunSpec
from benchmark.training.checkpoint import discard
from benchmark.training.compiled import Choice
from benchmark.training.run import Options, Result, run
from benchmark.training.teachers import Teachers, taught_by
from benchmark.training.train import Progress
from tasks.base import TaskError
from tasks.pipeline.whole import check_held, holding

PARTS = 4
"""Parts of a batch after running out of memory: a quarter of the activations at a time."""

Outcome = Literal["finished", "failed", "standing", "failed before", "busy"]
"""What became of a cell: run now, with a record or a failure; it had a record; it had failed before; another runner has it."""


class Watcher(Protocol):
    """Is told what happens to cells, to show it."""

    def started(self, spec: RunSpec) -> Progress:
        """A cell starts; returns a function to call with its progress."""

    def finished(self, spec: RunSpec, score: float, seconds: float) -> None:
        """A cell has its record."""

    def failed(self, spec: RunSpec, reason: str) -> None:
        """A cell failed."""

    def noted(self, spec: RunSpec, text: str) -> None:
        """A message for the user: the cell resumes from a checkpoint, or is run again in less memory."""


@dataclass
class Done:
    """What one runner did: ids that it finished, ids that had a record, and reasons of cells that failed now or had failed before."""

    finished: list[str] = field(default_factory=list)
    standing: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    failed_before: dict[str, str] = field(default_factory=dict)

    @property
    def failures(self) -> dict[str, str]:
        """Reasons of all cells that failed, now or before, by id."""
        return self.failed | self.failed_before


@dataclass(frozen=True)
class Settings:
    """Settings of a runner that do not change a result."""

    device: str = "auto"
    save_predictions: bool = False
    save_weights: bool = False
    trust_remote_code: bool = False
    retry_failed: bool = False
    """Run cells again that failed before."""
    checkpoint_minutes: float = 10.0
    """Minutes of training between checkpoints of a cell."""
    compile: Choice = False
    """Compile training steps: faster on a GPU in long runs, with the same results up to rounding. "auto" compiles on CUDA, in cells
    that are long enough (compiled.py)."""


def require_ready(board: Board, cells: Sequence[RunSpec], settings: Settings) -> None:
    """PrunebenchError where a cell that is still to run could not be written or opened: asked before any is trained."""
    done = board.done(cells)
    waiting = [one for one in cells if one.id not in done and (settings.retry_failed or board.failure(one) is None)]
    if waiting:
        require_room(board.records_folder, otherwise="")
        if settings.save_weights:
            require_room(board.weights_folder, otherwise="")
    open_sources(board, waiting, Options(settings.device, board.cache / "data", settings.trust_remote_code))


class CellRunner:
    """Runs cells of one board in this process; `done` says what became of them."""

    def __init__(self, board: Board, watcher: Watcher, settings: Settings) -> None:
        self.board, self.watcher, self.settings, self.done = board, watcher, settings, Done()
        plain = Options(
            settings.device,
            board.cache / "data",
            settings.trust_remote_code,
            checkpoints=board.checkpoints,
            checkpoint_minutes=settings.checkpoint_minutes,
            compile=settings.compile,
        )
        self.teachers = Teachers(board, plain)
        self.options = self.teachers.options
        self.wanted_teachers = taught_by(board.suite.cells())

    def attempt(self, spec: RunSpec, wait: bool) -> Outcome:
        """Run the cell unless it has a record or failed before; "busy" if another runner has it and `wait` is false.

        WriteError if the board's folder was moved, Interrupted if a signal was received; nothing has been written then.
        """
        parallel.raise_if_signalled()
        try:
            with holding(self.board.folder):
                return self._attempt(spec, wait)
        except OSError as error:
            raise disk_trouble(error) or error from None

    def _attempt(self, spec: RunSpec, wait: bool) -> Outcome:
        again = was_started(self.board.locks, spec.id)
        with locked(self.board.locks, spec.id, wait) as mine:
            if not parallel.agreed(mine):
                return "busy"
            if parallel.agreed(self.board.is_done(spec)):
                self.done.standing.append(spec.id)
                return "standing"
            if parallel.agreed(not self.settings.retry_failed and self.board.failure(spec) is not None):
                self.done.failed_before[spec.id] = self.board.failure(spec) or ""
                return "failed before"
            if again and parallel.rank() == 0:
                board = self.board
                remove_leftovers(
                    spec.id, board.records_folder, board.checkpoints, board.weights_folder, self.teachers.folder
                )
            return self._run(spec)

    def _run(self, spec: RunSpec) -> Outcome:
        try:
            result = self._run_within_memory(spec)
            if parallel.rank() == 0:
                self._keep(spec, result)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin's SystemExit too, which must not end the other cells
            if trouble := disk_trouble(error):
                raise trouble from error  # every later cell would fail for the same reason
            known = isinstance(error, (PrunebenchError, TaskError))
            reason = str(error) if known else f"{type(error).__name__}: {error}"
            self._fail(spec, reason)
            if not known and parallel.size() > 1:
                raise  # the other processes may be in the middle of a step: all of them end here
            if not known and environment.is_device_lost():
                raise DeviceLostError(f"the GPU answers no more after {spec.cell} ({reason}): start again") from error
            return "failed"
        self.done.finished.append(spec.id)
        self.watcher.finished(spec, result.record.score, result.record.cost.total_seconds)
        return "finished"

    def _run_within_memory(self, spec: RunSpec) -> Result:
        """Run the cell; if memory runs out, run it once more with every batch in parts."""
        options = replace(
            self.options,
            progress=self._progress(spec),
            check=partial(refuse_other_sources, self.board, spec),
            tell=lambda text: self.watcher.noted(spec, text),
        )
        try:
            return run(spec, options)
        except Exception as error:
            if not environment.is_out_of_memory(error) or parallel.size() > 1:
                raise  # of several processes, the others are in the middle of a step
        # Not inside the handler: its traceback keeps the memory alive.
        environment.free_memory()
        discard(self.board.checkpoints, spec.id)
        self.watcher.noted(spec, f"out of memory: once more, each batch in {PARTS} parts")
        return run(spec, replace(options, parts=PARTS, teacher=partial(self.teachers.get, parts=PARTS)))

    def _progress(self, spec: RunSpec) -> Progress:
        """The cell's progress callback. It also checks that the board's folder is still there, before the record is to be written."""
        told = self.watcher.started(spec)

        def progress(done: int, total: int, loss: float, sparsity: float) -> None:
            check_held(self.board.folder)
            told(done, total, loss, sparsity)

        return progress

    def _fail(self, spec: RunSpec, reason: str) -> None:
        self.done.failed[spec.id] = reason
        if parallel.rank() == 0:
            with interrupt.deferred():
                self.board.fail(spec, reason, traceback.format_exc())
                discard(self.board.checkpoints, spec.id)  # it would only lead to the same failure
        self.watcher.failed(spec, reason)

    def _keep(self, spec: RunSpec, result: Result) -> None:
        """Write everything else before the record, because a record means that the cell is finished."""
        if spec.id in self.wanted_teachers:
            self.teachers.keep(spec, result)
        if self.settings.save_weights:
            save_weights(self.board.weights_folder, spec.id, result.model.state_dict())
        folder = self.board.records_folder
        if self.settings.save_predictions:
            text = json.dumps(result.predictions, ensure_ascii=False, indent=0)
            write_bytes(predictions_path(folder, spec.id), gzip.compress(text.encode(), mtime=0))
        with interrupt.deferred():
            save_record(folder, result.record, result.outcomes)
            discard(self.board.checkpoints, spec.id)

    def drop_finished_checkpoints(self) -> None:
        """Delete checkpoints of finished cells, left by a process that was killed after it wrote the record.

        The checkpoint of a dense run is kept if its teacher is missing: somebody may be training it again.
        """
        for path in self.board.checkpoints.glob("*.checkpoint"):
            run_id, records = path.stem, self.board.records_folder
            teaching = run_id in self.wanted_teachers and not any(self.teachers.folder.glob(f"{run_id}-*.safetensors"))
            if teaching or not record_path(records, run_id).exists():
                continue
            with locked(self.board.locks, run_id, wait=False) as mine:
                if mine:
                    discard(self.board.checkpoints, run_id)
