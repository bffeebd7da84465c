"""Simulates a board on many workers, one event per finished cell; the costs are measured by workers.py.

    runners   N times `prunebench run` on one folder, each going through the whole list in order: it checks every cell that
              another has finished or locked, and locks every cell of its own
    spread    the same, but each starts at its own place in the list, teachers first, and after `patience` cells in vain it lists
              the finished ones instead of checking each
    driver    one process knows what is finished and hands out the cells; a worker asks for the next one

Checks and locks are operations on a shared folder, which serves one at a time. An operation takes the worker `latency` seconds and
the folder `service` seconds, so that many workers wait for each other. A cell waits for a teacher that is being trained (a runner
waits with it, the driver hands out another cell). Seconds vary by a lognormal factor. Preemptions are a Poisson process in working
time: the cell starts again from its last checkpoint.
"""

import heapq
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Policy = Literal["runners", "spread", "driver"]


@dataclass(frozen=True)
class Cell:
    """Seconds of work, and the position of the teacher's cell, if there is one."""

    seconds: float
    teacher: int | None = None


@dataclass(frozen=True)
class World:
    """Costs and rates of the simulated machines, in seconds."""

    latency: float = 0.0
    """What one operation on the folder costs the worker."""
    service: float = 0.0
    """What one operation costs the folder, which serves one at a time."""
    entry: float = 0.0
    """What listing one record costs the folder."""
    patience: int = 50
    """Cells in vain after which `spread` runners list the folder."""
    lock: int = 3
    """Operations to lock a cell and to save its record."""
    start: float = 0.0
    """Time until a worker, or a preempted cell, starts training."""
    tail: float = 0.0
    """Standard deviation of the logarithm of a cell's seconds."""
    preemptions: float = 0.0
    """Rate per second of work."""
    checkpoint: float = 600.0
    """Time between two checkpoints."""


@dataclass
class Outcome:
    """Seconds until the last cell is finished, and how the workers spent their time."""

    seconds: float = 0.0
    cells: int = 0
    operations: int = 0
    spent: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("work", "again", "teacher", "folder"), 0.0))

    @property
    def per_hour(self) -> float:
        """Cells per hour."""
        return 3600 * self.cells / self.seconds if self.seconds else 0.0


def simulate(cells: Sequence[Cell], workers: int, world: World, policy: Policy = "spread", seed: int = 0) -> Outcome:
    """Simulate `workers` on an empty board of `cells`; the same arguments give the same numbers."""
    numbers = random.Random(seed)
    if policy == "driver":
        return _Driver(cells, workers, world, numbers).run()
    return _Simulation(cells, workers, world, policy == "spread", numbers).run()


