"""Commands that train: run, compare, tune, and status, which says what is left to train."""

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from benchmark.cli import completing
from benchmark.cli.app import (
    BoardArgument,
    Changes,
    CheckpointMinutes,
    Compile,
    CompileAuto,
    Data,
    Device,
    Format,
    Model,
    Only,
    RetryFailed,
    Track,
    TrustRemoteCode,
    app,
    echo,
    open_board,
    parsed,
    when_to_compile,
)

if TYPE_CHECKING:
    from benchmark.engine.base import EngineOptions

Engine = Annotated[Literal["local", "ray", "slurm"], typer.Option(help="Where cells run.")]
Jobs = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Cells at a time: processes on this machine, or tasks of the engine."),
]
Address = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="A running Ray cluster, such as auto or host:6379.")
]
Gpus = Annotated[
    float | None,
    typer.Option(min=0, metavar="N", help="GPUs for each cell: ray takes a fraction too, slurm whole ones."),
]
Slurm = Annotated[
    str | None,
    typer.Option(metavar="KEY=VALUE,...", help="What to ask sbatch for: partition=gpu,time=4:00:00,mem=16G."),
]


def _engine(name: str, jobs: int | None, address: str | None, gpus: float | None, slurm: str | None) -> "EngineOptions":
    from benchmark.engine.base import EngineOptions

    return EngineOptions(name, jobs, address, gpus, slurm)


@app.command()
def run(
    board: BoardArgument,
    only: Only = "*",
    changes: Changes = None,
    data: Data = None,
    model: Model = None,
    device: Device = "auto",
    save_predictions: Annotated[bool, typer.Option(help="Keep predicted text beside the records.")] = False,
    save_weights: Annotated[
        bool,
        typer.Option(
            help="Keep the weights of the cells that this call runs; a cell that has a record is not run again."
        ),
    ] = False,
    trust_remote_code: TrustRemoteCode = False,
    track: Track = None,
    retry_failed: RetryFailed = False,
    checkpoint_minutes: CheckpointMinutes = 10.0,
    compile: Compile = False,
    compile_auto: CompileAuto = False,
    engine: Engine = "local",
    jobs: Jobs = None,
    address: Address = None,
    gpus: Gpus = None,
    slurm: Slurm = None,
) -> None:
    """Run every cell of BOARD that has no record yet, then write and print its table."""
    from benchmark.commands.run import run_board
    from benchmark.engine.cell import Settings

    compiles = when_to_compile(compile, compile_auto)
    opened = open_board(board, changes, data, model, runs=True)
    settings = Settings(
        device, save_predictions, save_weights, trust_remote_code, retry_failed, checkpoint_minutes, compiles
    )
    sys.exit(run_board(opened, only, settings, track, _engine(engine, jobs, address, gpus, slurm)))


@app.command()
def compare(
    board: BoardArgument,
    add: Annotated[
        list[str],
        typer.Option(
            metavar="NAME|FILE",
            help="A criterion, or 'criterion + regularizer', to add as a row; may be repeated.",
            autocompletion=completing.criteria,
        ),
    ],
    only: Only = "*",
    format: Annotated[Format, typer.Option(help="How to write the table.")] = "text",
    changes: Changes = None,
    data: Data = None,
    model: Model = None,
    device: Device = "auto",
    trust_remote_code: TrustRemoteCode = False,
    track: Track = None,
    retry_failed: RetryFailed = False,
    checkpoint_minutes: CheckpointMinutes = 10.0,
    compile: Compile = False,
    compile_auto: CompileAuto = False,
    engine: Engine = "local",
    jobs: Jobs = None,
    address: Address = None,
    gpus: Gpus = None,
    slurm: Slurm = None,
) -> None:
    """Run only the missing cells of the rows added to BOARD, and print its table with them marked; suite.yaml stays as it is."""
    from benchmark.commands.compare import compare as compare_rows
    from benchmark.commands.compare import widen
    from benchmark.engine.cell import Settings
    from benchmark.plugins.files import only_look

    compiles = when_to_compile(compile, compile_auto)
    only_look(False)
    wider = widen(board, add, parsed(changes), data=data, model=model)
    settings = Settings(
        device,
        trust_remote_code=trust_remote_code,
        retry_failed=retry_failed,
        checkpoint_minutes=checkpoint_minutes,
        compile=compiles,
    )
    sys.exit(compare_rows(wider, only, settings, track, _engine(engine, jobs, address, gpus, slurm), format))


@app.command()
def status(board: BoardArgument, changes: Changes = None, data: Data = None, model: Model = None) -> None:
    """Say how many cells of each task of BOARD are done, failed or missing, why cells failed, and how long the rest will take."""
    from benchmark.commands.status import status_lines
    from benchmark.plugins.files import only_look

    only_look(True)
    echo("\n".join(status_lines(board, parsed(changes), data, model)))


@app.command()
def tune(
    board: BoardArgument,
    trials: Annotated[
        int,
        typer.Option(
            min=1, max=10_000, metavar="N", help="Trials for every row, task and sparsity, earlier ones counted."
        ),
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
        int | None,
        typer.Option(
            min=0, max=2**32 - 1, metavar="N", help="Seed of the trials; one that BOARD does not report if left out."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to write the tuned board; BOARD-tuned if left out.")
    ] = None,
    changes: Changes = None,
    data: Data = None,
    model: Model = None,
    device: Device = "auto",
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Give every row of BOARD the same number of trials on held-out training data, and write the board of the tuned rows."""
    from benchmark.board.board import require_outside
    from benchmark.tune.space import parse_rates
    from benchmark.tune.tune import Search
    from benchmark.tune.tune import tune as tune_rows
    from benchmark.tune.write import outcome, require_free, write_tuned
    from tasks.pipeline.whole import holding

    rates = None if lr in ("", "fixed") else parse_rates(lr)
    search = Search(trials, seed, rates, lr == "fixed", device, trust_remote_code)
    opened = open_board(board, changes, data, model, runs=True)
    folder = output or Path(os.path.normpath(board / ".." / f"{board.resolve().name}-tuned"))
    require_outside(folder / "suite.yaml")
    require_free(opened, folder, search)
    with holding(opened.folder):
        tune_rows(opened, search, only, say=echo)
    found = outcome(opened, trials, search.seed_for(opened))
    echo("\n".join([*found.lines, *(f"not tuned: {line}" for line in found.lacking)]))
    path = write_tuned(opened, found, folder, parsed(changes), data=data, model=model)
    echo(f"wrote {path}: run it like any board, prunebench run {shlex.quote(str(folder))}")
