"""Score against sparsity, as a paper shows it: a row of small panels, one for each task, with one legend.

A line joins the means of a method, points are its seeds, and the band is the 95 % t interval over them. The dense model and the
trivial predictor are lines across. The y axis follows the scores, not the intervals, which are cut off where they leave it.
Where tables give seeds instead of a mean there are hollow points, and no line passes; a task that tables do not rank is grey.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite, nan
from typing import TYPE_CHECKING

from benchmark.report.cells import Cell
from benchmark.report.figures.series import Board, bounds, seeds_alone
from benchmark.report.figures.style import INK, MUTED, drawing, legend_below, look, mark_unranked, panels
from benchmark.report.statistics.intervals import Interval
from benchmark.suite.spec import DENSE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHIFT, FAN, BETWEEN = 0.02, 0.15, 0.6
"""Methods stand the share SHIFT of the axis apart, so that their points do not cover each other, but all of them within FAN of it
and within the share BETWEEN of the way to the next sparsity."""
MARGIN = 0.06
"""Space above and below the scores, as a share of their range."""
SIDES = 0.12
"""Space left and right of the sparsities, as a share of their range."""
ALONE = 0.1
"""Space left and right of a sparsity without others."""
WIDE, SPAN = 10, 1.2
"""Where the largest error is over so many times the smallest, the axis is logarithmic; it ends this factor beyond both."""


def score_figure(board: Board, tasks: tuple[str, ...] | None = None, width: float | None = None) -> "Figure":
    """Score in the task's headline metric over the share of weights removed; `width` in inches."""
    shown = tasks or board.tasks
    with drawing():
        figure, axes = panels(len(shown), width=width)
        for axis, task in zip(axes, shown, strict=True):
            _panel(axis, board, task, _share(board, shown))
        cells = [cell for task in shown for by in board.cells[task].values() for cell in by.values()]
        legend_below(figure, axes, "; ".join([*_how_to_read(cells), *board.remarks(shown)]))
    return figure


def _share(board: Board, tasks: Sequence[str]) -> float:
    """The share of the axis by which methods stand apart, the same in all panels."""
    room = FAN
    for task in tasks:
        sparsities = _sparsities(board, task)
        left, right = _ends(sparsities)
        room = min([room, *(BETWEEN * (b - a) / (right - left) for a, b in pairwise(sparsities))])
    return min(SHIFT, room / max(1, len(board.methods)))


def _sparsities(board: Board, task: str) -> list[float]:
    return sorted({s for by_sparsity in board.cells[task].values() for s in by_sparsity})


def _ends(sparsities: Sequence[float]) -> tuple[float, float]:
    """The ends of the axis: there is room around the sparsities, around a single one too."""
    if not sparsities:
        return 0.0, 1.0
    space = SIDES * (sparsities[-1] - sparsities[0]) or ALONE
    return sparsities[0] - space, sparsities[-1] + space


def _panel(axis: "Axes", board: Board, task: str, share: float) -> None:
    methods = board.cells[task]
    sparsities = _sparsities(board, task)
    left, right = _ends(sparsities)
    shift = share * (right - left)
    for method, by_sparsity in methods.items():
        offset = (board.position(method) - (len(board.methods) - 1) / 2) * shift
        _line(axis, board, method, {s + offset: cell for s, cell in sorted(by_sparsity.items())})
    cells = [cell for by_sparsity in methods.values() for cell in by_sparsity.values()]
    dense = board.dense.get(task)
    shown = [*cells, *([dense] if dense is not None else [])]
    across = [] if dense is None or dense.mean is None else dense.values if seeds_alone(dense) else [dense.mean]
    for i, level in enumerate(across):
        axis.axhline(
            level,
            color=INK,
            linewidth=0.6 if len(across) > 1 else 1.0,
            zorder=1,
            label="_" if i else board.method(DENSE),
        )
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
    seen = [value for cell in cells for value in cell.values] + floors + list(across)
    if seen:
        space = MARGIN * (max(seen) - min(seen) or 1.0)
        axis.set_ylim(min(seen) - space, max(seen) + space)
    if seen and any(cell.less_is_better for cell in shown) and min(seen) > 0 and max(seen) > WIDE * min(seen):
        axis.set_yscale("log")
        axis.set_ylim(min(seen) / SPAN, max(seen) * SPAN)
    axis.set_title(board.task(task), loc="left")
    axis.set_ylabel(board.scale(shown[0]) if shown else "")
    axis.set_xlabel("Sparsity (%)")
    axis.set_xticks(sparsities, [f"{100 * s:.6g}" for s in sparsities])
    axis.set_xlim(left, right)
    if board.unranked(task):
        mark_unranked(axis)


def _line(axis: "Axes", board: Board, method: str, cells: dict[float, Cell]) -> None:
    style, xs = look(board.position(method)), list(cells)
    means = [nan if cell.mean is None or seeds_alone(cell) else cell.mean for cell in cells.values()]
    axis.plot(
        xs, means, color=style.color, marker=style.marker, linestyle=style.dash, label=board.method(method), zorder=3
    )
    bands = [
        bounds(cell) if cell.n > 2 and isfinite(mean) else Interval(mean, mean)
        for cell, mean in zip(cells.values(), means, strict=True)
    ]
    if len(xs) > 1:
        low, high = [band.low for band in bands], [band.high for band in bands]
        axis.fill_between(xs, low, high, color=style.color, alpha=0.12, linewidth=0, zorder=0)
    for x, cell in cells.items():
        if seeds_alone(cell):
            axis.plot([x] * cell.n, cell.values, color=style.color, marker=style.marker, markersize=3.5,
                      markerfacecolor="none", linestyle="none", zorder=3)  # fmt: skip
        elif cell.n > 1:
            axis.plot([x] * cell.n, cell.values, color=style.color, marker=style.marker, markersize=1.8,
                      linestyle="none", alpha=0.6, zorder=2)  # fmt: skip


def _how_to_read(cells: list[Cell]) -> list[str]:
    most = max((cell.n for cell in cells), default=1)
    if most == 1:
        return ["one seed: differences may be noise"]
    bands = ["bands: 95 % t intervals"] if most > 2 else []
    return ["large: means; small: seeds", *bands]
