"""The command that tunes."""

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.app import BoardArgument, Changes, Data, Device, Model, Only, app, echo, open_board, parsed


@app.command()
def tune(
    board: BoardArgument,
    trials: Annotated[
        int, typer.Option(min=1, max=10_000, help="Trials for every row, task and sparsity, earlier ones counted.")
    ],
    only: Only = "*",
    lr: Annotated[
        str,
        typer.Option(
            metavar="LOW,HIGH|fixed",
            help="Range of the learning rate, or fixed; a quarter of the suite's to four times it if left out.",
        ),
    ] = "",
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="Of the trials; by default one that BOARD does not report.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to write the tuned board; BOARD-tuned if left out.")
    ] = None,
    changes: Changes = None,
    data: Data = None,
    model: Model = None,
    device: Device = "auto",
    trust_remote_code: Annotated[bool, typer.Option(help="Let a hub model run its own code.")] = False,
) -> None:
    """Give every row of BOARD the same number of trials on held-out training data, and write the board of the tuned rows."""
    from benchmark.board.board import require_outside
    from benchmark.tune.space import parse_rates
    from benchmark.tune.tune import Search, tune
    from benchmark.tune.write import outcome, require_free, write_tuned
    from tasks.pipeline.whole import holding

    rates = None if lr in ("", "fixed") else parse_rates(lr)
    search = Search(trials, seed, rates, lr == "fixed", device, trust_remote_code)
    opened = open_board(board, changes, data, model, runs=True)
    folder = output or Path(os.path.normpath(board / ".." / f"{board.resolve().name}-tuned"))
    require_outside(folder / "suite.yaml")
    require_free(opened, folder, search)
    with holding(opened.folder):
        tune(opened, search, only, say=echo)
    found = outcome(opened, trials, search.seed_for(opened))
    echo("\n".join([*found.lines, *(f"not tuned: {line}" for line in found.lacking)]))
    path = write_tuned(opened, found, folder, parsed(changes), data=data, model=model)
    echo(f"wrote {path}: run it like any board, prunebench run {shlex.quote(str(folder))}")
