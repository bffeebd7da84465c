"""The Ray engine: one task per cell, on an existing cluster or on one started here.

Ray restarts a task whose worker or node is lost. If the nodes share the board's folder, the cell's lock, its checkpoint and the
atomic record make that harmless; otherwise the driver writes the first answer and ignores later ones.
"""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import chdir, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmark.board.board import Board
from benchmark.engine.artifacts import store_artifacts, teacher_files
from benchmark.engine.cell import Done, Settings, Watcher
from benchmark.engine.events import Event
from benchmark.engine.ray_task import Answer, CellTask, FolderMarker, perform
from benchmark.engine.scheduler import Scheduler
from benchmark.errors import PrunebenchError
from benchmark.machine.atomic import WriteError
from benchmark.suite.spec import RunSpec

MOST = 1000
"""Tasks in Ray's queue at a time, unless --jobs says otherwise."""
RETRIES = 5
"""How often Ray restarts a task whose worker or node is lost."""
TICK = 0.5
"""Seconds between checks of the mailbox."""
PATIENCE = 60.0
"""Seconds that tasks have to save their cells when they are cancelled."""

ROOT = Path(__file__).resolve().parents[2]
"""The folder of this package."""

LOCAL = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # whatever its name says: Ray then listens on 127.0.0.1 alone
}
"""Environment variables of a cluster started here; the user's own settings win."""


@dataclass(frozen=True)
class RayEngine:
    """At most `jobs` tasks at a time, each with `gpus` GPUs (where there are any: 1)."""

    address: str | None = None
    jobs: int | None = None
    gpus: float | None = None

    def __call__(self, board: Board, cells: Iterable[RunSpec], watcher: Watcher, settings: Settings) -> Done:
        """See Engine (base.py)."""
        absolute = replace(board, folder=board.folder.absolute())
        # Ray has tried again before it says that a task died.
        scheduler = Scheduler(absolute, cells, watcher, settings, max_deaths=1)
        if not scheduler.unfinished:
            return scheduler.done
        with cluster(self.address, self.jobs) as ray:
            gpus = gpus_each(ray, self.gpus, settings.device)
            # Without a GPU of its own, a task on a machine that has some must not take one.
            given = settings if gpus else replace(settings, device="cpu")
            tasks = _Tasks(ray, scheduler, given, gpus, self.jobs or MOST)
            try:
                while scheduler.unfinished:
                    tasks.submit()
                    tasks.collect()
            finally:
                tasks.cancel()
        return scheduler.done


