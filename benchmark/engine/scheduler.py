"""Decides which cell an engine starts next, and keeps track of the others.

Dense cells that are teachers come first, and a cell is not started before its teacher is trained, so that no worker waits. For the
same reason a cell goes before others if no running cell is reading and tokenizing its data at that moment. A cell that another runner
has locked is tried again later. A cell whose runner died is started again; after two deaths (one before it began counts half) it
has failed.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator

from benchmark.board.board import Board
from benchmark.engine.cell import Done, Settings, Watcher
from benchmark.engine.events import Event
from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from benchmark.suite.spec import RunSpec
from benchmark.training.teachers import taught_by
from benchmark.training.train import Progress

MAX_DEATHS = 2
"""Deaths of runners after which a cell counts as failed."""
SHORTEST, LONGEST = 0.5, 20.0
"""Seconds until a cell that another runner has is tried again: the first time, and at most, after doubling."""


class Scheduler:
    """Keeps cells that are waiting, running, or in `done`."""

    def __init__(
        self, board: Board, cells: Iterable[RunSpec], watcher: Watcher, settings: Settings, max_deaths: int = MAX_DEATHS
    ) -> None:
        self.board, self.watcher, self.max_deaths, self.done = board, watcher, max_deaths, Done()
        named = {spec.id: spec for spec in cells}
        standing = board.done(named.values())
        self.done.standing = [run_id for run_id in named if run_id in standing]
        if not settings.retry_failed:
            failures = {run_id: board.failure(spec) for run_id, spec in named.items() if run_id not in standing}
            self.done.failed_before = {run_id: reason for run_id, reason in failures.items() if reason is not None}
        self.teaching = taught_by(board.suite.cells())
        """Ids of dense cells whose weights others want."""
        self.teacher = {
            run_id: spec.dense().id
            for run_id, spec in named.items()
            if registry.asks(spec.regularizer, "needs_teacher")
        }
        missing = [run_id for run_id in named if run_id not in standing and run_id not in self.done.failed_before]
        first = [run_id for run_id in missing if run_id in self.teaching]
        self.waiting = {run_id: named[run_id] for run_id in dict.fromkeys(first + missing)}
        self.running: dict[str, RunSpec] = {}
        self.deaths: Counter[str] = Counter()
        self._begun: set[str] = set()
        """Ids of cells whose present runner has said that it began."""
        self._progress: dict[str, Progress] = {}
        """The watcher's progress functions by cell."""
        self._times_busy: Counter[str] = Counter()
        """How often each cell was found in the hands of another runner."""
        self._not_before: dict[str, float] = {}
        """The clock at which such a cell is tried again."""
        self._untaught = set(self.teacher.values())
        """Ids of teachers whose weights were not seen yet."""
        self._data = set(map(_data_of, self.waiting.values()))
        self._unread = self._data.copy()
        """Data on which no cell was seen to train yet."""

    @property
    def unfinished(self) -> int:
        """Cells waiting or running."""
        return len(self.waiting) + len(self.running)

    def take(self) -> RunSpec | None:
        """The next cell to start, which then counts as running; None if none can start yet."""
        being_read = self._unread & set(map(_data_of, self.running.values()))
        chosen = None
        if being_read != self._data:  # else every waiting cell's data are being read: no need to look at 100,000
            chosen = next((spec for spec in self._startable() if _data_of(spec) not in being_read), None)
        chosen = chosen or next(self._startable(), None)
        if chosen is not None:
            self.running[chosen.id] = self.waiting.pop(chosen.id)
        return chosen

    def handle(self, event: Event) -> None:
        """Update the state for an event and tell the watcher; events of cells that are not running are ignored."""
        kind, run_id, *facts = event
        spec = self.running.get(str(run_id))
        if spec is None:
            return
        if kind == "started":
            self._begun.add(spec.id)
            self._progress_of(spec)
        elif kind == "progress":
            self._unread.discard(_data_of(spec))
            self._progress_of(spec)(*facts)  # type: ignore[arg-type]
        elif kind == "noted":
            self.watcher.noted(spec, str(facts[0]))
        elif kind == "trouble":
            raise PrunebenchError(str(facts[0]))
        else:
            self._close(spec, str(kind), facts)

    def died(self, spec: RunSpec, reason: str, log: str = "") -> None:
        """The cell's runner died: the cell is finished if it has a record; otherwise it will be started again, or has failed."""
        if self.board.is_done(spec):
            self._close(spec, "finished", self._score(spec))
            return
        # A runner that was gone before it began says little about the cell: it counts half.
        self.deaths[spec.id] += 2 if spec.id in self._begun else 1
        self._begun.discard(spec.id)
        if self.deaths[spec.id] < 2 * self.max_deaths:
            self.waiting = {spec.id: self.running.pop(spec.id), **self.waiting}
            return
        self.board.fail(spec, reason, log or reason)
        self._close(spec, "failed", [reason])

    def _startable(self) -> Iterator[RunSpec]:
        """Waiting cells that can start now, in order."""
        now, awaited = time.monotonic(), self._teachers_in_training()
        for run_id, spec in self.waiting.items():
            if self._not_before.get(run_id, 0.0) <= now and self.teacher.get(run_id) not in awaited:
                yield spec

    def _teachers_in_training(self) -> set[str]:
        """Teachers that cells should wait for: their dense cell is waiting or running, or another running cell trains them."""
        if self._untaught:
            there = (self.board.cache / "teachers").glob("*.safetensors")
            self._untaught -= {path.name[:16] for path in there}  # an id, and more
        trained = {self.teacher[run_id] for run_id in self.running if run_id in self.teacher}
        return {one for one in self._untaught if one in self.waiting or one in self.running or one in trained}

    def _progress_of(self, spec: RunSpec) -> Progress:
        """The watcher's progress function of this cell, created once even if the cell is started again."""
        if spec.id not in self._progress:
            self._progress[spec.id] = self.watcher.started(spec)
        return self._progress[spec.id]

    def _score(self, spec: RunSpec) -> list[str | int | float]:
        """Score and seconds of the cell's record."""
        record = self.board.record(spec)
        return [record.score, record.cost.total_seconds]

    def _close(self, spec: RunSpec, kind: str, facts: list[str | int | float]) -> None:
        # Its runner died behind the record, and the next one found it.
        if kind == "standing" and spec.id in self._progress:
            kind, facts = "finished", self._score(spec)
        del self.running[spec.id]
        if kind in ("finished", "failed"):
            self._progress_of(spec)
        if kind == "finished":
            self._unread.discard(_data_of(spec))  # a cell of 0 steps reports no progress
            self.done.finished.append(spec.id)
            self.watcher.finished(spec, float(facts[0]), float(facts[1]))
        elif kind == "failed":
            self.done.failed[spec.id] = str(facts[0])
            self.watcher.failed(spec, str(facts[0]))
        elif kind == "standing":
            self.done.standing.append(spec.id)
        elif kind == "failed before":
            self.done.failed_before[spec.id] = str(facts[0])
        else:
            pause = min(SHORTEST * 2 ** self._times_busy[spec.id], LONGEST)
            self._times_busy[spec.id] += 1
            self._not_before[spec.id] = time.monotonic() + pause
            self.waiting[spec.id] = spec


def _data_of(spec: RunSpec) -> tuple[object, ...]:
    """Identifies the data that a cell reads and tokenizes. While one cell does so, others with the same data would wait."""
    return spec.task, spec.data, spec.model, spec.training.max_length
