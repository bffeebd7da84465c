"""The command that asks what criteria really do."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmark.cli.app import (
    Changes,
    Data,
    Device,
    Format,
    Model,
    Only,
    app,
    board_folder,
    echo,
    open_board,
    tell_unreadable,
    typed,
)
from benchmark.errors import PrunebenchError


@app.command()
def diagnose(
    context: typer.Context,
    board: Annotated[
        Path,
        typer.Argument(
            metavar="BOARD|CELL", help="Folder with a suite.yaml, or a record in one.", callback=board_folder
        ),
    ],
    only: Only = "*",
    train: Annotated[
        bool, typer.Option(help="Train the cells again, to measure fidelity, churn and correlation.")
    ] = False,
    at: Annotated[
        float, typer.Option(min=0, max=1, help="Share of training after which fidelity is measured; 0: first masking.")
    ] = 0.0,
    bins: Annotated[int, typer.Option(min=2, max=1000, help="Quantile bins of each matrix that are zeroed.")] = 5,
    singles: Annotated[int, typer.Option(min=2, max=100_000, help="Single weights that are zeroed.")] = 64,
    batches: Annotated[int, typer.Option(min=1, max=10_000, help="Batches on which the loss is measured.")] = 2,
    format: Annotated[Format, typer.Option(help="How to print the tables.")] = "text",
    figures: Annotated[Literal["pdf", "svg", "png"], typer.Option(help="Vector or bitmap.")] = "pdf",
    changes: Changes = None,
    data: Data = None,
    model: Model = None,
    device: Device = "auto",
) -> None:
    """Say what BOARD's criteria really do: fidelity to the loss, churn of masks, overlap and correlation; BOARD/diagnose/ has all."""
    from benchmark.diagnose.fidelity import Probing
    from benchmark.diagnose.train import train as train_again
    from benchmark.diagnose.write import NOTHING, printed, tables, write_all
    from tasks.pipeline.whole import holding

    if not train and (unused := typed(context, ("at", "bins", "singles", "batches", "device"))):
        raise PrunebenchError(f"{', '.join(unused)}: only used with --train; add it, or leave this out")
    record = _record(board) if board.suffix == ".json" and board.is_file() else None
    if record and typed(context, ("only",)):
        raise PrunebenchError(
            "--only: chooses among a board's cells, and one record is named; leave it out, or name the board"
        )
    opened = open_board(record.parents[1] if record else board, changes, data, model, runs=train)
    cells = [opened.find(record.stem)] if record else opened.cells(only)
    tell_unreadable(opened)
    tell = partial(echo, err=format != "text")  # what programs read holds the tables alone
    with holding(opened.folder):
        failed = train_again(opened, cells, Probing(at, bins, singles, batches), device, tell) if train else 0
        made = list(tables(opened, cells))
        paths = write_all(opened, made, cells, figures)
    if text := printed(made, format):
        echo(text)
    else:
        tell(NOTHING)
    tell(f"wrote {len(paths)} files in {opened.folder / 'diagnose'}")
    sys.exit(failed)


def _record(given: Path) -> Path:
    """The path of a record with its board's folder in it; PrunebenchError where the file lies in no folder of records."""
    path = given if given.parent.name == "records" else given.resolve()
    if path.parent.name != "records":
        raise PrunebenchError(f"{given}: expected a board's folder, or a record in one: BOARD/records/ID.json")
    return path
