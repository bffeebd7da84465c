"""What `run` and `status` do: run a board and write its table; tell what is done and what is left."""

from statistics import median

from rich.console import Console

from benchmark.atomic import write_text
from benchmark.board import Board
from benchmark.engine.base import EngineOptions, pick_engine
from benchmark.engine.cell import Done, Settings
from benchmark.progress import duration, reporter, say
from benchmark.spec import RunSpec
from benchmark.tracking.watch import tracked
from benchmark.views import table_text


def run_board(
    board: Board, only: str, settings: Settings, track: str | None = None, engine: EngineOptions | None = None
) -> int:
    """Run the missing cells, write table.md, print table and failures; 1 where a cell failed, now or before, else 0."""
    cells = board.cells(only)
    run_cells = pick_engine(engine, settings.device)
    console = Console()
    for problem in board.unreadable(cells):
        say(console, f"unreadable, made again: {problem}")
    done_before = sum(board.is_done(spec) for spec in cells)
    with reporter(console, done_before, len(cells)) as shown, tracked(shown, track, board.folder) as watcher:
        done = run_cells(board, cells, watcher, settings)
    say(console, table_text(board, "text"))
    write_text(board.folder / "table.md", table_text(board, "markdown") + "\n")
    for line in _closing(board, cells, done):
        say(console, line)
    return 1 if done.failed or done.left else 0


def _closing(board: Board, cells: list[RunSpec], done: Done) -> list[str]:
    """What was run, what failed and why, and what lies unreadable among the records."""
    lines = [f"{len(done.finished)} cells run, {len(done.standing)} were done, {len(done.failed)} failed."]
    lines += [f"FAILED {spec.cell}: {done.failed[spec.id]}" for spec in cells if spec.id in done.failed]
    lines += [f"FAILED before, left alone: {spec.cell}: {done.left[spec.id]}" for spec in cells if spec.id in done.left]
    lines += ["--retry-failed tries them again."] if done.left else []
    lines += [f"unreadable, not counted: {problem}" for problem in board.records()[1]]
    return lines


def status_lines(board: Board) -> list[str]:
    """Done, failed and missing cells per task, unreadable records, and the time the missing cells will take."""
    records, problems = board.records()
    cells, failures = board.suite.cells(), board.failures()
    done = {record.id for record in records}
    lines = []
    for task in board.suite.tasks:
        of_task = [spec for spec in cells if spec.task == task]
        finished = sum(spec.id in done for spec in of_task)
        failed = sum(spec.id in failures for spec in of_task)
        lines.append(f"{task}: {finished} done, {failed} failed, {len(of_task) - finished - failed} missing")
    lines += [f"FAILED {spec.cell}: {failures[spec.id]}" for spec in cells if spec.id in failures]
    lines += [f"unreadable, not counted: {problem}" for problem in problems]
    return [*lines, f"in all {len(done)} of {len(cells)} done; {_left(board, done)}"]


def _left(board: Board, done: set[str]) -> str:
    """Time for the missing cells, from the median cost of the finished ones of the same task."""
    missing = [spec for spec in board.suite.cells() if spec.id not in done]
    if not missing:
        return "nothing left to run"
    costs: dict[str, list[float]] = {}
    for record in board.records()[0]:
        costs.setdefault(record.spec.task, []).append(record.cost.total_seconds)
    if not costs:
        return "time left unknown until a cell is done"
    everything = median([seconds for values in costs.values() for seconds in values])
    left = sum(median(costs[spec.task]) if spec.task in costs else everything for spec in missing)
    return f"about {duration(left)} left for one runner on the machine of the finished cells"
