"""The local engine in one process: the missing cells one after the other.

Any number of such runners may work on one board folder: cell.py's locks share the work out. One that meets another goes on at a
place of its own in the list, so that many do not follow each other from cell to cell.
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
"""Cells found finished by others, one after the other, before the folder is listed again instead of looking on."""


def run_cells(board: Board, cells: Iterable[RunSpec], watcher: Watcher, settings: Settings | None = None) -> Done:
    """Run every cell that has no record yet. Cells another runner holds are looked at again at the end."""
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
    """Those without a record, by one listing of the folder and not by a lock for each."""
    if parallel.size() > 1:  # all processes of a run must come to the same cells
        return cells
    standing = runner.board.index().ids
    runner.done.standing += [spec.id for spec in cells if spec.id in standing]
    return [spec for spec in cells if spec.id not in standing]


def _once_through(runner: CellRunner, cells: Sequence[RunSpec]) -> list[RunSpec]:
    """Attempt the cells in turn; those to come back to: held by others, or left because others have finished so many."""
    held: list[RunSpec] = []
    ahead, vain = deque(cells), 0
    while ahead:
        spec, before = ahead.popleft(), len(runner.done.standing)
        if not runner.attempt(spec, wait=False):
            held.append(spec)
            if len(held) == 1 and parallel.size() == 1:
                ahead = deque(_from_own_place(list(ahead), runner.wanted_teachers))
        vain = vain + 1 if len(runner.done.standing) > before else 0
        if vain == PATIENCE and parallel.size() == 1:
            return [*held, *ahead]
    return held


def _from_own_place(cells: list[RunSpec], teachers: set[str]) -> list[RunSpec]:
    """The cells from another place on for every runner, those that teach still first: pupils would train them themselves."""
    place = random.Random(f"{socket.gethostname()} {os.getpid()}").random()
    first = [spec for spec in cells if spec.id in teachers]
    others = [spec for spec in cells if spec.id not in teachers]
    return [spec for part in (first, others) for spec in _rotated(part, int(place * len(part)))]


def _rotated(cells: list[RunSpec], by: int) -> list[RunSpec]:
    return cells[by:] + cells[:by]
