"""Score against what the training cost: one panel per task, a point per method and sparsity."""

from statistics import fmean
from typing import TYPE_CHECKING

from benchmark.report.figures.series import Board, bars_say, bounds
from benchmark.report.figures.style import INK, drawing, legend_below, look, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def cost_figure(board: Board, tasks: tuple[str, ...] | None = None) -> "Figure":
    """Headline score in percent over training seconds by the wall clock, means over seeds; a number is the sparsity."""
    shown = tasks or board.tasks
    with drawing():
        figure, axes = panels(len(shown))
        for axis, task in zip(axes, shown, strict=True):
            _panel(axis, board, task)
        cells = [cell for task in shown for by in board.cells[task].values() for cell in by.values()]
        legend_below(figure, axes, f"numbers beside points: sparsity; {bars_say(cells)}")
    return figure


def _panel(axis: "Axes", board: Board, task: str) -> None:
    metric = ""
    for method, by_sparsity in board.cells[task].items():
        style = look(board.position(method))
        for i, (sparsity, cell) in enumerate(sorted(by_sparsity.items())):
            metric, mean = cell.metric, cell.mean or 0.0
            seconds = fmean(record.cost.train_seconds for record in board.runs(cell))
            low, high = bounds(cell)
            axis.errorbar(
                seconds,
                mean,
                yerr=[[mean - low], [high - mean]],
                color=style.color,
                marker=style.marker,
                linestyle="none",
                elinewidth=0.9,
                label=board.method(method) if i == 0 else "_nolegend_",
            )
            axis.annotate(f"{sparsity:g}", (seconds, mean), (4, 3), textcoords="offset points", fontsize=7)
    dense = board.dense.get(task)
    if dense is not None and dense.mean is not None:
        seconds = fmean(record.cost.train_seconds for record in board.runs(dense))
        axis.axhline(dense.mean, color=INK, linewidth=1)
        axis.plot(seconds, dense.mean, color=INK, marker="*", markersize=9, linestyle="none", label="dense")
        metric = metric or dense.metric
    axis.set_title(board.task(task), loc="left")
    axis.set_xlabel("training seconds, criterion included")
    axis.set_ylabel(board.metric(metric))
