"""Training curves of one task at one sparsity: loss, sparsity and score over the steps, a line per method."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from benchmark.board.record import Point
from benchmark.report.cells import Cell
from benchmark.report.figures.series import PlotBoard, seeds_alone
from benchmark.report.figures.style import INK, drawing, legend_below, look, panels
from benchmark.report.names import percent
from benchmark.suite.spec import DENSE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCORE = "Selection score"
PANELS: dict[str, Callable[[Point], float | None]] = {
    "Training loss": lambda point: point.loss,
    "Sparsity": lambda point: point.sparsity,
    SCORE: lambda point: point.score,
}


def has_curves(board: PlotBoard, task: str, sparsity: float) -> bool:
    """Whether any record of the task's cells at this sparsity has points of a curve: none does where nothing is trained."""
    cells = (found[sparsity] for found in board.cells[task].values() if sparsity in found)
    return any(record.curve for cell in cells for record in board.runs(cell))


def training_figure(board: PlotBoard, task: str, sparsity: float, width: float | None = None) -> "Figure":
    """Means over seeds in bold, single seeds thin, and these alone where tables give no mean; `width` in inches.

    A panel is left out where no run recorded its quantity.
    """
    methods = {name: found[sparsity] for name, found in board.cells[task].items() if sparsity in found}
    dense = board.dense.get(task)
    cells = [*([dense] if dense is not None else []), *methods.values()]
    runs = [record for cell in cells for record in board.runs(cell)]
    shown = {
        name: get for name, get in PANELS.items() if any(get(point) is not None for r in runs for point in r.curve)
    }
    scale = next((board.scale(cell) for cell in cells if cell.runs), "")
    with drawing():
        figure, axes = panels(max(1, len(shown)), width=width)
        for axis, (name, get) in zip(axes, shown.items(), strict=False):
            if dense is not None:
                _line(axis, board, dense, get, (INK, "-"), board.method(DENSE))
            for method, cell in methods.items():
                style = look(board.position(method))
                _line(axis, board, cell, get, (style.color, style.dash), board.method(method))
            axis.set_title(f"{name}: {scale}" if name == SCORE else name, loc="left")
            axis.set_xlabel("Step")
        said = {
            "thin alone: seeds where no mean is given": any(map(seeds_alone, cells)),
            "loss: with what a regularizer adds": any(record.spec.regularizer != "none" for record in runs),
        }
        legend_below(figure, axes, "; ".join(text for text, holds in said.items() if holds))
        figure.suptitle(f"{board.task(task)}, {percent(sparsity)} sparsity")
    return figure


def _line(
    axis: "Axes",
    board: PlotBoard,
    cell: Cell,
    get: Callable[[Point], float | None],
    style: tuple[str, str | tuple[int, tuple[float, ...]]],
    label: str,
) -> None:
    color, dash = style
    curves = [[(p.step, value) for p in record.curve if (value := get(p)) is not None] for record in board.runs(cell)]
    curves = [curve for curve in curves if curve]
    if not curves:
        return
    if seeds_alone(cell):
        for i, curve in enumerate(curves):
            axis.plot(*zip(*curve, strict=True), color=color, linestyle=dash, linewidth=0.7, label="_" if i else label)
        return
    for curve in curves if len(curves) > 1 else []:
        axis.plot(*zip(*curve, strict=True), color=color, linewidth=0.5, alpha=0.3)
    steps = sorted({step for curve in curves for step, _ in curve})
    lines = [np.interp(steps, [step for step, _ in curve], [value for _, value in curve]) for curve in curves]
    axis.plot(steps, np.mean(lines, axis=0), color=color, linestyle=dash, label=label)
