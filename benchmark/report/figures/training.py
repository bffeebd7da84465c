"""Training curves of one task at one sparsity: loss, sparsity and score over the steps, a line per method."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from benchmark.board.record import Point, Record
from benchmark.report.figures.series import Board
from benchmark.report.figures.style import INK, drawing, legend_below, look, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS: dict[str, Callable[[Point], float | None]] = {
    "Training loss": lambda point: point.loss,
    "Sparsity": lambda point: point.sparsity,
    "Selection score (%)": lambda point: point.score,
}


def training_figure(board: Board, task: str, sparsity: float) -> "Figure":
    """Means over seeds in bold, single seeds thin; a panel is left out where no run recorded its quantity."""
    methods = {name: board.runs(found[sparsity]) for name, found in board.cells[task].items() if sparsity in found}
    dense = board.runs(board.dense[task]) if task in board.dense else []
    runs = [*dense, *(record for records in methods.values() for record in records)]
    shown = {
        name: get for name, get in PANELS.items() if any(get(point) is not None for r in runs for point in r.curve)
    }
    with drawing():
        figure, axes = panels(max(1, len(shown)))
        for axis, (name, get) in zip(axes, shown.items(), strict=False):
            if dense:
                _line(axis, dense, get, INK, "-", "Dense")
            for method, records in methods.items():
                style = look(board.position(method))
                _line(axis, records, get, style.color, style.dash, board.method(method))
            axis.set_title(name, loc="left")
            axis.set_xlabel("Step")
        legend_below(figure, axes)
        figure.suptitle(f"{board.task(task)}, sparsity {sparsity:g}")
    return figure


def _line(
    axis: "Axes",
    records: list[Record],
    get: Callable[[Point], float | None],
    color: str,
    dash: str | tuple[int, tuple[float, ...]],
    label: str,
) -> None:
    curves = [[(p.step, value) for p in record.curve if (value := get(p)) is not None] for record in records]
    curves = [curve for curve in curves if curve]
    if not curves:
        return
    for curve in curves if len(curves) > 1 else []:
        axis.plot(*zip(*curve, strict=True), color=color, linewidth=0.5, alpha=0.3)
    steps = sorted({step for curve in curves for step, _ in curve})
    lines = [np.interp(steps, [step for step, _ in curve], [value for _, value in curve]) for curve in curves]
    axis.plot(steps, np.mean(lines, axis=0), color=color, linestyle=dash, label=label)
