"""Critical-difference diagram (Demšar 2006): mean ranks on a line, bars joining what Nemenyi's test does not separate,
and the bootstrap interval of each mean rank."""

from typing import TYPE_CHECKING

import numpy as np

from benchmark.report.figures.style import COLUMN, INK, LONGEST, MUTED, PAGE, drawing, words, wrapped
from benchmark.report.summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHORT = 24
"""Letters of the longest name with which the figure is a column wide; with a longer one it is a page wide."""
LETTERS_AN_INCH = 9
"""Letters of a method's name for each inch of the figure's width."""


def rank_figure(summary: Summary, width: float | None = None) -> "Figure":
    """One row per method, best on top; rank 1 is best. `width` in inches."""
    from matplotlib.figure import Figure

    ranks, methods = summary.ranks, summary.scores.methods
    full = [summary.scores.word(name) for name in methods]
    width = width or (COLUMN if max(len(words(text)) for text in full) <= SHORT else PAGE)
    said = [words(text, min(LONGEST, int(LETTERS_AN_INCH * width))) for text in full]
    order = [int(m) for m in np.argsort(ranks.mean_rank, kind="stable")]
    with drawing():
        figure = Figure(figsize=(width, 0.95 + 0.17 * len(methods)), layout="constrained")
        axis = figure.subplots()
        for y, m in enumerate(order):
            axis.plot(
                [ranks.low[m], ranks.high[m]], [y, y], color=MUTED, linewidth=2.5, alpha=0.55, solid_capstyle="butt"
            )
            axis.plot(ranks.mean_rank[m], y, color=INK, marker="o", markersize=4)
        _bars(axis, summary, order)
        axis.set_yticks(range(len(order)), [said[m] for m in order])
        axis.set_ylim(len(order) - 0.4, -0.6)
        axis.set_xlim(0.7, len(order) + 0.3 + 0.12 * len(summary.groups))
        axis.set_xticks(range(1, len(order) + 1))
        cells = len(summary.scores.cells)
        axis.set_xlabel(f"Mean rank over {cells} {'cells' if cells > 1 else 'cell'}, 1 is best")
        figure.supxlabel(wrapped(_how_to_read(summary), width), fontsize=7)
        axis.grid(axis="y", visible=False)
    return figure


def _bars(axis: "Axes", summary: Summary, order: list[int]) -> None:
    right = len(order) + 0.3
    for i, group in enumerate(summary.groups):
        rows = [order.index(m) for m in group]
        axis.plot([right + 0.12 * i] * 2, [min(rows) - 0.25, max(rows) + 0.25], color=INK, linewidth=2)


def _how_to_read(summary: Summary) -> str:
    said = []
    if np.isfinite(summary.ranks.low).all():
        said.append("grey: 95 % bootstrap interval")
    if np.isfinite(summary.critical_difference):
        gap = f"{summary.critical_difference:.2f}"
        said.append(f"bars on the right: not told apart, critical difference {gap} (Nemenyi at 5 %)")
    return "; ".join(said)
