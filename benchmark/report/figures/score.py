"""Score against sparsity, as a paper shows it: a row of small panels, one for each task, with one legend.

A line joins the means of a method, points are its seeds, and the band is the 95 % t interval over them. The dense model and the
trivial predictor are lines across. The y axis follows the scores, not the intervals, which are cut off where they leave it.
Where tables give seeds instead of a mean there are hollow points, and no line passes; a task that tables do not rank is grey.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import isfinite, nan
from typing import TYPE_CHECKING

from benchmark.report.cells import Cell
from benchmark.report.figures.series import PlotBoard, seeds_alone, wide
from benchmark.report.figures.style import (
    INK,
    MUTED,
    drawing,
    legend_below,
    logarithmic,
    look,
    mark_unranked,
    panels,
    side_by_side,
)
from benchmark.report.statistics.intervals import Interval
from benchmark.suite.spec import DENSE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHIFT, FAN, BETWEEN = 0.02, 0.15, 0.6
"""Shares. The points of different methods at one sparsity stand SHIFT of the axis apart, so that they do not cover each other; closer
where all of them would take more than FAN of the axis, or BETWEEN of the way to the next sparsity."""
MARGIN = 0.06
"""Space above and below the scores, as a share of their range."""
EVENLY = "sparsities at even distances"
SIDES = 0.12
"""Space left and right of the sparsities, as a share of their range."""
ALONE = 0.1
"""Space left and right of a sparsity without others."""
SPAN = 1.2
"""Factor by which a logarithmic axis ends beyond its values, at least."""
DIGIT, APART = 0.05, 0.04
"""Inches: the width of a digit at an axis, and the gap between two numbers there."""
BESIDE = 0.6
"""Inches of a panel left and right of its axes."""


def score_figure(board: PlotBoard, width: float | None = None) -> "Figure":
    """Score in the task's headline metric over the share of weights removed; `width` in inches."""
    shown = board.tasks
    with drawing():
        figure, axes = panels(len(shown), width=width)
        room = figure.get_size_inches()[0] / side_by_side(len(shown), figure.get_size_inches()[0]) - BESIDE
        places = {task: _places(board.sparsities(task), room) for task in shown}
        share = _share(board, list(places.values()))
        for axis, task in zip(axes, shown, strict=True):
            _panel(axis, board, task, share, places[task], _tight(places[task], room))
        lines = [list(by_sparsity.values()) for task in shown for by_sparsity in board.cells[task].values()]
        even = [EVENLY] if any(s != x for found in places.values() for s, x in found.items()) else []
        legend_below(figure, axes, "; ".join([*_how_to_read(lines), *even, *board.remarks()]))
    return figure


def _share(board: PlotBoard, places: Sequence[Mapping[float, float]]) -> float:
    """The share of the axis by which methods stand apart, the same in all panels."""
    room = FAN
    for found in places:
        xs = list(found.values())
        left, right = _ends(xs)
        room = min([room, *(BETWEEN * (b - a) / (right - left) for a, b in pairwise(xs))])
    return min(SHIFT, room / max(1, len(board.methods)))


def _places(sparsities: Sequence[float], inches: float) -> dict[float, float]:
    """Where each sparsity stands on an axis: at its value, or at 0, 1, 2, ... where numbers would run into each other there."""
    if not _tight({sparsity: sparsity for sparsity in sparsities}, inches):
        return {sparsity: sparsity for sparsity in sparsities}
    return {sparsity: float(i) for i, sparsity in enumerate(sparsities)}


def _tight(places: Mapping[float, float], inches: float) -> bool:
    """Whether the numbers at sparsities in these places would run into each other."""
    left, right = _ends(list(places.values()))
    scale = inches / (right - left)
    return any(
        (places[b] - places[a]) * scale < APART + DIGIT * (len(said(a)) + len(said(b))) / 2 for a, b in pairwise(places)
    )


def said(sparsity: float) -> str:
    """`87.5` for 0.875."""
    return f"{100 * sparsity:.6g}"


def _ends(xs: Sequence[float]) -> tuple[float, float]:
    """The ends of the axis: there is room around the sparsities, around a single one too."""
    if not xs:
        return 0.0, 1.0
    space = SIDES * (xs[-1] - xs[0]) or ALONE
    return xs[0] - space, xs[-1] + space


def _panel(
    axis: "Axes", board: PlotBoard, task: str, share: float, places: Mapping[float, float], crowded: bool
) -> None:
    methods = board.cells[task]
    left, right = _ends(list(places.values()))
    shift = share * (right - left)
    for method, by_sparsity in methods.items():
        offset = (board.position(method) - (len(board.methods) - 1) / 2) * shift
        _line(axis, board, method, {places[s] + offset: cell for s, cell in sorted(by_sparsity.items())})
    shown, dense = board.cells_of(task), board.dense.get(task)
    cells = [cell for cell in shown if not cell.dense]
    seen = [value for cell in cells for value in cell.values] + _lines_across(axis, board, dense, cells)
    if seen:
        space = MARGIN * (max(seen) - min(seen) or 1.0)
        axis.set_ylim(min(seen) - space, max(seen) + space)
    if wide(shown, seen):
        room = max(SPAN, (max(seen) / min(seen)) ** MARGIN)
        axis.set_ylim(min(seen) / room, max(seen) * room)
        logarithmic(axis, "y")
    axis.set_title(board.task(task), loc="left")
    axis.set_ylabel(board.scale(shown[0]) if shown else "")
    axis.set_xlabel("Sparsity (%)")
    axis.set_xticks(list(places.values()), [said(sparsity) for sparsity in places], rotation=90 if crowded else 0)
    axis.set_xlim(left, right)
    if board.unranked(task):
        mark_unranked(axis)


def _lines_across(axis: "Axes", board: PlotBoard, dense: Cell | None, cells: Sequence[Cell]) -> list[float]:
    """Draw lines at the dense model and at the trivial predictor; returns their scores, the latter for every cell."""
    levels = [] if dense is None or dense.mean is None else list(dense.values) if seeds_alone(dense) else [dense.mean]
    for i, level in enumerate(levels):
        label = "_" if i else board.method(DENSE)
        axis.axhline(level, color=INK, linewidth=0.6 if len(levels) > 1 else 1.0, zorder=1, label=label)
    floors = [cell.floor for cell in cells if cell.floor is not None]
    if floors:
        level = (max if cells[0].less_is_better else min)(floors)
        axis.axhline(level, color=MUTED, linewidth=0.9, linestyle=":", label="Trivial predictor", zorder=1)
    return floors + levels


def _line(axis: "Axes", board: PlotBoard, method: str, cells: dict[float, Cell]) -> None:
    style, xs = look(board.position(method)), list(cells)
    means = [nan if cell.mean is None or seeds_alone(cell) else cell.mean for cell in cells.values()]
    axis.plot(
        xs, means, color=style.color, marker=style.marker, linestyle=style.dash, label=board.method(method), zorder=3
    )
    bands = [
        cell.interval if cell.n > 2 and isfinite(mean) else Interval(mean, mean)
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


def _how_to_read(lines: Sequence[Sequence[Cell]]) -> list[str]:
    """What points and bands are, of each line's cells by sparsity."""
    if not any(cell.n > 1 for line in lines for cell in line):
        return ["one seed: differences may be noise"]
    banded = any(len(line) > 1 and any(cell.n > 2 and not seeds_alone(cell) for cell in line) for line in lines)
    return ["large: means; small: seeds", *(["bands: 95 % t intervals"] if banded else [])]
