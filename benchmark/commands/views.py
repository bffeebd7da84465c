"""Shows a board: tables, statistics, figures and the page, from its records. Nothing here trains."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from benchmark.board.board import Board
from benchmark.board.outcomes import load_outcomes
from benchmark.board.record import Record
from benchmark.commands.side_by_side import several_models, shown, side_by_side, with_floors
from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from benchmark.plugins.broken import BrokenPluginError
from benchmark.report.names import names_of
from benchmark.report.published import load_published, published_table, quoted
from benchmark.report.render import render
from benchmark.report.significance import compare, with_significance
from benchmark.report.statistics.resampling import Outcomes
from benchmark.report.table import LAYOUTS, TASKS, Table, build_table
from benchmark.suite.suite import no_cell
from tasks.pipeline.whole import holding

if TYPE_CHECKING:
    from benchmark.report.page.board import PageBoard


@dataclass(frozen=True)
class View:
    """Options of a table: its layout, and what it shows beside the scores."""

    layout: str = "paper"
    """`paper`: blocks by sparsity, methods down, tasks across; `tasks`: a row for each method, tasks and sparsities across."""
    rows: Sequence[str] | None = None
    """Fields of the rows, if not the layout's."""
    columns: Sequence[str] | None = None
    metric: str = "headline"
    spread: Any = "sd"
    digits: int = 1
    average: bool | None = None
    """Whether to average over all tasks; None averages over GLUE's tasks in complete rows."""
    strict: bool = False
    published: bool = False
    """Quote published figures above our rows."""
    against: str | None = None
    """Mark cells that a paired bootstrap over items separates from this row (`best`, or a row by its name or label)."""
    only: Sequence[str] = ()
    """Patterns of the cells to show, by task or name; without any, all."""
    latex: bool = False
    """Whether labels stand as their LaTeX where they have it."""


DATA = ("csv", "json")
"""Formats for programs, always in the same arrangement and with full names."""
NAMED = 5
"""Unreadable records that one line names."""


def table_text(board: Board, format: str, view: View | None = None, trace: bool = False, **options: Any) -> str:
    """The comparison table in `format`; `options` are the writer's own (render.py)."""
    return tables_text([board], format, view or View(), trace, **options)


def tables_text(boards: Sequence[Board], format: str, view: View, trace: bool = False, **options: Any) -> str:
    """The comparison table of several boards of one protocol; PrunebenchError if they cannot be compared."""
    if format in DATA:
        average = view.average or False
        view = replace(view, layout="tasks", columns=view.columns or TASKS["columns"], average=average)
    table = comparison(boards, replace(view, latex=format == "latex"), chosen(boards, view.only))
    return render(table, format, trace=trace, **options)


def chosen(boards: Sequence[Board], only: Sequence[str]) -> frozenset[str] | None:
    """Ids of the cells that a pattern of `only` matches by task or name, with the dense ones of their tasks; None for all."""
    if not only:
        return None
    found: set[str] = set()
    for pattern in only:
        matched = [spec for board in boards for spec in board.matching(pattern)]
        if not matched:
            raise no_cell(pattern, [task for board in boards for task in board.suite.tasks])
        tasks_shown = {spec.task for spec in matched}
        found |= {spec.id for spec in matched}
        found |= {s.id for board in boards for s in board.suite.cells() if s.is_dense and s.task in tasks_shown}
    return frozenset(found)


def unreadable(boards: Sequence[Board]) -> str:
    """One line that names the records of these boards that cannot be read; empty where all can."""
    names = [str(problem.path) for board in boards for problem in board.unreadable(board.suite.cells())]
    if not names:
        return ""
    said = "a record cannot be read and counts" if len(names) == 1 else f"{len(names)} records cannot be read and count"
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{said} as missing: {', '.join(names[:NAMED])}{more} (`prunebench status` says why)"


def comparison(boards: Sequence[Board], view: View, keep: frozenset[str] | None = None) -> Table:
    """The comparison table of one board or several, with every planned cell (of those in `keep`), missing ones too."""
    side = side_by_side(boards)
    records = [record for record in side.records if keep is None or record.id in keep]
    table = build_table(
        records,
        side.specs if keep is None else [spec for spec in side.specs if spec.id in keep],
        **arrangement(view, several_models(boards)),
        metric=view.metric,
        spread=view.spread,
        digits=view.digits,
        average=view.average,
        strict=view.strict,
        title=side.title,
        failures=side.failures,
        names=side.names.in_latex() if view.latex else side.names,
        gate=side.gate,
    )
    if side.unlike_gates:
        table = replace(table, facts={**table.facts, "Gates": side.unlike_gates})
    if keep is None and side.other_settings:
        table = replace(table, facts={**table.facts, "Other settings": side.other_settings})
    if view.published:
        table = quoted(table, load_published(), records)
    if view.against is None:
        return table
    folders = {record.id: one.records_folder for one in boards for record in one.summaries()[0]}
    plain = replace(table, names=side.names)  # `against` may name a row by its label, as text
    found = compare(
        plain, records, lambda record: load_outcomes(folders[record.id], record), aggregate, against=view.against
    )
    return with_significance(table, found, view.against)


def arrangement(view: View, models: bool) -> dict[str, Any]:
    """Fields of rows and columns, and how many of the row fields label blocks; several models are blocks of the paper's layout."""
    layout = LAYOUTS[view.layout]
    rows = tuple(view.rows or (("model",) if models else ()) + layout["rows"])
    labels = [name in ("model", "sparsity") for name in rows]
    blocks = labels.index(False) if view.layout == "paper" and False in labels else 0
    return {"rows": rows, "columns": tuple(view.columns or layout["columns"]), "blocks": blocks}


