"""Runs one cell of a board under its lock: the unit that all engines share.

An operating-system lock per cell keeps two runners, wherever they are, from doing the same one; a dead runner's lock frees
itself. A cell that fails is noted with its reason; what a cell leaves is its record, written whole or not at all.
"""

import gzip
import json
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from benchmark.board.board import Board, Source
from benchmark.board.record import record_path, save_record
from benchmark.board.weights import save_weights
from benchmark.errors import DeviceLostError, PrunebenchError
from benchmark.machine import environment, interrupt, parallel
from benchmark.machine.atomic import disk_trouble, write_bytes
from benchmark.machine.lock import locked, remove_leftovers, was_started
from benchmark.suite.spec import RunSpec
from benchmark.training.checkpoint import discard
from benchmark.training.run import Options, Result, run
from benchmark.training.teachers import Teachers, taught_by
from benchmark.training.train import Progress
from tasks.base import Prepared, TaskError
from tasks.pipeline.whole import check_held, holding

PARTS = 4
"""Pieces of a batch after memory ran out: a quarter of the activations."""


class Watcher(Protocol):
    """Told what happens, to show it."""

    def started(self, spec: RunSpec) -> Progress:
        """A cell starts; the answer is called with its progress."""

    def finished(self, spec: RunSpec, score: float, seconds: float) -> None:
        """A cell has its record."""

    def failed(self, spec: RunSpec, reason: str) -> None:
        """A cell failed."""

    def noted(self, spec: RunSpec, text: str) -> None:
        """Something happened that a person should know: the cell is taken up from a checkpoint, or runs in less memory."""


@dataclass
class Done:
    """What one runner did: ids finished here, ids found finished, reasons of failures here and of earlier ones left alone."""

    finished: list[str] = field(default_factory=list)
    standing: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """How to run, beyond the suite: nothing here changes a result."""

    device: str = "auto"
    save_predictions: bool = False
    save_weights: bool = False
    trust_remote_code: bool = False
    retry_failed: bool = False
    """Try cells again that failed before; otherwise their failures stand."""
    checkpoint_minutes: float = 10.0
    """Minutes of training after which a cell in progress is saved."""
    compile: bool = False
    """Compile training steps: faster on a GPU once the first steps are through, the same up to rounding."""


class CellRunner:
    """Runs cells of one board in this process, and counts them in `done`."""

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
        self.teachers = Teachers(board.cache / "teachers", board.locks, plain)
        self.options = replace(plain, teacher=self.teachers.get)
        self.wanted_teachers = taught_by(board.suite.cells())

    def attempt(self, spec: RunSpec, wait: bool) -> bool:
        """Run the cell unless its record or failure stands; False if another runner has it (and we do not `wait`).

        WriteError where the board is no longer where it was, Interrupted where a signal has come: both before anything is made.
        """
        parallel.share_signals()
        interrupt.raise_if_signalled()
        try:
            with holding(self.board.folder):
                return self._attempt(spec, wait)
        except OSError as error:
            raise disk_trouble(error) or error from None

    def _attempt(self, spec: RunSpec, wait: bool) -> bool:
        again = was_started(self.board.locks, spec.id)
        with locked(self.board.locks, spec.id, wait) as mine:
            if not parallel.agreed(mine):
                return False
            if parallel.agreed(self.board.is_done(spec)):
                self.done.standing.append(spec.id)
            elif parallel.agreed(not self.settings.retry_failed and self.board.failure(spec) is not None):
                self.done.left[spec.id] = self.board.failure(spec) or ""
            else:
                if again and parallel.rank() == 0:
                    board = self.board
                    remove_leftovers(
                        spec.id, board.records_folder, board.checkpoints, board.weights_folder, self.teachers.folder
                    )
                self._run(spec)
        return True

    def _run(self, spec: RunSpec) -> None:
        try:
            result = self._run_within_memory(spec)
            if parallel.rank() == 0:
                self._keep(spec, result)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin's SystemExit too: one row's fault ends no board
            if trouble := disk_trouble(error):
                raise trouble from error  # no cell's fault: the others would train for nothing
            known = isinstance(error, (PrunebenchError, TaskError))
            reason = str(error) if known else f"{type(error).__name__}: {error}"
            self._fail(spec, reason)
            if not known and parallel.size() > 1:
                raise  # the other processes may be in the middle of a step: all of them end here
            if not known and environment.is_device_lost():
                raise DeviceLostError(f"the GPU answers no more after {spec.cell} ({reason}): start again") from error
            return
        self.done.finished.append(spec.id)
        self.watcher.finished(spec, result.record.score, result.record.cost.total_seconds)

    def _run_within_memory(self, spec: RunSpec) -> Result:
        """The cell's result; out of memory, once more with every batch in parts."""
        options = replace(
            self.options,
            progress=self._progress(spec),
            check=self._check(spec),
            tell=lambda text: self.watcher.noted(spec, text),
        )
        try:
            return run(spec, options)
        except Exception as error:
            if not environment.is_out_of_memory(error) or parallel.size() > 1:
                raise  # of several processes, the others are in the middle of a step
        # Outside the handler, whose traceback holds on to the memory.
        environment.free_memory()
        discard(self.board.checkpoints, spec.id)
        self.watcher.noted(spec, f"out of memory: once more, each batch in {PARTS} parts")
        return run(spec, replace(options, parts=PARTS, teacher=partial(self.teachers.get, parts=PARTS)))

    def _progress(self, spec: RunSpec) -> Progress:
        """The progress callback of the cell; it also notices a board that was moved, before there is a record to write."""
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
        """Everything beside the record first: the record's presence means finished."""
        if spec.id in self.wanted_teachers:
            self.teachers.keep(spec, result)
        if self.settings.save_weights:
            save_weights(self.board.weights_folder, spec.id, result.model.state_dict())
        folder = self.board.records_folder
        if self.settings.save_predictions:
            text = json.dumps(result.predictions, ensure_ascii=False, indent=0)
            write_bytes(folder / f"{spec.id}.predictions.json.gz", gzip.compress(text.encode(), mtime=0))
        with interrupt.deferred():
            save_record(folder, result.record, result.outcomes)
            discard(self.board.checkpoints, spec.id)

    def drop_finished_checkpoints(self) -> None:
        """Remove checkpoints of cells whose record stands: a process that was killed between the two left them.

        That of a dense run is kept while it may still be needed, for a teacher that is being trained again.
        """
        for path in self.board.checkpoints.glob("*.checkpoint"):
            run_id, records = path.stem, self.board.records_folder
            teaching = run_id in self.wanted_teachers and not any(self.teachers.folder.glob(f"{run_id}-*.safetensors"))
            if teaching or not record_path(records, run_id).exists():
                continue
            with locked(self.board.locks, run_id, wait=False) as mine:
                if mine:
                    discard(self.board.checkpoints, run_id)

    def _check(self, spec: RunSpec) -> Callable[[Prepared], None]:
        def check(prepared: Prepared) -> None:
            refuse_other_sources(self.board, spec, Source(prepared.data_fingerprint, prepared.model_fingerprint))

        return check


def refuse_other_sources(board: Board, spec: RunSpec, found: Source) -> None:
    """PrunebenchError where a cell's data or model is not what the task's standing records were made from."""
    standing = board.sources(spec)
    for name, old, new in (("data", standing.data, found.data), ("model", standing.model, found.model)):
        if old and old != new:
            raise PrunebenchError(
                f"the {name} of {spec.task} changed since this board's records were made (fingerprint {old[:12]}, now "
                f"{new[:12]}): use the same {name}, or a board of its own"
            )
