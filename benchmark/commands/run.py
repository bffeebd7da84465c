"""`prunebench run`: runs the missing cells of a board, then writes and prints its table."""

from collections.abc import Sequence

from rich.console import Console

from benchmark.board.board import Board
from benchmark.board.record import failure_path, predictions_path
from benchmark.board.weights import room, size_of, weights_path
from benchmark.commands.views import table_text
from benchmark.engine.base import Engine, EngineOptions, pick_engine
from benchmark.engine.cell import CellRunner, Done, Settings, require_ready
from benchmark.engine.progress import Silent, failures, reporter, say, say_table
from benchmark.machine import parallel
from benchmark.machine.atomic import write_text
from benchmark.report.numbers import count_of
from benchmark.suite.spec import RunSpec
from benchmark.tracking.watch import tracked
from benchmark.training.run import Options, open_task
from tasks.pipeline.whole import holding


def run_board(
    board: Board, only: str, settings: Settings, track: str | None = None, engine: EngineOptions | None = None
) -> int:
    """Run the missing cells, write table.md, print table and failures; 1 where a cell failed, now or before, else 0."""
    cells = board.cells(only)
    run_cells = pick_engine(engine, settings.device)
    with parallel.joined(settings.device):
        require_ready(board, cells, settings)
        if parallel.rank() > 0:
            done = run_cells(board, cells, Silent(), settings)
            return 1 if done.failures else 0
        return _shown(board, cells, run_cells, settings, track)


def _shown(board: Board, cells: list[RunSpec], run_cells: Engine, settings: Settings, track: str | None) -> int:
    """Run `cells` with progress, then write and print the table."""
    console = Console()
    for problem in board.unreadable(cells):
        say(console, f"unreadable, made again: {problem}")
    standing = board.done(cells)
    waiting = [spec for spec in cells if spec.id not in standing]
    if settings.save_weights and waiting:
        say(console, weights_room(board, waiting, settings))
    with holding(board.folder):
        CellRunner(board, Silent(), settings).drop_finished_checkpoints()
        with reporter(console, len(standing), len(cells)) as shown, tracked(shown, track, board.folder) as watcher:
            done = run_cells(board, cells, watcher, settings)
        say_table(console, lambda **options: table_text(board, "text", **options))
        write_text(board.folder / "table.md", table_text(board, "markdown") + "\n")
    say(console, f"wrote {board.folder / 'table.md'}")
    for line in [*_closing(board, cells, done), *not_kept(board, done.standing, settings)]:
        say(console, line)
    return 1 if done.failures else 0


def weights_room(board: Board, cells: list[RunSpec], settings: Settings) -> str:
    """Gigabytes that the weights of `cells` will take in the board, and how many are free."""
    sizes: dict[tuple[str, str], int] = {}
    options = Options(cache=board.cache / "data", trust_remote_code=settings.trust_remote_code)
    for spec in cells:
        if (spec.task, spec.model) not in sizes:
            try:
                model = open_task(spec, options).build(spec.seed)
            except Exception as error:  # a cell that cannot start says so itself, and the others run
                return f"--save-weights: how much room the weights take cannot be told ({error})"
            sizes[spec.task, spec.model] = size_of(model.state_dict())
    total = sum(sizes[spec.task, spec.model] for spec in cells)
    return f"--save-weights: the weights of {count_of(len(cells), 'run')} will take {room(total, board.weights_folder)}"


def not_kept(board: Board, standing: Sequence[str], settings: Settings) -> list[str]:
    """A line for each kind of file that was asked for and that cells in `standing`, finished before, do not have."""
    asked = (
        ("--save-weights", settings.save_weights, board.weights_folder, weights_path),
        ("--save-predictions", settings.save_predictions, board.records_folder, predictions_path),
    )
    lines = []
    for option, wanted, folder, path in asked:
        count = sum(not path(folder, run_id).exists() for run_id in standing) if wanted else 0
        if count:
            cells = "1 cell that was" if count == 1 else f"{count} cells that were"
            lines.append(f"{option}: nothing is kept of {cells} done before; to run a cell again, delete its record")
    return lines


def _closing(board: Board, cells: list[RunSpec], done: Done) -> list[str]:
    """What was run, what failed and why, and which records cannot be read."""
    lines = [
        f"{count_of(len(done.finished), 'cell')} run, {len(done.standing)} done before, {len(done.failed)} failed."
    ]
    files = {spec.id: failure_path(board.records_folder, spec.id) for spec in cells}
    lines += failures((spec.cell, done.failed[spec.id], files[spec.id]) for spec in cells if spec.id in done.failed)
    before = (
        (spec.cell, done.failed_before[spec.id], files[spec.id]) for spec in cells if spec.id in done.failed_before
    )
    lines += failures(before, "FAILED before, left alone:")
    lines += ["--retry-failed tries them again."] if done.failed_before else []
    lines += [f"unreadable, not counted: {problem}" for problem in board.index().problems]
    return lines
