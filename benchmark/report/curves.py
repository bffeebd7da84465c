"""All figures of a board, as files."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.board.record import Record
from benchmark.errors import choices
from benchmark.report.fields import TableError
from benchmark.report.figures.cost import cost_figure
from benchmark.report.figures.layers import has_layers, layer_figure
from benchmark.report.figures.ranks import rank_figure
from benchmark.report.figures.score import score_figure
from benchmark.report.figures.series import METHOD, Board, board_of
from benchmark.report.figures.style import FORMATS, save
from benchmark.report.figures.training import training_figure
from benchmark.report.names import Names
from benchmark.report.summary import Summary, summarize
from benchmark.report.table import build_table
from benchmark.suite.spec import GATE, RunSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_board(
    records: Sequence[Record],
    folder: Path,
    format: str = "pdf",
    specs: Sequence[RunSpec] = (),
    rows: Sequence[str] = METHOD,
    dark: bool = False,
    gate: float = GATE,
    names: Names | None = None,
) -> list[Path]:
    """Write every figure the records allow into `folder` as pdf, svg or png; returns the paths in order."""
    if format not in FORMATS:
        raise TableError(f"figure format: found '{format}'; {choices(format, FORMATS)}")
    return [
        save(figure, folder / f"{name}.{format}", dark)
        for name, _, figure in figures(records, specs, rows, gate=gate, names=names)
    ]


def figures(
    records: Sequence[Record],
    specs: Sequence[RunSpec] = (),
    rows: Sequence[str] = METHOD,
    training: bool = True,
    summary: Summary | None = None,
    gate: float = GATE,
    names: Names | None = None,
) -> "Iterator[tuple[str, str, Figure]]":
    """(file name without ending, title, figure) of all figures: scores, cost, ranks, then per task training and layers.

    A `summary` at hand is not made again; `training=False` leaves the training curves out.
    """
    board = board_of(records, specs, rows, names=names)
    if any(board.cells.values()):
        yield "score-sparsity", "Score against sparsity", score_figure(board)
        yield "score-cost", "Score against training time", cost_figure(board)
    found = summary or summarize(build_table(records, specs, rows=rows, gate=gate))
    if found is not None and len(found.grid.methods) > 2:
        yield "ranks", "Mean ranks and critical difference", rank_figure(found, names)
    yield from _by_task(board, training)


def _by_task(board: Board, training: bool) -> "Iterator[tuple[str, str, Figure]]":
    for task, methods in board.cells.items():
        sparsities = sorted({s for by_sparsity in methods.values() for s in by_sparsity})
        for sparsity in sparsities if training else []:
            name = f"training-{slug(task)}-{sparsity:g}"
            yield (
                name,
                f"Training curves of {board.task(task)} at sparsity {sparsity:g}",
                training_figure(board, task, sparsity),
            )
        if has_layers(board, task):
            yield f"layers-{slug(task)}", f"Sparsity by matrix, {board.task(task)}", layer_figure(board, task)


def slug(text: str) -> str:
    """A task's name as part of a file name: letters, digits and dashes."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-") or "task"