@contextmanager
def cluster(address: str | None, jobs: int | None) -> Iterator[Any]:
    """Connect Ray to the cluster at `address`, or to one started here; an existing connection is used as it is."""
    for name, value in LOCAL.items() if address is None else ():
        os.environ.setdefault(name, value)  # Ray reads them when it is imported
    import ray

    if ray.is_initialized():
        yield ray
        return
    try:
        with chdir(ROOT):  # Ray has its tasks import from the current folder first, and that may be somebody else's
            if address is not None:
                ray.init(address=address, log_to_driver=False, configure_logging=False)
            else:
                # "local", or a cluster that died here some time ago would be looked for.
                ray.init(
                    address="local",
                    num_cpus=jobs,
                    include_dashboard=False,
                    log_to_driver=False,
                    configure_logging=False,
                )
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        where = f"at {address}" if address else "on this machine"
        raise PrunebenchError(f"--engine ray: no cluster {where}: {error}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def gpus_each(ray: Any, gpus: float | None, device: str) -> float:
    """GPUs of each task; PrunebenchError if no node has so many, because such a task would wait for ever."""
    most = max((node["Resources"].get("GPU", 0.0) for node in ray.nodes() if node["Alive"]), default=0.0)
    wanted = gpus if gpus is not None else float(most > 0 and device != "cpu")
    if wanted > most or (device == "cuda" and not wanted):
        raise PrunebenchError(
            f"--engine ray: {wanted or 1:g} GPUs a cell, but the largest node of this cluster has {most:g}; "
            "choices: --gpus 0.5 (a share of one), --device cpu"
        )
    if wanted > 1:
        raise PrunebenchError(f"--gpus {wanted:g}: a cell uses one GPU, or a share of one")
    return wanted


class Mailbox:
    """An actor that holds events: tasks put them in, the driver takes them out."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def put(self, event: Event) -> None:
        """Add an event."""
        self.events.append(event)

    def take(self) -> list[Event]:
        """All events since the last call."""
        taken, self.events = self.events, []
        return taken


@dataclass
class _Tasks:
    """The tasks that were given to Ray."""

    ray: Any
    scheduler: Scheduler
    settings: Settings
    gpus: float
    most: int
    running: dict[Any, RunSpec] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(self.ray.get_runtime_context().get_node_id(), soft=True)
        self.mailbox = self.ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=here).remote()
        # Asked for here and not by `.options`, so that a process with a GPU serves one task: it keeps the first GPU it is given.
        self.task = self.ray.remote(num_cpus=1, num_gpus=self.gpus, max_retries=RETRIES)(perform)
        self.marker = FolderMarker(self.scheduler.board.shared / "ray" / f"{uuid4().hex}.marker", uuid4().hex)
        self.marker.write()
        self.taught: dict[str, Any] = {}

    def submit(self) -> None:
        """Submit every cell that can start."""
        while len(self.running) < self.most and (spec := self.scheduler.take()) is not None:
            teacher = self.scheduler.teacher.get(spec.id) or (spec.id if spec.id in self.scheduler.teaching else None)
            cell = CellTask(self.scheduler.board, spec, self.settings, self.marker, teacher)
            future = self.task.remote(cell, self.mailbox, self._teachers(self.scheduler.teacher.get(spec.id)))
            self.running[future] = spec

    def collect(self) -> None:
        """Handle new events and the answers of tasks that have ended, or wait a moment."""
        if not self.running:
            time.sleep(TICK)
            return
        ended, _ = self.ray.wait(list(self.running), num_returns=len(self.running), timeout=TICK)
        self._read_mail()
        for reference in ended:
            spec = self.running.pop(reference)
            try:
                answer = self.ray.get(reference)
            except self.ray.exceptions.RayError as error:
                self.scheduler.died(spec, f"its Ray task died: {_last_line(error)}", str(error))
            else:
                self._take(spec, answer)

    def _take(self, spec: RunSpec, answer: Answer) -> None:
        """Write the files that a task sent back, then handle its last event."""
        if answer.artifacts is not None:
            try:
                if answer.artifacts.record is not None:
                    store_artifacts(self.scheduler.board, spec, answer.artifacts)
                elif answer.last[0] == "failed":
                    self.scheduler.board.fail(spec, str(answer.last[2]), answer.artifacts.log)
            except WriteError:
                raise  # the driver's own disk: no cell's fault
            except PrunebenchError as error:
                self.scheduler.board.fail(spec, str(error), str(error))
                answer = Answer(["failed", spec.id, str(error)])
        self.scheduler.handle(answer.last)

    def _read_mail(self) -> None:
        # Where the mailbox went with its node there is no more progress, and all else goes on.
        with suppress(self.ray.exceptions.RayError):
            for event in self.ray.get(self.mailbox.take.remote(), timeout=10 * TICK):
                self.scheduler.handle(event)

    def _teachers(self, dense: str | None) -> Any:
        """A reference to the teacher's weights in Ray's object store; to an empty dict if there are none."""
        if dense is None:
            return {}
        if dense not in self.taught:
            files = teacher_files(self.scheduler.board, dense)
            if not files:
                return {}
            self.taught[dense] = self.ray.put(files)
        return self.taught[dense]

    def cancel(self) -> None:
        """Cancel all tasks: they save and end, and are killed if they take too long."""
        self.marker.path.unlink(missing_ok=True)
        for reference in self.running:
            self.ray.cancel(reference)
        if self.running:
            _, alive = self.ray.wait(list(self.running), num_returns=len(self.running), timeout=PATIENCE)
            for reference in alive:
                self.ray.cancel(reference, force=True)
        self.ray.kill(self.mailbox)


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"
