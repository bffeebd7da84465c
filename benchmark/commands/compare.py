"""`prunebench compare`: puts a row of one's own beside those of an existing board, running only its missing cells.

suite.yaml stays as it is; the new row's records lie among the board's and are found again by the next comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmark.board.board import Board
from benchmark.board.record import failure_path
from benchmark.commands.views import DATA, View, comparison, unreadable
from benchmark.engine.base import EngineOptions, pick_engine
from benchmark.engine.cell import Settings, require_ready
from benchmark.engine.progress import failures, reporter, say, say_table
from benchmark.errors import PrunebenchError
from benchmark.plugins.files import file_of
from benchmark.plugins.spelling import canonical, spaced
from benchmark.report.layout import Line
from benchmark.report.render import render
from benchmark.report.table import Table
from benchmark.suite.labels import method_of, rows_named
from benchmark.suite.read import located
from benchmark.suite.spec import RunSpec, portable_plugin
from benchmark.suite.suite import no_cell
from benchmark.tracking.watch import tracked

MARK = "→ "
"""Stands before the added rows."""

Row = tuple[str, str]
"""(criterion, regularizer)."""


@dataclass(frozen=True)
class Wider:
    """A board with rows added, and which rows those are."""

    board: Board
    added: tuple[Row, ...]
    new: tuple[str, ...] = ()
    """Those of the rows, as `criteria` names them, that the suite does not list already."""

    def cells(self, only: str = "*") -> list[RunSpec]:
        """Planned cells of the added rows whose task or readable name matches `only`."""
        return [
            spec
            for spec in self.board.matching(only)
            if not spec.method and (spec.criterion, spec.regularizer) in self.added
        ]

    def table(self, only: str = "*", data: bool = False) -> Table:
        """The board's table with the added rows marked; of the columns that `only` matches, arranged for programs with `data`."""
        wanted = {(spec.task, spec.sparsity) for spec in self.cells(only)}
        wanted |= {(task, 0.0) for task, _ in wanted}
        keep = frozenset(spec.id for spec in self.board.suite.cells() if (spec.task, spec.sparsity) in wanted)
        return marked(comparison([self.board], View(layout="tasks" if data else "paper"), keep), self.added)


def widen(
    folder: Path,
    add: Sequence[str],
    changes: dict[str, Any] | None = None,
    data: str | None = None,
    model: str | None = None,
) -> Wider:
    """The board in `folder` with the rows `add` ("magnitude", "my/mine.py + distillation"); PrunebenchError where that cannot be.

    A broken plugin is refused here: it is all that was asked for.
    """
    if not add:
        raise PrunebenchError("nothing to compare: name a criterion with --add NAME or --add path/to/my_criterion.py")
    add = [spaced(text) for text in add]
    _one_file_each(add, folder)
    board = Board.open(folder, changes, data=data, model=model)
    if methods := [text for text in add if text in board.suite.methods]:
        raise PrunebenchError(
            f"--add '{methods[0]}': a method of this suite, whose row its table has; run --only '*{methods[0]}*' runs its cells alone"
        )
    names = list(dict.fromkeys(_canonical(located(text, folder)) for text in add))
    new = [name for name in names if name not in board.suite.criteria]
    if board.suite.tuned and new:
        raise PrunebenchError(
            f"{folder}: this board holds tuned rows alone; add {', '.join(new)} to the board that they come from, and tune that"
        )
    wide = Board.open(folder, changes, added=new, data=data, model=model)
    lost = {spec.id for spec in board.suite.cells()} - {spec.id for spec in wide.suite.cells()}
    if lost:
        raise PrunebenchError(
            f"{', '.join(names)} needs held-out scores, and this board keeps no data aside: its other rows would have to be "
            "trained again (set heldout in suite.yaml for that)"
        )
    return Wider(wide, tuple(rows_named(names, wide.suite.regularizers)), tuple(new))


def compare(
    wider: Wider,
    only: str,
    settings: Settings,
    track: str | None = None,
    engine: EngineOptions | None = None,
    format: str = "text",
) -> int:
    """Run the missing cells of the added rows and print the table; 1 where a cell failed, else 0."""
    run_cells = pick_engine(engine, settings.device)
    board, cells, printed = wider.board, wider.cells(only), Console()
    told = printed if format == "text" else Console(stderr=True)  # what programs read holds the table alone
    if not cells:
        raise no_cell(only, board.suite.tasks)
    require_ready(board, cells, settings)
    with (
        reporter(told, len(board.done(cells)), len(cells)) as shown,
        tracked(shown, track, board.folder) as watcher,
    ):
        done = run_cells(board, cells, watcher, settings)
    table = wider.table(only, format in DATA)
    if format == "text":
        say_table(printed, partial(render, table, "text"))
    else:
        say(printed, render(table, format))
    for line in _closing(wider, done.failures, cells):
        say(told, line)
    if damaged := unreadable([board]):
        say(Console(stderr=True), damaged)
    return 1 if done.failures else 0


def marked(table: Table, added: Sequence[Row]) -> Table:
    """`table` with MARK before the names of the added rows."""
    names = {method_of(*map(portable_plugin, row)) for row in added}
    rows = (replace(line, mark=MARK) if _method(table, line) in names else line for line in table.rows)
    return replace(table, rows=tuple(rows))


def _method(table: Table, line: Line) -> str:
    """The method of a row in either layout."""
    values = dict(zip(table.row_fields, map(str, line.key), strict=True))
    return values["method"] if "method" in values else method_of(values["criterion"], values["regularizer"])


def _closing(wider: Wider, failed: dict[str, str], cells: Sequence[RunSpec]) -> list[str]:
    folder = wider.board.records_folder
    lines = failures((spec.cell, failed[spec.id], failure_path(folder, spec.id)) for spec in cells if spec.id in failed)
    if not wider.new:
        return [*lines, f"{MARK}named by --add; suite.yaml lists it already"]
    own = f"{wider.board.folder.resolve()}/"  # a file beside the suite goes by its name there
    names = ", ".join(_quoted(name.replace(own, "")) for name in wider.new)
    return [*lines, f"{MARK}added by --add, not in suite.yaml. To keep the row, add to its criteria: {names}"]


def _quoted(name: str) -> str:
    """`name` as it stands in a YAML list: brackets need quotes there."""
    return f'"{name}"' if "[" in name else name


def _one_file_each(add: Sequence[str], folder: Path) -> None:
    """PrunebenchError where a file named from here has a namesake beside the suite, which would be taken for it."""
    for part in (part for text in add for part in text.split(" + ")):
        location = file_of(part)
        here, there = Path(location), folder / location
        if location and here.is_file() and there.is_file() and not here.samefile(there):
            raise PrunebenchError(
                f"--add {location}: there is another one beside the suite, {there}; give the whole path"
            )


def _canonical(text: str) -> str:
    criterion, plus, regularizer = text.partition(" + ")
    row = canonical("criteria", criterion)
    return f"{row} + {canonical('regularizers', regularizer)}" if plus else row
