"""Commands that measure cost: bench."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.app import Device, app, echo, typed


@app.command()
def bench(
    context: typer.Context,
    sections: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SECTION]...",
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
    steps: Annotated[int, typer.Option(min=4, help="Optimizer steps of each whole cell.")] = 60,
    naive: Annotated[
        bool,
        typer.Option(help="Whole cells also by the naive loop; without, the harness's alone, five times."),
    ] = True,
    without: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES", help="Whole cells on a CPU with and without: linear, dropout or allocator, by commas."
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
    from benchmark.errors import PrunebenchError
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
