"""Commands that train: run, compare, and status, which says what is left to train."""

import sys
from typing import Annotated

import typer

from benchmark.cli import completing
from benchmark.cli.app import (
    BoardArgument,
    Changes,
    CheckpointMinutes,
    Data,
    Device,
    Model,
    Only,
    RetryFailed,
    Track,
    app,
    interruptible,
    open_board,
)


@app.command()
def run(
    board: BoardArgument,
    only: Only = "*",
    changes: Changes = None,
    data: Data = None,
    model: Model = None,
    device: Device = "auto",
    save_predictions: Annotated[bool, typer.Option(help="Keep predicted text beside the records.")] = False,
    save_weights: Annotated[bool, typer.Option(help="Keep the weights of every cell, for export.")] = False,
    trust_remote_code: Annotated[bool, typer.Option(help="Let a hub model run its own code.")] = False,
    track: Track = None,
    retry_failed: RetryFailed = False,
    checkpoint_minutes: CheckpointMinutes = 10.0,
) -> None:
    """Run every cell of BOARD that has no record yet, then write and print its table."""
    from benchmark.commands import run_board
    from benchmark.engine.cell import Settings

    opened = open_board(board, changes, data, model)
    settings = Settings(device, save_predictions, save_weights, trust_remote_code, retry_failed, checkpoint_minutes)
    with interruptible():
        sys.exit(run_board(opened, only, settings, track))


@app.command()
def compare(
    board: BoardArgument,
    add: Annotated[
        list[str],
        typer.Option(
            metavar="NAME|FILE",
            help="A criterion, or 'criterion + regularizer', to add as a row.",
            autocompletion=completing.criteria,
        ),
    ],
    only: Only = "*",
    changes: Changes = None,
    data: Data = None,
    model: Model = None,
    device: Device = "auto",
    track: Track = None,
    retry_failed: RetryFailed = False,
    checkpoint_minutes: CheckpointMinutes = 10.0,
) -> None:
    """Run only the missing cells of the rows added to BOARD, and print its table with them marked; suite.yaml stays as it is."""
    from benchmark.compare import compare as compare_rows
    from benchmark.compare import widen
    from benchmark.engine.cell import Settings
    from benchmark.readsuite import parse_changes

    wider = widen(board, add, parse_changes(changes or []), data=data, model=model)
    settings = Settings(device, retry_failed=retry_failed, checkpoint_minutes=checkpoint_minutes)
    with interruptible():
        sys.exit(compare_rows(wider, only, settings, track))


@app.command()
def status(board: BoardArgument, changes: Changes = None, data: Data = None, model: Model = None) -> None:
    """Say which cells of BOARD are done, failed or missing, and how long the missing ones will take."""
    from benchmark.commands import status_lines

    typer.echo("\n".join(status_lines(open_board(board, changes, data, model))))
