"""Commands that measure: what criteria do (diagnose), and what they cost (bench)."""

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
from benchmark.report.numbers import count_of


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
        float,
        typer.Option(
            min=0, max=1, metavar="SHARE", help="Share of training after which fidelity is measured; 0: first masking."
        ),
    ] = 0.0,
    bins: Annotated[
        int, typer.Option(min=2, max=1000, metavar="N", help="Quantile bins of each matrix that are zeroed.")
    ] = 5,
    singles: Annotated[int, typer.Option(min=2, max=100_000, metavar="N", help="Single weights that are zeroed.")] = 64,
    batches: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="N", help="Batches on which the loss is measured.")
    ] = 2,
    format: Annotated[Format, typer.Option(help="How to print the tables.")] = "text",
    figures: Annotated[Literal["pdf", "svg", "png"], typer.Option(help="Vector or bitmap.")] = "pdf",
    changes: Changes = None,
    data: Data = None,
    model: Model = None,
    device: Device = "auto",
    trust_remote_code: Annotated[bool, typer.Option(help="With --train: let a hub model run its own code.")] = False,
) -> None:
    """Say how well the scores of BOARD's criteria predict the loss, how much masks change and agree; BOARD/diagnose/ has all."""
    from benchmark.diagnose.fidelity import Probing
    from benchmark.diagnose.train import train as train_again
    from benchmark.diagnose.write import NOTHING, printed, tables, write_all
    from tasks.pipeline.whole import holding

    if not train and (unused := typed(context, ("at", "bins", "singles", "batches", "device", "trust_remote_code"))):
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
        probing = Probing(at, bins, singles, batches)
        failed = train_again(opened, cells, probing, device, tell, trust_remote_code) if train else 0
        made = list(tables(opened, cells))
        paths = write_all(opened, made, cells, figures)
    if text := printed(made, format):
        echo(text)
    else:
        tell(NOTHING)
    tell(f"wrote {count_of(len(paths), 'file')} in {opened.folder / 'diagnose'}")
    sys.exit(failed)


def _record(given: Path) -> Path:
    """The path of a record with its board's folder in it; PrunebenchError where the file lies in no folder of records."""
    path = given if given.parent.name == "records" else given.resolve()
    if path.parent.name != "records":
        raise PrunebenchError(f"{given}: expected a board's folder, or a record in one: BOARD/records/ID.json")
    return path


@app.command()
def bench(
    context: typer.Context,
    sections: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SECTION",
            help="step, selection, cell, memory, startup, records, workers; all if left out.",
        ),
    ] = None,
    data: Annotated[str, typer.Option(metavar="DIR", help="Folder with GLUE files for whole cells, or mini.")] = "mini",
    model: Annotated[
        str, typer.Option(metavar="DIR", help="Model of the whole cells: a folder, a hub id, or mini.")
    ] = "mini",
    device: Device = "auto",
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where tables and raw numbers go.")] = Path(
        "results/cost"
    ),
    steps: Annotated[int, typer.Option(min=4, metavar="N", help="Optimizer steps of each whole cell.")] = 60,
    naive: Annotated[
        bool,
        typer.Option(help="Run whole cells by the naive loop too; with --no-naive the harness's alone, five times."),
    ] = True,
    without: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Run whole cells on a CPU with and without these: linear, dropout, allocator, by commas.",
        ),
    ] = None,
    criteria: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Criteria of the step section, separated by commas.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Write NAME.profile.txt: where the time of a pruned step goes.")
    ] = None,
    batch: Annotated[
        str | None, typer.Option(metavar="ROWSxLENGTH", help="Batch of the profiled step, such as 32x12.")
    ] = None,
    quick: Annotated[
        bool, typer.Option(help="Tiny shapes, one repetition, all in under a minute: tries the code, measures nothing.")
    ] = False,
) -> None:
    """Measure what a criterion adds to a step and what a whole cell costs, beside a naive baseline, and write the tables."""
    from benchmark.bench import step
    from benchmark.bench.cell import Place
    from benchmark.bench.result import section_text
    from benchmark.bench.suite import Job, measure
    from benchmark.board.board import require_outside
    from benchmark.machine.atomic import require_room
    from benchmark.machine.environment import pick_device

    job = Job(
        pick_device(device),
        Place(data, model, steps, 20 if quick else None, naive, tuple(without.split(",") if without else ())),
        quick,
        criteria.split(",") if criteria else step.CRITERIA,
        f"prunebench {' '.join(_named(word) for word in sys.argv[1:])}",
        lambda text: echo(f"  {text}", err=True),
    )
    require_outside(output / "table.md")
    require_room(output)
    for section, options in {"step": ("criteria",), "cell": ("data", "model", "steps", "naive", "without")}.items():
        if not {section, "all"} & set(sections or ["all"]) and (unused := typed(context, options)):
            raise PrunebenchError(f"{', '.join(unused)}: only used by the section {section}, which is not asked for")
    if batch and not profile:
        raise PrunebenchError("--batch is for the profiled step: name it with --profile NAME")
    if profile:
        echo(f"wrote {step.write_profile(job.device, quick, 'principled', output / f'{profile}.profile.txt', batch)}")
        if not sections:
            return
    table = measure(job, sections or ["all"], output, lambda section: echo(section_text(section)))
    echo(f"wrote {table} and {table.with_suffix('.json').name}")


def _named(word: str) -> str:
    """A word of the command line as it is published: of an absolute path only the last part."""
    return Path(word).name if Path(word).is_absolute() else word
