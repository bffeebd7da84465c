"""Score against sparsity, as a paper shows it: a row of small panels, one for each task, with one legend.

A line joins the means of a method, points are its seeds, and the band is the 95 % t interval over them. The dense model and the
trivial predictor are lines across. The y axis follows the scores, not the intervals, which are cut off where they leave it.
"""

from typing import TYPE_CHECKING

from benchmark.report.cells import Cell
from benchmark.report.figures.series import Board, bounds
from benchmark.report.figures.style import INK, MUTED, drawing, legend_below, look, panels
from benchmark.report.statistics.intervals import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHIFT = 0.012
"""Methods stand this share of the sparsity range apart, so that their points do not cover each other."""
MARGIN = 0.06
"""Space above and below the scores, as a share of their range."""
SIDES = 0.08
"""Space left and right of the points, as a share of theirs."""
WIDE, SPAN = 10, 1.2
"""Errors of which the largest is so many times the smallest stand on a logarithmic axis, with this factor as space."""


def score_figure(board: Board, tasks: tuple[str, ...] | None = None) -> "Figure":
    """Score in the task's headline metric over the share of weights removed."""
    shown = tasks or board.tasks
    with drawing():
        figure, axes = panels(len(shown))
        for axis, task in zip(axes, shown, strict=True):
            _panel(axis, board, task)
        cells = [cell for task in shown for by in board.cells[task].values() for cell in by.values()]
        legend_below(figure, axes, _how_to_read(cells))
    return figure


def _panel(axis: "Axes", board: Board, task: str) -> None:
    methods = board.cells[task]
    sparsities = sorted({s for by_sparsity in methods.values() for s in by_sparsity})
    width = (sparsities[-1] - sparsities[0] if len(sparsities) > 1 else 0.2) * SHIFT
    for i, (method, by_sparsity) in enumerate(methods.items()):
        offset = (i - (len(methods) - 1) / 2) * width * (1 if len(sparsities) > 1 else 8)
        _line(axis, board, method, {s + offset: cell for s, cell in sorted(by_sparsity.items())})
    cells = [cell for by_sparsity in methods.values() for cell in by_sparsity.values()]
    dense = board.dense.get(task)
    shown = [*cells, *([dense] if dense is not None else [])]
    across = [] if dense is None or dense.mean is None else [dense.mean]
    if across:
        axis.axhline(across[0], color=INK, linewidth=1.0, label="Dense", zorder=1)
    floors = [cell.floor for cell in cells if cell.floor is not None]
    if floors:
        axis.axhline(
            (max if cells[0].less_is_better else min)(floors),
            color=MUTED,
            linewidth=0.9,
            linestyle=":",
            label="Trivial predictor",
            zorder=1,
        )
    seen = [value for cell in cells for value in cell.values] + floors + across
    if seen:
        space = MARGIN * (max(seen) - min(seen) or 1.0)
        axis.set_ylim(min(seen) - space, max(seen) + space)
    if seen and any(cell.less_is_better for cell in shown) and min(seen) > 0 and max(seen) > WIDE * min(seen):
        axis.set_yscale("log")
        axis.set_ylim(min(seen) / SPAN, max(seen) * SPAN)
    axis.set_title(board.task(task), loc="left")
    axis.set_ylabel(board.scale(shown[0]) if shown else "")
    axis.set_xlabel("Sparsity")
    axis.set_xticks(sparsities, [f"{s:g}" for s in sparsities])
    axis.margins(x=SIDES)


def _line(axis: "Axes", board: Board, method: str, cells: dict[float, Cell]) -> None:
    style, xs = look(board.position(method)), list(cells)
    means = [cell.mean or 0.0 for cell in cells.values()]
    axis.plot(
        xs, means, color=style.color, marker=style.marker, linestyle=style.dash, label=board.method(method), zorder=3
    )
    bands = [
        bounds(cell) if cell.n > 2 else Interval(mean, mean) for cell, mean in zip(cells.values(), means, strict=True)
    ]
    if len(xs) > 1:
        low, high = [band.low for band in bands], [band.high for band in bands]
        axis.fill_between(xs, low, high, color=style.color, alpha=0.12, linewidth=0, zorder=0)
    for x, cell in cells.items():
        if cell.n > 1:
            axis.plot([x] * cell.n, cell.values, color=style.color, marker=style.marker, markersize=1.8,
                      linestyle="none", alpha=0.6, zorder=2)  # fmt: skip


def _how_to_read(cells: list[Cell]) -> str:
    counts = {cell.n for cell in cells}
    said = ["large points: means over seeds"] if max(counts, default=1) > 1 else ["one seed"]
    said += ["small points: single seeds"] if max(counts, default=1) > 1 else []
    said += ["bands: 95 % t interval over seeds"] if max(counts, default=1) > 2 else []
    return "; ".join(said)
