"""A board on many workers, simulated: one event per finished cell, costs measured elsewhere.

    runners   N times `prunebench run` on one folder, each going through the whole list: a look at every cell that another
              has done or holds, a claim for every cell of its own
    spread    the same, but each starts at its own place in the list, teachers first, and lists what is done instead of
              looking on, once it has looked `patience` times in vain
    desk      one driver hands out the cells and knows what is done; a worker asks for the next

Looks and claims are operations of a shared folder, which serves one at a time: an operation takes `latency` seconds
of whoever asks and `service` seconds of the folder, so that many workers wait for each other. A cell whose teacher is being
trained waits for it (runners hold their slot, the desk gives out another cell). Stragglers: seconds have a lognormal factor.
Preemption: a Poisson process in time of work; what was done since the last checkpoint is lost, and the cell starts again.
"""

import heapq
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Policy = Literal["runners", "spread", "desk"]


@dataclass(frozen=True)
class Cell:
    """Seconds of work, and the position of the dense cell that teaches it, if one does."""

    seconds: float
    teacher: int | None = None


@dataclass(frozen=True)
class World:
    """Everything but the cells; seconds, and rates per second of work."""

    latency: float = 0.0
    """Of one operation of the folder, for whoever asks."""
    service: float = 0.0
    """Of one operation, for the folder: it serves one at a time."""
    entry: float = 0.0
    """Of one record in a listing, for the folder."""
    patience: int = 50
    """Looks in vain after which `spread` runners list."""
    claim: int = 3
    """Operations to claim a cell and to save its record."""
    start: float = 0.0
    """Until a worker, or a preempted cell, trains."""
    tail: float = 0.0
    """Standard deviation of the logarithm of a cell's seconds."""
    preemptions: float = 0.0
    """Per second of work."""
    checkpoint: float = 600.0
    """Work between two checkpoints."""


@dataclass
class Outcome:
    """Seconds until the last cell is done, and what the workers' time went into."""

    seconds: float = 0.0
    cells: int = 0
    operations: int = 0
    spent: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("work", "again", "teacher", "folder"), 0.0))

    @property
    def per_hour(self) -> float:
        """Cells per hour."""
        return 3600 * self.cells / self.seconds if self.seconds else 0.0


def simulate(cells: Sequence[Cell], workers: int, world: World, policy: Policy = "spread", seed: int = 0) -> Outcome:
    """Run all `cells` on `workers`, from an empty board; the same numbers for the same arguments."""
    numbers = random.Random(seed)
    if policy == "desk":
        return _Desk(cells, workers, world, numbers).run()
    return _Simulation(cells, workers, world, policy == "spread", numbers).run()


class _Simulation:
    """Runners: whoever comes back takes the next cell that nobody has claimed, and pays for every look on the way."""

    def __init__(self, cells: Sequence[Cell], workers: int, world: World, spread: bool, numbers: random.Random) -> None:
        self.cells, self.workers, self.world, self.spread, self.numbers = cells, workers, world, spread, numbers
        teachers = list(dict.fromkeys(cell.teacher for cell in cells if cell.teacher is not None)) if spread else []
        others = sorted(set(range(len(cells))) - set(teachers))
        self.parts = [_Part(part, workers, spread) for part in (teachers, others) if part]
        self.at = [0] * workers
        self.ends: dict[int, float] = {}
        self.served, self.outcome = 0.0, Outcome(cells=len(cells))

    def run(self) -> Outcome:
        """The outcome once no cell is left."""
        back = [(self.world.start, worker) for worker in range(self.workers)]
        while back:
            now, worker = heapq.heappop(back)
            cell, looks = self.take(worker)
            if self.spread and looks > self.world.patience:  # after the listing, only what others hold is looked at
                self.served = max(now, self.served) + len(self.ends) * self.world.entry
                looks = min(looks, self.world.patience + self.workers - 1)
            ready = self.folder(now, looks + (self.world.claim if cell is not None else 0))
            if cell is not None:
                heapq.heappush(back, (self.work(ready, cell), worker))
        return self.outcome

    def take(self, worker: int) -> tuple[int | None, int]:
        """The next cell for this worker, and how many it looked at in vain."""
        looks = 0
        while self.at[worker] < len(self.parts):
            cell, seen = self.parts[self.at[worker]].take(worker)
            looks += seen
            if cell is not None:
                return cell, looks
            self.at[worker] += 1
        return None, looks

    def folder(self, now: float, operations: int) -> float:
        """When the folder has answered: a queue that one server works off."""
        self.served = max(now, self.served) + operations * self.world.service
        self.outcome.operations += operations
        ready = max(self.served, now + operations * self.world.latency)
        self.outcome.spent["folder"] += ready - now
        return ready

    def work(self, now: float, cell: int) -> float:
        """When the cell is done, its teacher waited for."""
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
        """Seconds from begin to end of a cell of so much work."""
        taken, left = 0.0, seconds
        while self.world.preemptions:
            until = self.numbers.expovariate(self.world.preemptions)
            if until >= left:
                break
            taken += until + self.world.start
            left -= until // self.world.checkpoint * self.world.checkpoint
        return taken + left


class _Part:
    """A list of cells that all workers go through once, each from its own place on or all from the first."""

    def __init__(self, cells: list[int], workers: int, spread: bool) -> None:
        self.cells, n = cells, len(cells)
        self.began = [worker * n // workers if spread else 0 for worker in range(workers)]
        self.walked = [0] * workers
        self.free = list(range(n + 1))
        """From each place the next that nobody has claimed, or a place before it: followed and shortened."""

    def take(self, worker: int) -> tuple[int | None, int]:
        """The next cell that nobody has claimed, and how many claimed ones came before it."""
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


class _Desk(_Simulation):
    """One driver that knows what is done: nobody looks, and a cell whose teacher is in the making waits at the desk."""

    def __init__(self, cells: Sequence[Cell], workers: int, world: World, numbers: random.Random) -> None:
        super().__init__(cells, workers, world, True, numbers)
        self.ready = deque(i for part in self.parts for i in part.cells if cells[i].teacher is None)
        self.pupils: dict[int, list[int]] = {}
        for i, cell in enumerate(cells):
            if cell.teacher is not None:
                self.pupils.setdefault(cell.teacher, []).append(i)
        self.taught: list[tuple[float, int]] = []

    def run(self) -> Outcome:
        """As for runners; a worker that finds nothing ready comes back when the next teacher is."""
        back = [(self.world.start, worker) for worker in range(self.workers)]
        while back:
            now, worker = heapq.heappop(back)
            while self.taught and self.taught[0][0] <= now:
                self.ready.extend(self.pupils.pop(heapq.heappop(self.taught)[1]))
            if self.ready:
                cell = self.ready.popleft()
                end = self.work(self.folder(now, self.world.claim), cell)
                heapq.heappush(back, (end, worker))
                if cell in self.pupils:
                    heapq.heappush(self.taught, (end, cell))
            elif self.taught:
                self.outcome.spent["teacher"] += self.taught[0][0] - now
                heapq.heappush(back, (self.taught[0][0], worker))
        return self.outcome
