"""What is shown of a board: tables, statistics, figures, the page. Made from its records; nothing here trains."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from benchmark.board.board import Board
from benchmark.board.outcomes import load_outcomes
from benchmark.board.record import Record
from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from benchmark.report.render import render
from benchmark.report.table import Table, build_table
from tasks.pipeline.whole import holding

if TYPE_CHECKING:
    from tasks.base import Task

Aggregated = Callable[[Mapping[str, NDArray[Any]]], Mapping[str, float]]
"""Metrics in percent from per-example outcomes."""


@dataclass(frozen=True)
class View:
    """Which table: its layout, and what is set beside the scores."""

    rows: Sequence[str] = ("criterion", "regularizer")
    columns: Sequence[str] = ("task", "sparsity")
    metric: str = "headline"
    spread: Any = "sd"
    average: bool = False
    strict: bool = False
    against: str | None = None
    """Mark what a paired bootstrap over items separates from this row (`best`, or a criterion)."""


def table_text(board: Board, format: str, view: View | None = None, trace: bool = False) -> str:
    """The comparison table in `format`."""
    return render(comparison(board, view or View()), format, trace=trace)


def comparison(board: Board, view: View) -> Table:
    """The comparison table; every planned cell is in it, missing ones as such."""
    records = shown(board)
    table = build_table(
        records,
        board.suite.cells(),
        rows=view.rows,
        columns=view.columns,
        metric=view.metric,
        spread=view.spread,
        average=view.average,
        strict=view.strict,
        title=board.suite.title,
        failures=board.failures(),
        gate=board.suite.gate,
    )
    if view.against is None:
        return table
    from benchmark.report.significance import compare, with_significance

    found = compare(
        table, records, lambda record: load_outcomes(board.records_folder, record), aggregate, against=view.against
    )
    return with_significance(table, found, view.against)


def shown(board: Board, whole: bool = False) -> list[Record]:
    """The board's records as a report shows them: floors and constant answers by their outcomes; `whole` with their curves."""
    from benchmark.report.floors import recomputed

    records, _ = board.records() if whole else board.summaries()
    return recomputed(records, lambda record: load_outcomes(board.records_folder, record), _task)


@cache
def _task(name: str) -> "Task | None":
    """The task called `name`; None where its file is not run here, or is broken."""
    try:
        found: Task = registry.configure("tasks", name)
    except (PrunebenchError, ValueError):
        return None
    return found


def aggregate(task: str) -> Aggregated:
    """How the task called `task` makes metrics of per-example outcomes."""
    found: Aggregated = registry.configure("tasks", task).aggregate
    return found


def published_text(board: Board, format: str) -> str:
    """Published figures beside ours, with the difference and what is not comparable."""
    from benchmark.report.published import default_path, load_published, published_table

    records, _ = board.summaries()
    table = published_table(load_published(default_path()), records, board.suite.cells(), title=board.suite.title)
    return render(table, format)


def efficiency_text(board: Board, format: str, measure: bool = False) -> str:
    """Sizes, FLOPs and costs; with `measure`, compressed bytes and latency of the cells whose weights were kept."""
    from benchmark.commands.measure import measure_cells
    from benchmark.report.efficiency import efficiency_table

    records, _ = board.records() if measure else board.summaries()
    measured = measure_cells(board, records) if measure else None
    table = efficiency_table(records, board.suite.cells(), measured=measured, title=board.suite.title)
    return render(table, format)


def statistics_text(board: Board) -> str:
    """Ranks with intervals, aggregates, tests between rows, and what these runs cannot settle."""
    from benchmark.report.summary import summarize, summary_text

    records = shown(board)
    summary = summarize(build_table(records, board.suite.cells(), failures=board.failures(), gate=board.suite.gate))
    return summary_text(summary) if summary else "no column is complete for two rows, so nothing is compared"


def plot(board: Board, folder: Path, format: str, dark: bool = False) -> list[Path]:
    """Every figure that the records allow, into `folder`."""
    from benchmark.report.curves import plot_board

    with holding(board.folder):
        return plot_board(
            shown(board, whole=True), folder, format, board.suite.cells(), dark=dark, gate=board.suite.gate
        )


def write_report(boards: Sequence[Board], path: Path, published: bool = False) -> Path:
    """One self-contained HTML page of several boards."""
    from benchmark.report.page.model import PageBoard
    from benchmark.report.page.write import write_page
    from benchmark.report.published import default_path, load_published

    pages = []
    for board in boards:
        _, problems = board.records()
        records = shown(board, whole=True)
        title = board.suite.title or board.folder.name
        said = [str(problem) for problem in problems]
        pages.append(
            PageBoard(
                title, records, board.suite.cells(), board.failures(), said, board.folder.as_posix(), board.suite.gate
            )
        )
    with holding(boards[0].folder):
        return write_page(pages, path, published=load_published(default_path()) if published else ())
