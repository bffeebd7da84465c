"""Where a method prunes: measured sparsity of every prunable matrix, a row per method, for one task."""

from typing import TYPE_CHECKING

import numpy as np

from benchmark.board.record import Record
from benchmark.report.figures.series import PlotBoard
from benchmark.report.figures.style import LONGEST, PAGE, drawing, words
from benchmark.report.names import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LETTERS_AN_INCH = 7
"""Letters of a method's name for each inch of the figure's width."""
IN_TITLE = 9
"""Letters of a task's name for each inch."""
NAMED = 40
"""Up to NAMED matrices all have their names on a paper's page; of more, only some."""


def has_layers(board: PlotBoard, task: str) -> bool:
    """Whether any record of the task's pruned cells lists its layers."""
    cells = (cell for by_sparsity in board.cells[task].values() for cell in by_sparsity.values())
    return any(record.sparsity.layers for cell in cells for record in board.runs(cell))


def layer_figure(board: PlotBoard, task: str, width: float | None = None) -> "Figure":
    """One panel per sparsity, below each other; colour from 0 (kept) to 1 (all zeros), means over seeds; `width` in inches."""
    from matplotlib.figure import Figure

    methods = board.cells[task]
    sparsities = board.sparsities(task)
    runs = [record for found in methods.values() for cell in found.values() for record in board.runs(cell)]
    names = list(dict.fromkeys(layer.name for record in runs for layer in record.sparsity.layers))
    width = width or PAGE
    most = int(LETTERS_AN_INCH * width)
    said = words(board.task(task), min(LONGEST, int(IN_TITLE * width)))
    with drawing():
        height = 1.0 + len(sparsities) * (0.3 + 0.16 * len(methods))
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(len(sparsities), 1, squeeze=False, sharex=True)[:, 0]
        for axis, sparsity in zip(axes, sparsities, strict=True):
            shown = {name: board.runs(found[sparsity]) for name, found in methods.items() if sparsity in found}
            values = np.array([_mean(records, names) for records in shown.values()])
            image = axis.imshow(values, vmin=0, vmax=1, aspect="auto", cmap="cividis", interpolation="nearest")
            axis.set_yticks(range(len(shown)), [words(board.method(name), most) for name in shown])
            axis.set_title(f"{said}, {percent(sparsity)} sparsity", loc="left")
            axis.grid(visible=False)
        step = -(-len(names) // int(NAMED * width / PAGE))
        short = [words(name) for name in shortened(names)]
        axes[-1].set_xticks(range(0, len(names), step), short[::step], rotation=90)
        figure.colorbar(image, ax=list(axes), label="Share of zeros", shrink=0.9, pad=0.01, aspect=30)
    return figure


def shortened(names: list[str]) -> list[str]:
    """Names without the dotted parts that all of them share at the front and at the end."""
    parts = [name.split(".") for name in names]
    for _ in range(2):
        while parts and all(len(part) > 1 and part[0] == parts[0][0] for part in parts):
            parts = [part[1:] for part in parts]
        parts = [part[::-1] for part in parts]
    return [".".join(part) for part in parts]


def _mean(records: list[Record], names: list[str]) -> list[float]:
    by_name = [{layer.name: layer.zeros / max(layer.size, 1) for layer in record.sparsity.layers} for record in records]
    return [float(np.mean([found.get(name, np.nan) for found in by_name])) for name in names]
