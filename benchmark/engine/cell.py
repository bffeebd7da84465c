"""Runs one cell of a board under its lock: the unit that all engines share.

An operating-system lock per cell keeps two runners, wherever they are, from doing the same one; a dead runner's lock frees
itself. A cell that fails is noted with its reason; what a cell leaves is its record, written whole or not at all.
"""

import gzip
import json
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from filelock import FileLock, Timeout

from benchmark.atomic import write_bytes
from benchmark.board import Board, Source
from benchmark.errors import PrunebenchError
from benchmark.record import save_record
from benchmark.run import Options, Result, run
from benchmark.spec import RunSpec
from benchmark.teachers import Teachers, taught_by
from benchmark.train import Progress
from benchmark.weights import save_weights
from tasks.base import Prepared, TaskError


class Watcher(Protocol):
    """Told what happens, to show it."""

    def started(self, spec: RunSpec) -> Progress:
        """A cell starts; the answer is called with its progress."""

    def finished(self, spec: RunSpec, score: float, seconds: float) -> None:
        """A cell has its record."""

    def failed(self, spec: RunSpec, reason: str) -> None:
        """A cell failed."""


@dataclass
class Done:
    """What one runner did: ids finished here, ids found finished, reasons of failures by id."""

    finished: list[str] = field(default_factory=list)
    standing: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """How to run, beyond the suite: nothing here changes a result."""

    device: str = "auto"
    save_predictions: bool = False
    save_weights: bool = False
    trust_remote_code: bool = False


class CellRunner:
    """Runs cells of one board in this process, and counts them in `done`."""

    def __init__(self, board: Board, watcher: Watcher, settings: Settings) -> None:
        self.board, self.watcher, self.settings, self.done = board, watcher, settings, Done()
        plain = Options(settings.device, board.cache / "data", settings.trust_remote_code)
        self.teachers = Teachers(board.cache / "teachers", board.locks, plain)
        self.options = replace(plain, teacher=self.teachers.get)
        self.wanted_teachers = taught_by(board.suite.cells())

    def attempt(self, spec: RunSpec, wait: bool) -> bool:
        """Run the cell unless its record stands; False if another runner has it (and we do not `wait`)."""
        self.board.locks.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.board.locks / f"{spec.id}.lock", timeout=-1 if wait else 0):
                if self.board.is_done(spec):
                    self.done.standing.append(spec.id)
                else:
                    self._run(spec)
        except Timeout:
            return False
        return True

    def _run(self, spec: RunSpec) -> None:
        try:
            result = run(spec, replace(self.options, progress=self.watcher.started(spec), check=self._check(spec)))
            self._keep(spec, result)
        except Exception as error:
            reason = (
                str(error) if isinstance(error, (PrunebenchError, TaskError)) else f"{type(error).__name__}: {error}"
            )
            self.done.failed[spec.id] = reason
            self.board.fail(spec, reason, traceback.format_exc())
            self.watcher.failed(spec, reason)
            return
        self.done.finished.append(spec.id)
        self.watcher.finished(spec, result.record.score, result.record.cost.total_seconds)

    def _keep(self, spec: RunSpec, result: Result) -> None:
        """Everything beside the record first: the record's presence means finished."""
        if spec.id in self.wanted_teachers:
            save_weights(self.teachers.folder, spec.id, result.model.state_dict())
        if self.settings.save_weights:
            save_weights(self.board.weights_folder, spec.id, result.model.state_dict())
        folder = self.board.records_folder
        if self.settings.save_predictions:
            text = json.dumps(result.predictions, ensure_ascii=False, indent=0)
            write_bytes(folder / f"{spec.id}.predictions.json.gz", gzip.compress(text.encode(), mtime=0))
        save_record(folder, result.record, result.outcomes)

    def _check(self, spec: RunSpec) -> Callable[[Prepared], None]:
        """Refuse to put runs on other data or another model beside standing records of the same task."""

        def check(prepared: Prepared) -> None:
            standing = self.board.sources(spec)
            found = Source(prepared.data_fingerprint, prepared.model_fingerprint)
            for name, old, new in (("data", standing.data, found.data), ("model", standing.model, found.model)):
                if old and old != new:
                    raise PrunebenchError(
                        f"the {name} of {spec.task} changed since this board's records were made (fingerprint {old[:12]}, now "
                        f"{new[:12]}): use the same {name}, or a board of its own"
                    )

        return check
