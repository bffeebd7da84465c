"""The local engine in one process: the missing cells one after the other.

Any number of such runners may work on one board folder: cell.py's locks share the work out.
"""

from collections.abc import Iterable

from benchmark.board import Board
from benchmark.engine.cell import CellRunner, Done, Settings, Watcher
from benchmark.spec import RunSpec


def run_cells(board: Board, cells: Iterable[RunSpec], watcher: Watcher, settings: Settings | None = None) -> Done:
    """Run every cell that has no record yet. Cells another runner holds are looked at again at the end."""
    runner = CellRunner(board, watcher, settings or Settings())
    waiting = list(cells)
    while waiting:
        busy = [spec for spec in waiting if not runner.attempt(spec, wait=False)]
        if len(busy) == len(waiting):
            runner.attempt(busy.pop(0), wait=True)
        waiting = busy
    return runner.done