class _Simulation:
    """Runners: an idle one takes the next cell that nobody has locked, and pays for every cell that it checks on the way."""

    def __init__(self, cells: Sequence[Cell], workers: int, world: World, spread: bool, numbers: random.Random) -> None:
        self.cells, self.workers, self.world, self.spread, self.numbers = cells, workers, world, spread, numbers
        teachers = list(dict.fromkeys(cell.teacher for cell in cells if cell.teacher is not None)) if spread else []
        others = sorted(set(range(len(cells))) - set(teachers))
        self.parts = [_Part(part, workers, spread) for part in (teachers, others) if part]
        self.at = [0] * workers
        self.ends: dict[int, float] = {}
        self.served, self.outcome = 0.0, Outcome(cells=len(cells))

    def run(self) -> Outcome:
        """Simulate until no cell is left."""
        back = [(self.world.start, worker) for worker in range(self.workers)]
        while back:
            now, worker = heapq.heappop(back)
            cell, looks = self.take(worker)
            if self.spread and looks > self.world.patience:  # after the listing, only what others hold is looked at
                self.served = max(now, self.served) + len(self.ends) * self.world.entry
                looks = min(looks, self.world.patience + self.workers - 1)
            ready = self.folder(now, looks + (self.world.lock if cell is not None else 0))
            if cell is not None:
                heapq.heappush(back, (self.work(ready, cell), worker))
        return self.outcome

    def take(self, worker: int) -> tuple[int | None, int]:
        """The next cell for this worker, and how many it checked in vain."""
        looks = 0
        while self.at[worker] < len(self.parts):
            cell, seen = self.parts[self.at[worker]].take(worker)
            looks += seen
            if cell is not None:
                return cell, looks
            self.at[worker] += 1
        return None, looks

    def folder(self, now: float, operations: int) -> float:
        """Time at which the folder has served these operations, one after the other."""
        self.served = max(now, self.served) + operations * self.world.service
        self.outcome.operations += operations
        ready = max(self.served, now + operations * self.world.latency)
        self.outcome.spent["folder"] += ready - now
        return ready

    def work(self, now: float, cell: int) -> float:
        """Time at which the cell is finished, its teacher first."""
        teacher = self.cells[cell].teacher
        begin = max(now, self.ends.get(teacher, now)) if teacher is not None else now
        seconds = self.cells[cell].seconds * self.numbers.lognormvariate(0, self.world.tail)
        taken = self.preempted(seconds)
        self.ends[cell] = begin + taken
        self.outcome.seconds = max(self.outcome.seconds, begin + taken)
        for what, much in (("teacher", begin - now), ("work", seconds), ("again", taken - seconds)):
            self.outcome.spent[what] += much
        return begin + taken

    def preempted(self, seconds: float) -> float:
        """Seconds from start to end of a cell with `seconds` of work, preemptions included."""
        taken, left = 0.0, seconds
        while self.world.preemptions:
            until = self.numbers.expovariate(self.world.preemptions)
            if until >= left:
                break
            taken += until + self.world.start
            left -= until // self.world.checkpoint * self.world.checkpoint
        return taken + left


class _Part:
    """Cells that all workers go through once, each starting at its own place, or all at the first."""

    def __init__(self, cells: list[int], workers: int, spread: bool) -> None:
        self.cells, n = cells, len(cells)
        self.began = [worker * n // workers if spread else 0 for worker in range(workers)]
        self.walked = [0] * workers
        self.free = list(range(n + 1))
        """For each place, one at or before the next free place: a union-find structure, with path compression."""

    def take(self, worker: int) -> tuple[int | None, int]:
        """The next cell that nobody has locked, and how many locked ones came before it."""
        n, walked = len(self.cells), self.walked[worker]
        place = self.began[worker] + walked
        found = self._free(place) if place < n else n
        if found == n:  # on from the first
            found = n + self._free(max(place - n, 0))
        step = min(found - self.began[worker], n)
        self.walked[worker] = min(step + 1, n)
        if step == n:
            return None, n - walked
        self.free[found % n] = found % n + 1
        return self.cells[found % n], step - walked

    def _free(self, place: int) -> int:
        root = place
        while self.free[root] != root:
            root = self.free[root]
        while self.free[place] != root:
            self.free[place], place = root, self.free[place]
        return root


class _Driver(_Simulation):
    """One driver that knows what is finished: no worker checks cells or waits for a teacher."""

    def __init__(self, cells: Sequence[Cell], workers: int, world: World, numbers: random.Random) -> None:
        super().__init__(cells, workers, world, True, numbers)
        self.ready = deque(i for part in self.parts for i in part.cells if cells[i].teacher is None)
        self.students: dict[int, list[int]] = {}
        for i, cell in enumerate(cells):
            if cell.teacher is not None:
                self.students.setdefault(cell.teacher, []).append(i)
        self.taught: list[tuple[float, int]] = []

    def run(self) -> Outcome:
        """Simulate until no cell is left. A worker that finds no cell ready comes back when the next teacher is."""
        back = [(self.world.start, worker) for worker in range(self.workers)]
        while back:
            now, worker = heapq.heappop(back)
            while self.taught and self.taught[0][0] <= now:
                self.ready.extend(self.students.pop(heapq.heappop(self.taught)[1]))
            if self.ready:
                cell = self.ready.popleft()
                end = self.work(self.folder(now, self.world.lock), cell)
                heapq.heappush(back, (end, worker))
                if cell in self.students:
                    heapq.heappush(self.taught, (end, cell))
            elif self.taught:
                self.outcome.spent["teacher"] += self.taught[0][0] - now
                heapq.heappush(back, (self.taught[0][0], worker))
        return self.outcome
