"""Score against what the training cost: a small panel per task, a point per method and sparsity, smaller where more is pruned.

Other work on a machine slows runs down. So a point stands at the median over seeds, and a line shows how far their seconds reach.
"""

from statistics import fmean, median
from typing import TYPE_CHECKING

from benchmark.report.cells import Cell
from benchmark.report.figures.series import PlotBoard, seeds_alone, wide
from benchmark.report.figures.style import INK, drawing, legend_below, logarithmic, look, mark_unranked, panels
from benchmark.suite.spec import DENSE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE = 4
"""The time axis of a panel is logarithmic where the slowest run takes more than WIDE times as long as the fastest."""
CLOCK = "time by the wall clock, other work on the machine included"
SIZES = (6.0, 2.5)
"""Points: the marker of the lowest sparsity of a panel, and of the highest."""


def cost_figure(board: PlotBoard, width: float | None = None) -> "Figure":
    """A point for each cell: its mean score over the median of its training seconds; each seed by itself where tables give no mean.
    `width` in inches."""
    shown = board.tasks
    with drawing():
        figure, axes = panels(len(shown), width=width)
        for axis, task in zip(axes, shown, strict=True):
            _panel(axis, board, task)
        many = any(len(by_sparsity) > 1 for task in shown for by_sparsity in board.cells[task].values())
        cells = [cell for task in shown for cell in board.cells_of(task)]
        seeds = any(cell.n > 1 and not seeds_alone(cell) for cell in cells)
        said = [*(["points: mean score and median time", "lines: fastest to slowest seed"] if seeds else []), CLOCK]
        said += [*(["smaller points: higher sparsity"] if many else []), *board.remarks()]
        legend_below(figure, axes, "; ".join(said))
    return figure


def _panel(axis: "Axes", board: PlotBoard, task: str) -> None:
    cells, sparsities = board.cells_of(task), board.sparsities(task)
    for method, by_sparsity in board.cells[task].items():
        style = look(board.position(method))
        # The legend takes the first entry of a name, which is to have a marker of full size.
        axis.plot([], [], color=style.color, marker=style.marker, linestyle="none", label=board.method(method))
        for sparsity, cell in by_sparsity.items():
            _reach(axis, board, cell, style.color)
            axis.plot(
                *_points(board, cell),
                color=style.color,
                marker=style.marker,
                markersize=_size(sparsities.index(sparsity), len(sparsities)),
                markerfacecolor="none" if seeds_alone(cell) else style.color,
                linestyle="none",
                alpha=0.8,
            )
    if task in board.dense:
        _dense(axis, board, board.dense[task])
    axis.set_title(board.task(task), loc="left")
    runs = [record for cell in cells for record in board.runs(cell)]
    taken = [record.cost.train_seconds for record in runs]
    trained = not runs or any(record.spec.is_trained for record in runs)
    axis.set_xlabel(f"{'Training' if trained else 'Pruning'} time (s)")
    if min(taken, default=0.0) > 0 and max(taken) > WIDE * min(taken):
        logarithmic(axis, "x")
    if wide(cells, [value for cell in cells for value in cell.values]):
        logarithmic(axis, "y")
    axis.set_ylabel(board.scale(cells[0]) if cells else "")
    if board.unranked(task):
        mark_unranked(axis)


def _dense(axis: "Axes", board: PlotBoard, dense: Cell) -> None:
    """A star at the dense model, and a line across at its score."""
    seconds, scores = _points(board, dense)
    for score in scores:
        axis.axhline(score, color=INK, linewidth=0.8 / len(scores))
    _reach(axis, board, dense, INK)
    face = "none" if seeds_alone(dense) else INK
    axis.plot(
        seconds, scores, color=INK, marker="*", markersize=7, markerfacecolor=face, linestyle="none",
        label=board.method(DENSE),
    )  # fmt: skip


def _reach(axis: "Axes", board: PlotBoard, cell: Cell, color: str) -> None:
    """A thin line from the fastest to the slowest seed of a cell whose mean is drawn."""
    if cell.n > 1 and not seeds_alone(cell):
        seconds = [record.cost.train_seconds for record in board.runs(cell)]
        axis.plot([min(seconds), max(seconds)], [fmean(cell.values)] * 2, color=color, linewidth=0.6, alpha=0.5)


def _points(board: PlotBoard, cell: Cell) -> tuple[list[float], list[float]]:
    """Seconds and scores of what is drawn for a cell: their median and mean, or each seed where tables give no mean."""
    seconds, scores = [record.cost.train_seconds for record in board.runs(cell)], list(cell.values)
    return (seconds, scores) if seeds_alone(cell) else ([median(seconds)], [fmean(scores)])


def _size(place: int, count: int) -> float:
    return SIZES[0] - (SIZES[0] - SIZES[1]) * place / (count - 1) if count > 1 else sum(SIZES) / 2
