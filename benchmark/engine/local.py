"""The local engine in one process: the missing cells one after the other.

Any number of such runners may work on one board, each cell locked by one of them (cell.py). A runner that meets another continues
at its own place in the list, so that many runners do not follow each other from cell to cell.
"""

import os
import random
import socket
from collections import deque
from collections.abc import Iterable, Sequence

from benchmark.board.board import Board
from benchmark.engine.cell import CellRunner, Done, Settings, Watcher
from benchmark.machine import parallel
from benchmark.suite.spec import RunSpec

PATIENCE = 50
"""After this many cells in a row that others finished, the folder is listed again, which is faster than trying each cell."""


def run_cells(board: Board, cells: Iterable[RunSpec], watcher: Watcher, settings: Settings | None = None) -> Done:
    """Run every cell that has no record yet. Cells that another runner holds are tried again at the end."""
    runner = CellRunner(board, watcher, settings or Settings())
    waiting = list(cells)
    while waiting:
        waiting = _unfinished(runner, waiting)
        back = _once_through(runner, waiting)
        if back and len(back) == len(waiting):
            runner.attempt(back.pop(0), wait=True)
        waiting = back
    return runner.done


def _unfinished(runner: CellRunner, cells: list[RunSpec]) -> list[RunSpec]:
    """Cells without a record, by one listing of the folder instead of a lock for each."""
    if parallel.size() > 1:  # all processes of a run must come to the same cells
        return cells
    standing = runner.board.done(cells)
    runner.done.standing += [spec.id for spec in cells if spec.id in standing]
    return [spec for spec in cells if spec.id not in standing]


def _once_through(runner: CellRunner, cells: Sequence[RunSpec]) -> list[RunSpec]:
    """Try the cells in turn; returns those to try again: held by others, or not reached because others finished so many."""
    held: list[RunSpec] = []
    ahead, in_a_row = deque(cells), 0
    while ahead:
        spec = ahead.popleft()
        outcome = runner.attempt(spec, wait=False)
        if outcome == "busy":
            held.append(spec)
            if len(held) == 1 and parallel.size() == 1:
                ahead = deque(_from_own_place(list(ahead), runner.wanted_teachers))
        in_a_row = in_a_row + 1 if outcome == "standing" else 0
        if in_a_row == PATIENCE and parallel.size() == 1:
            return [*held, *ahead]
    return held


def _from_own_place(cells: list[RunSpec], teachers: set[str]) -> list[RunSpec]:
    """The cells in another order for every runner, teachers first: a cell whose teacher is missing would train it itself."""
    place = random.Random(f"{socket.gethostname()} {os.getpid()}").random()
    first = [spec for spec in cells if spec.id in teachers]
    others = [spec for spec in cells if spec.id not in teachers]
    turns = [(part, int(place * len(part))) for part in (first, others)]
    return [spec for part, start in turns for spec in (*part[start:], *part[:start])]
