"""Score against sparsity: one panel per task, a line per method with its interval, the dense model and the floor across."""

from typing import TYPE_CHECKING

from benchmark.report.cells import Cell
from benchmark.report.figures.series import Board, bars_say, bounds
from benchmark.report.figures.style import INK, MUTED, drawing, legend_below, look, panels, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHIFT = 0.012
"""Methods stand this share of the sparsity range apart, so that their bars do not cover each other."""


def score_figure(board: Board, tasks: tuple[str, ...] | None = None) -> "Figure":
    """Score in the task's headline metric, percent, over the fraction of weights removed."""
    shown = tasks or board.tasks
    with drawing():
        figure, axes = panels(len(shown))
        for axis, task in zip(axes, shown, strict=True):
            _panel(axis, board, task)
        cells = [cell for task in shown for by in board.cells[task].values() for cell in by.values()]
        legend_below(figure, axes, f"sparsity: zeros / prunable weights; {bars_say(cells)}")
    return figure


def _panel(axis: "Axes", board: Board, task: str) -> None:
    methods = board.cells[task]
    sparsities = sorted({s for by_sparsity in methods.values() for s in by_sparsity})
    width = (sparsities[-1] - sparsities[0] if len(sparsities) > 1 else 0.2) * SHIFT
    for i, (method, by_sparsity) in enumerate(methods.items()):
        offset = (i - (len(methods) - 1) / 2) * width * (1 if len(sparsities) > 1 else 8)
        _line(axis, board, method, {s + offset: cell for s, cell in sorted(by_sparsity.items())})
    dense, metric = board.dense.get(task), ""
    cells = [cell for by_sparsity in methods.values() for cell in by_sparsity.values()]
    if dense is not None and dense.mean is not None:
        axis.axhline(dense.mean, color=INK, linewidth=1.2, label="dense")
        low, high = bounds(dense)
        axis.axhspan(low, high, color=INK, alpha=0.08, linewidth=0)
        cells.append(dense)
    floors = [cell.floor for cell in cells if cell.floor is not None]
    if floors:
        axis.axhline(min(floors), color=MUTED, linewidth=1, linestyle=":", label="trivial predictor")
    metric = cells[0].metric if cells else ""
    axis.set_title(words(task), loc="left")
    axis.set_ylabel(f"{words(metric)} (%)")
    axis.set_xlabel("sparsity")
    axis.set_xticks(sparsities, [f"{s:g}" for s in sparsities])


def _line(axis: "Axes", board: Board, method: str, cells: dict[float, Cell]) -> None:
    style = look(board.position(method))
    xs = list(cells)
    means = [cell.mean or 0.0 for cell in cells.values()]
    gaps = [(mean - bounds(c).low, bounds(c).high - mean) for mean, c in zip(means, cells.values(), strict=True)]
    axis.errorbar(
        xs,
        means,
        yerr=[[low for low, _ in gaps], [high for _, high in gaps]],
        color=style.color,
        marker=style.marker,
        linestyle=style.dash,
        capsize=2,
        elinewidth=0.9,
        label=words(method),
    )