def label_of(boards: Sequence[Board], parts: Sequence[str]) -> str:
    r"""The key of \label for a table of these boards: their folders, and what tells it from other tables of them."""
    from benchmark.report.filenames import slug

    return f"tab:{slug(' '.join([*(board.folder.resolve().name for board in boards), *parts]))}"


def notes_text(boards: Sequence[Board], format: str, only: Sequence[str] = (), **options: Any) -> str:
    """Settings by task, then everything else that was recorded about how the numbers were made."""
    from benchmark.report.settings import settings_table

    side, keep = side_by_side(boards), chosen(boards, only)
    specs = [spec for spec in side.specs if keep is None or spec.id in keep]
    records = [record for record in side.records if keep is None or record.id in keep]
    names = side.names.in_latex() if format == "latex" else side.names
    return render(settings_table(records, specs, title=side.title, names=names), format, **options)


def aggregate(task: str) -> Callable[[Outcomes], Mapping[str, float]]:
    """The function of the task called `task` that makes metrics, in percent, from per-example outcomes."""
    own: Callable[[Outcomes], Mapping[str, float]] = registry.configure("tasks", task).aggregate

    def aggregated(outcomes: Outcomes) -> Mapping[str, float]:
        try:
            return own(outcomes)
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:  # a third party's sys.exit ends no command that only shows
            raise BrokenPluginError(f"{task} cannot make metrics: {type(error).__name__}: {error}") from error

    return aggregated


def published_text(board: Board, format: str, **options: Any) -> str:
    """Published figures beside ours, with the difference and what is not comparable."""
    records, suite = shown(board), board.suite
    names = None if format in DATA else names_of(suite)
    table = published_table(load_published(), records, suite.cells(), title=suite.title, gate=suite.gate, names=names)
    return render(_of_finished(table, board, records), format, **options)


def efficiency_text(board: Board, format: str, measure: bool = False, **options: Any) -> str:
    """Sizes, FLOPs and costs; with `measure`, compressed bytes and latency of cells whose weights were saved."""
    from benchmark.commands.measure import measure_cells
    from benchmark.report.efficiency import efficiency_table

    records, _ = board.records() if measure else board.summaries()
    measured = measure_cells(board, records) if measure else None
    table = efficiency_table(
        records, board.suite.cells(), measured=measured, title=board.suite.title, names=names_of(board.suite)
    )
    return render(_of_finished(table, board, records), format, **options)


def _of_finished(table: Table, board: Board, records: Sequence[Record]) -> Table:
    """Adds the line "Runs: 0 of N finished" to a table that is empty because no run has finished."""
    if records:
        return table
    return replace(table, facts={"Runs": f"0 of {len(board.suite.cells())} finished", **table.facts})


def statistics_text(board: Board, width: int | None = None) -> str:
    """Ranks with intervals, aggregates, tests between rows, and what these runs cannot settle; lines of `width` characters."""
    from benchmark.report.summary import summarize, summary_text

    records = shown(board)
    table = build_table(
        records, board.suite.cells(), failures=board.failures(), gate=board.suite.gate, names=names_of(board.suite)
    )
    summary = summarize(table)
    return (
        summary_text(summary, width=width) if summary else "no column is complete for two rows, so nothing is compared"
    )


def plot(
    board: Board,
    folder: Path,
    format: str,
    dark: bool = False,
    width: str | None = None,
    figure: str | None = None,
    font: str = "serif",
) -> list[Path]:
    """Every figure that the records allow, or the one called `figure`, into `folder`."""
    from benchmark.report.figures.plot import plot_board

    with holding(board.folder):
        return plot_board(
            shown(board, whole=True),
            folder,
            format,
            board.suite.cells(),
            dark=dark,
            gate=board.suite.gate,
            names=names_of(board.suite),
            width=width,
            figure=figure,
            font=font,
        )


def write_report(boards: Sequence[Board], path: Path, published: bool = False) -> Path:
    """One self-contained HTML page of several boards."""
    from benchmark.report.page.write import write_page

    pages = [page_board(board, link_to(board.records_folder, path.parent)) for board in boards]
    with holding(boards[0].folder):
        return write_page(pages, path, published=load_published() if published else ())


def page_board(board: Board, records_at: str = "") -> "PageBoard":
    """The data of a board that a page needs, with tests of its table if outcomes allow them."""
    from benchmark.report.page.board import PageBoard

    records, problems = board.records()
    found = PageBoard(
        title=board.title,
        records=with_floors(board, records),
        specs=board.suite.cells(),
        failures=board.failures(),
        problems=[f"{problem.path.name}: {problem.reason}" for problem in problems],
        folder=board.folder.as_posix(),
        gate=board.suite.gate,
        names=names_of(board.suite),
        records_at=records_at,
    )
    try:
        tested = compare(
            found.table, found.records, lambda record: load_outcomes(board.records_folder, record), aggregate
        )
    except PrunebenchError:  # outcomes that are damaged, or metrics of a whole corpus: the page then goes by ranks
        tested = []
    return replace(found, comparisons=tested)


def link_to(folder: Path, place: Path) -> str:
    """A relative link from `place` to `folder`; empty if it would reveal folders of this machine."""
    here, there = place.resolve(), folder.resolve()
    shared = Path(os.path.commonpath([here, there]))
    if not (shared.is_relative_to(Path.cwd()) or there.is_relative_to(here)):
        return ""
    return quote(Path(os.path.relpath(there, here)).as_posix())
