"""The local engine with --jobs N: N processes on this machine share the missing cells, with one progress display for all.

Each has its share of the CPU threads and, where there are GPUs, one of them in turn, so that several may share a GPU. A process
that is killed loses little: a new one resumes its cell from the checkpoint.
"""

import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import wait

from benchmark.board.board import Board
from benchmark.engine.cell import Done, Settings, Watcher
from benchmark.engine.events import LAST
from benchmark.engine.placement import free_memory, jobs_that_fit, memory_needed, variables, visible_gpus
from benchmark.engine.scheduler import Scheduler
from benchmark.engine.worker import Worker
from benchmark.errors import PrunebenchError
from benchmark.suite.spec import RunSpec

TICK = 0.5
"""Seconds between attempts at cells that another runner has."""
PATIENCE = 120.0
"""Seconds that processes have to save their cells when they are told to stop."""


@dataclass(frozen=True)
class PoolEngine:
    """`jobs` processes on this machine."""

    jobs: int

    def __call__(self, board: Board, cells: Iterable[RunSpec], watcher: Watcher, settings: Settings) -> Done:
        """See Engine (base.py)."""
        scheduler = Scheduler(board, cells, watcher, settings)
        if not scheduler.unfinished:
            return scheduler.done
        workers = _Workers(scheduler, settings, self._places(board, settings, min(self.jobs, scheduler.unfinished)))
        try:
            while scheduler.unfinished:
                workers.start()
                workers.listen()
        finally:
            workers.stop()
        return scheduler.done

    def _places(self, board: Board, settings: Settings, jobs: int) -> list[dict[str, str]]:
        """Environment variables of each process, for as many as fit."""
        gpus = visible_gpus(settings.device)
        if not gpus:
            return variables(jobs, gpus)
        need = memory_needed(board)
        fitting = jobs_that_fit(jobs, gpus, free_memory(gpus), need)
        if fitting < jobs:
            warnings.warn(
                f"{fitting} jobs instead of {jobs}: more would not have {need / 2**30:.1f} GiB of free GPU memory each",
                stacklevel=2,
            )
        return variables(fitting, gpus)


@dataclass
class _Workers:
    """The processes, each started when there is a cell for it."""

    scheduler: Scheduler
    settings: Settings
    places: list[dict[str, str]]
    """Environment variables of each process that may be started."""
    workers: dict[int, Worker] = field(default_factory=dict)
    """The running ones by their position in `places`."""

    def start(self) -> None:
        """Give cells to idle and to new processes, as long as a cell can start."""
        for place, environment in enumerate(self.places):
            worker = self.workers.get(place)
            if worker is not None and worker.spec is not None:
                continue
            spec = self.scheduler.take()
            if spec is None:
                return
            if worker is None:
                worker = self.workers[place] = Worker.start(self.scheduler.board, self.settings, environment)
            worker.give(spec)

    def listen(self) -> None:
        """Handle events until a process is idle, or for a moment."""
        at = {worker.connection: place for place, worker in self.workers.items()}
        for connection in wait(list(at), TICK):
            place = at[connection]  # type: ignore[index]
            try:
                event = self.workers[place].connection.recv()
            except (EOFError, OSError):
                self._remove_dead(place)
                continue
            self.workers[place].ready = True
            if event[0] in LAST:
                self.workers[place].spec = None
            self.scheduler.handle(event)

    def _remove_dead(self, place: int) -> None:
        """Handle the death of the process in this place."""
        worker = self.workers.pop(place)
        worker.connection.close()
        ending = worker.ending()
        if not worker.ready and (worker.process.exitcode or 0) >= 0:  # killed while it starts, it is started again
            raise PrunebenchError(f"a process of --jobs could not start ({ending}); what it said is above")
        if worker.spec is not None:
            self.scheduler.died(
                worker.spec,
                f"every process that ran it died, the last by {ending} (SIGKILL often means: out of memory)",
            )

    def stop(self) -> None:
        """Stop all processes: idle ones by closing their pipe, busy ones by SIGTERM, so that they save; a second signal kills them."""
        until = time.monotonic() + PATIENCE
        try:
            for worker in self.workers.values():
                if worker.spec is not None:
                    worker.process.terminate()
                worker.connection.close()
            for worker in self.workers.values():
                worker.process.join(max(0.0, until - time.monotonic()))
        finally:
            for worker in self.workers.values():
                worker.process.kill()
                worker.process.join()
