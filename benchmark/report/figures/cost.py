"""Score against what the training cost: a small panel per task, a point per method and sparsity, smaller where more is pruned."""

from statistics import fmean
from typing import TYPE_CHECKING

from benchmark.report.figures.series import Board
from benchmark.report.figures.style import INK, drawing, legend_below, look, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZES = (6.0, 2.5)
"""Points: the marker of the lowest sparsity of a panel, and of the highest."""


def cost_figure(board: Board, tasks: tuple[str, ...] | None = None) -> "Figure":
    """Headline score over training seconds by the wall clock, means over seeds."""
    shown = tasks or board.tasks
    with drawing():
        figure, axes = panels(len(shown))
        for axis, task in zip(axes, shown, strict=True):
            _panel(axis, board, task)
        many = any(len(by_sparsity) > 1 for task in shown for by_sparsity in board.cells[task].values())
        legend_below(figure, axes, f"means over seeds{'; smaller points: higher sparsity' if many else ''}")
    return figure


def _panel(axis: "Axes", board: Board, task: str) -> None:
    sparsities = sorted({sparsity for by_sparsity in board.cells[task].values() for sparsity in by_sparsity})
    dense = board.dense.get(task)
    scale = board.scale(dense) if dense is not None else ""
    for method, by_sparsity in board.cells[task].items():
        style = look(board.position(method))
        # The legend takes the first entry of a name, which is to have a marker of full size.
        axis.plot([], [], color=style.color, marker=style.marker, linestyle="none", label=board.method(method))
        for sparsity, cell in by_sparsity.items():
            scale = board.scale(cell)
            seconds = fmean(record.cost.train_seconds for record in board.runs(cell))
            axis.plot(
                seconds,
                cell.mean or 0.0,
                color=style.color,
                marker=style.marker,
                markersize=_size(sparsities.index(sparsity), len(sparsities)),
                linestyle="none",
                alpha=0.8,
            )
    if dense is not None and dense.mean is not None:
        seconds = fmean(record.cost.train_seconds for record in board.runs(dense))
        axis.axhline(dense.mean, color=INK, linewidth=0.8)
        axis.plot(seconds, dense.mean, color=INK, marker="*", markersize=7, linestyle="none", label="Dense")
    axis.set_title(board.task(task), loc="left")
    axis.set_xlabel("Training time (s)")
    axis.set_ylabel(scale)


def _size(place: int, count: int) -> float:
    return SIZES[0] - (SIZES[0] - SIZES[1]) * place / (count - 1) if count > 1 else sum(SIZES) / 2
