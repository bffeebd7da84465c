"""All figures of a board, as files."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.board.record import Record
from benchmark.errors import choices
from benchmark.report.figures.cost import cost_figure
from benchmark.report.figures.layers import has_layers, layer_figure
from benchmark.report.figures.ranks import rank_figure
from benchmark.report.figures.score import score_figure
from benchmark.report.figures.series import PlotBoard, board_of
from benchmark.report.figures.style import WIDTHS, lettering, save
from benchmark.report.figures.training import has_curves, training_figure
from benchmark.report.filenames import file_names
from benchmark.report.layout import TableError
from benchmark.report.names import STANDARD, Names, percent
from benchmark.report.summary import Summary, summarize
from benchmark.suite.spec import GATE, RunSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_board(
    records: Sequence[Record],
    folder: Path,
    format: str = "pdf",
    specs: Sequence[RunSpec] = (),
    dark: bool = False,
    gate: float = GATE,
    names: Names = STANDARD,
    width: str | None = None,
    figure: str | None = None,
    font: str = "serif",
) -> list[Path]:
    """Write every figure the records allow, or the one called `figure`, into `folder` as pdf, svg or png; the paths in order.

    `width` is that of a paper's `column` or `page`; None is a column where a figure fits one; `font` is `serif` or `sans`.
    TableError: an unknown figure, or a dark one that is not svg.
    """
    if dark and format != "svg":
        raise TableError(f"dark figures are SVG, found '{format}': choose --format svg")
    inches = WIDTHS[width] if width else None
    found = {name: draw for name, _, draw in figures(records, specs, gate=gate, names=names, width=inches)}
    if figure is not None and figure not in found:
        hint = choices(figure, list(found)) if found else "no run of a pruned model has finished yet"
        raise TableError(f"no figure '{figure}' of this board; {hint}")
    wanted = found if figure is None else {figure: found[figure]}
    with lettering(font):
        return [save(draw(), folder / f"{name}.{format}", dark) for name, draw in wanted.items()]


def figures(
    records: Sequence[Record],
    specs: Sequence[RunSpec] = (),
    training: bool = True,
    summary: Summary | None = None,
    gate: float = GATE,
    names: Names = STANDARD,
    width: float | None = None,
) -> "Iterator[tuple[str, str, Callable[[], Figure]]]":
    """(file name without ending, title, what draws it) of all figures: scores, cost, ranks, then per task training and layers.

    A `summary` that is given is not computed again; `training=False` leaves the training curves out; `width` is in inches.
    """
    board = board_of(records, specs, names=names, gate=gate)
    if any(board.cells.values()):
        yield "score-sparsity", "Score against sparsity", partial(score_figure, board, width=width)
        yield "score-cost", "Score against time", partial(cost_figure, board, width=width)
    found = summary or summarize(board.table)
    if found is not None and len(found.scores.methods) > 2:
        yield "ranks", "Mean ranks and critical difference", partial(rank_figure, found, width)
    yield from _by_task(board, training, width)


def _by_task(
    board: PlotBoard, training: bool, width: float | None
) -> "Iterator[tuple[str, str, Callable[[], Figure]]]":
    files = file_names(board.cells)
    for task in board.cells:
        said = board.task(task)
        for sparsity in (s for s in board.sparsities(task) if training and has_curves(board, task, s)):
            title = f"Training curves of {said} at {percent(sparsity)} sparsity"
            yield f"training-{files[task]}-{sparsity:g}", title, partial(training_figure, board, task, sparsity, width)
        if has_layers(board, task):
            yield f"layers-{files[task]}", f"Sparsity by matrix, {said}", partial(layer_figure, board, task, width)
