"""`prunebench status`: which cells are done, failed or missing, and how long the missing ones will take."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmark.board.index import Index, Plan, index_file, planned
from benchmark.board.record import failure_path, failure_reason
from benchmark.engine.progress import duration, failures


def status_lines(
    folder: Path, changes: Mapping[str, Any], data: str | None = None, model: str | None = None
) -> list[str]:
    """Done, failed and missing cells per task, unreadable records, and the time the missing cells will take."""
    board, index = planned(folder, changes, data, model), Index(folder / "records", index_file(folder))
    seconds = index.seconds()
    done = {cell: seconds[cell] for cell, _, _ in board.cells if cell in seconds}
    failed = {cell for cell, _, _ in board.cells if cell in index.failures and cell not in done}
    lines = _by_task(board, done, failed)
    files = [(name, failure_path(index.folder, cell)) for cell, _, name in board.cells if cell in failed]
    lines += failures((name, failure_reason(file), file) for name, file in files)
    lines += [f"unreadable, not counted: {problem}" for problem in index.problems]
    return [*lines, f"in all {len(done)} of {len(board.cells)} done; {_left(board, done)}"]


def _by_task(board: Plan, done: Mapping[str, float], failed: set[str]) -> list[str]:
    planned = Counter(task for _, task, _ in board.cells)
    finished = Counter(task for cell, task, _ in board.cells if cell in done)
    broken = Counter(task for cell, task, _ in board.cells if cell in failed)
    return [
        f"{name}: {finished[i]} done, {broken[i]} failed, {planned[i] - finished[i] - broken[i]} missing"
        for i, name in enumerate(board.tasks)
    ]


def _left(board: Plan, done: Mapping[str, float]) -> str:
    """Time for the missing cells, estimated from the median cost of finished ones of the same task."""
    missing = Counter(task for cell, task, _ in board.cells if cell not in done)
    if not missing:
        return "nothing left to run"
    costs: dict[int, list[float]] = {}
    for cell, task, _ in board.cells:
        if cell in done:
            costs.setdefault(task, []).append(done[cell])
    if not costs:
        return "time left unknown until a cell is done"
    everything = median([seconds for values in costs.values() for seconds in values])
    left = sum(count * (median(costs[task]) if task in costs else everything) for task, count in missing.items())
    return f"about {duration(left)} left for one runner, at the pace of the finished cells"
