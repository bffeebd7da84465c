"""The Slurm engine: one job per cell, submitted through submitit; the board folder is on a file system that the nodes share.

A cell is finished when its record is in that folder; a file of events beside the job tells the driver the rest. Only `squeue` is
called, not the accounting (sacct). A job that is preempted or out of time saves a checkpoint, is requeued and resumes; a job whose
node is lost is requeued by Slurm, and released if Slurm then holds it. A process that outlives its job still holds the cell's
lock, so that its successor does not touch the cell.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from benchmark.board.board import Board
from benchmark.engine.cell import Done, Settings, Watcher
from benchmark.engine.events import LAST, Event
from benchmark.engine.scheduler import Scheduler
from benchmark.engine.slurm_job import CellJob
from benchmark.engine.slurm_options import SlurmOptions
from benchmark.errors import PrunebenchError
from benchmark.suite.spec import RunSpec
from tasks.pipeline.whole import make_folder

if TYPE_CHECKING:
    from submitit import SlurmExecutor

MOST = 200
"""Jobs in the queue at a time, unless --jobs says otherwise."""
TIMEOUTS = 1000
"""How often a job may run out of time and resume from its checkpoint."""
SHORTEST, LONGEST = 0.5, 15.0
"""Seconds between checks of the queue; they become longer while nothing happens."""
HELD = "launch failed requeued held"
"""Why Slurm holds a job that it requeued while its earlier processes were still ending."""
RELEASES = 5
"""How often such a job is released before it counts as dead."""
GRACE = 10.0
"""Seconds that a shared file system may take to show the last lines of a job that has left the queue."""
PATIENCE = 120.0
"""Seconds that jobs have to save their cells when they are cancelled."""


@dataclass(frozen=True)
class SlurmEngine:
    """At most `jobs` jobs in the queue."""

    options: SlurmOptions = field(default_factory=SlurmOptions)
    jobs: int | None = None

    def __call__(self, board: Board, cells: Iterable[RunSpec], watcher: Watcher, settings: Settings) -> Done:
        """See Engine (base.py)."""
        scheduler = Scheduler(board, cells, watcher, settings)
        if not scheduler.unfinished:
            return scheduler.done
        queue = _Queue(scheduler, settings, executor(board, self.options), self.jobs or MOST)
        pause = SHORTEST
        try:
            while scheduler.unfinished:
                pause = SHORTEST if queue.step() else min(1.5 * pause, LONGEST)
                if scheduler.unfinished:
                    time.sleep(pause)
        finally:
            queue.cancel()
        return scheduler.done


@dataclass
class _Job:
    """A job in the queue: its cell, its file of events, and how far that has been read."""

    spec: RunSpec
    number: str
    log: Path
    events: Path
    read: int = 0
    missed: float | None = None
    """When the job was first missing from the queue without having reported its end."""
    released: int = 0

    def news(self) -> list[Event]:
        """Events since the last call; an incomplete line is left for the next one."""
        with suppress(FileNotFoundError), self.events.open("rb") as file:
            file.seek(self.read)
            whole, newline, _ = file.read().rpartition(b"\n")
            self.read += len(whole) + len(newline)
            return [json.loads(line) for line in whole.splitlines()]
        return []


@dataclass
class _Queue:
    """The jobs of this board."""

    scheduler: Scheduler
    settings: Settings
    executor: "SlurmExecutor"
    most: int
    jobs: dict[str, _Job] = field(default_factory=dict)

    def step(self) -> bool:
        """Submit cells that can start, handle events, find jobs that are gone; returns whether anything happened."""
        happened = False
        while len(self.jobs) < self.most and (spec := self.scheduler.take()) is not None:
            self._submit(spec)
            happened = True
        queued = listed()  # asked before the events are read: who left the queue has written all it had to say
        for job in list(self.jobs.values()):
            news = job.news()
            for event in news:
                if event[0] in LAST:
                    self.jobs.pop(job.number, None)
                self.scheduler.handle(event)
            happened = happened or bool(news)
            if queued is not None and job.number in self.jobs:
                self._look(job, queued.get(job.number))
        return happened

    def _look(self, job: _Job, reason: str | None) -> None:
        """Check a job that has not reported its end: it may be gone from the queue (None), or held there for a reason.

        One that is gone counts as dead after the file system had time to show a reported end.
        """
        if reason == HELD:
            ask(["scontrol", "release", job.number] if job.released < RELEASES else ["scancel", job.number])
            job.released += 1
        if reason is not None:
            job.missed = None
            return
        job.missed = job.missed or time.monotonic()
        if self.scheduler.board.is_done(job.spec) or time.monotonic() - job.missed > GRACE:
            del self.jobs[job.number]
            self.scheduler.died(
                job.spec,
                f"Slurm job {job.number} ended without a record, as those before it did; see {job.log}",
                _tail(job.log),
            )

    def _submit(self, spec: RunSpec) -> None:
        from submitit.core.utils import FailedJobError

        folder = Path(self.executor.folder)
        events = folder / "events" / f"{spec.id}-{uuid4().hex[:8]}.jsonl"
        make_folder(events.parent)
        self.executor.update_parameters(job_name=f"prunebench-{spec.id}")
        try:
            job = self.executor.submit(CellJob(self.scheduler.board, spec, self.settings, events))
        except (FailedJobError, OSError) as error:
            raise PrunebenchError(f"sbatch refused a job: {_words(error)}") from error
        self.jobs[job.job_id] = _Job(spec, job.job_id, Path(job.paths.stdout), events)

    def cancel(self) -> None:
        """Cancel all jobs; running ones get SIGTERM, save and end."""
        if not self.jobs:
            return
        ask(["scancel", *self.jobs])
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and (queued := listed()) is not None and queued.keys() & self.jobs.keys():
            time.sleep(SHORTEST)


THREADS = ["export OMP_NUM_THREADS=${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}"]
"""Shell lines of a job: as many threads as it has cores, even if Slurm does not confine it to them."""


def executor(board: Board, options: SlurmOptions) -> "SlurmExecutor":
    """A submitit executor that writes into a new folder of the board, which the nodes share."""
    from submitit import SlurmExecutor

    folder = board.shared.absolute() / "slurm" / uuid4().hex  # a new one: nothing in it is a stranger's
    make_folder(folder)
    folder.chmod(0o700)  # jobs unpickle what lies here
    try:
        found = SlurmExecutor(folder, max_num_timeout=TIMEOUTS)
        found.update_parameters(
            time=options.minutes,
            stderr_to_stdout=True,
            setup=THREADS,
            additional_parameters={"requeue": True, **options.passed_on},
            **options.parameters,
        )
    except RuntimeError as error:
        raise PrunebenchError(f"--engine slurm: there is no Slurm on this machine (no srun found): {error}") from error
    return found


def listed() -> dict[str, str] | None:
    """This user's jobs that are pending, running or ending, each with the reason why it waits; None if squeue fails."""
    answer = ask(["squeue", "--noheader", f"--user={os.getuid()}", "--format=%i|%r"])
    if answer is None:
        return None
    lines = (line.strip().partition("|") for line in answer.splitlines())
    return {number: reason.strip(" ()").replace("_", " ").lower() for number, _, reason in lines}


def ask(command: Sequence[str]) -> str | None:
    """Output of a Slurm command; None if it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def _tail(log: Path) -> str:
    with suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-40:])
    return "no log"


def _words(error: Exception) -> str:
    """The message of sbatch, without the stack trace in front of it."""
    lines = [line.strip() for line in str(error).splitlines() if "sbatch: error:" in line]
    return "; ".join(line.removeprefix("sbatch: error: ") for line in lines) or str(error)
