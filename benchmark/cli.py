"""The command line: parses, calls, prints. No logic here; heavy modules are imported by the command that needs them."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from benchmark.errors import PrunebenchError

app = typer.Typer(
    name="prunebench",
    help="A benchmark of pruning criteria for pretrained language models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

BoardArgument = Annotated[Path, typer.Argument(metavar="BOARD", help="Folder with a suite.yaml.")]
Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the suite: training.epochs=2.")
]
Data = Annotated[str | None, typer.Option(metavar="DIR", help="Read the data here: hub, mini, or a folder.")]
Model = Annotated[str | None, typer.Option(metavar="DIR", help="Use this model: a folder or a hub id.")]
Device = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where to run; auto is CUDA where there is one.")]
Only = Annotated[str, typer.Option(metavar="PATTERN", help="Only cells whose task or name matches, such as 'glue/*'.")]
Track = Annotated[
    Literal["tensorboard", "wandb", "mlflow"] | None,
    typer.Option(help="Tell this tracker as well; records stay the truth."),
]
Format = Literal["text", "markdown", "latex", "html", "csv", "json"]
Kind = Literal["criteria", "regularizers", "schedules", "tasks"]


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
) -> None:
    """Run every cell of BOARD that has no record yet, then write and print its table."""
    from benchmark.commands import run_board
    from benchmark.engine.local import Settings

    opened = _open(board, changes, data, model)
    try:
        sys.exit(run_board(opened, only, Settings(device, save_predictions, save_weights, trust_remote_code), track))
    except KeyboardInterrupt:
        typer.echo("prunebench: interrupted; finished cells are kept, run the same command to go on", err=True)
        sys.exit(130)


@app.command()
def compare(
    board: BoardArgument,
    add: Annotated[
        list[str], typer.Option(metavar="NAME|FILE", help="A criterion, or 'criterion + regularizer', to add as a row.")
    ],
    only: Only = "*",
    changes: Changes = None,
    data: Data = None,
    model: Model = None,
    device: Device = "auto",
    track: Track = None,
) -> None:
    """Run only the missing cells of the rows added to BOARD, and print its table with them marked; suite.yaml stays as it is."""
    from benchmark.compare import compare as compare_rows
    from benchmark.compare import widen
    from benchmark.engine.local import Settings
    from benchmark.readsuite import parse_changes

    wider = widen(board, add, parse_changes(changes or []), data=data, model=model)
    try:
        sys.exit(compare_rows(wider, only, Settings(device), track))
    except KeyboardInterrupt:
        typer.echo("prunebench: interrupted; finished cells are kept, run the same command to go on", err=True)
        sys.exit(130)


@app.command()
def status(board: BoardArgument, changes: Changes = None, data: Data = None, model: Model = None) -> None:
    """Say which cells of BOARD are done, failed or missing, and how long the missing ones will take."""
    from benchmark.commands import status_lines

    typer.echo("\n".join(status_lines(_open(board, changes, data, model))))


@app.command()
def table(
    board: BoardArgument,
    format: Annotated[Format, typer.Option(help="How to write it.")] = "text",
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write to FILE instead of the terminal.")] = None,
    rows: Annotated[str, typer.Option(help="What makes a row.")] = "criterion,regularizer",
    columns: Annotated[str, typer.Option(help="What makes a column.")] = "task,sparsity",
    metric: Annotated[str, typer.Option(help="headline, all, or a metric's name.")] = "headline",
    spread: Annotated[Literal["sd", "interval"], typer.Option(help="Standard deviation, or 95 % interval.")] = "sd",
    average: Annotated[bool, typer.Option(help="Add an average over tasks, for complete rows.")] = False,
    strict: Annotated[bool, typer.Option(help="Refuse a table with missing cells.")] = False,
    against: Annotated[
        str | None, typer.Option(metavar="ROW", help="Mark differences from ROW (or 'best'), tested.")
    ] = None,
    trace: Annotated[bool, typer.Option(help="Add the record ids behind every cell.")] = False,
    published: Annotated[bool, typer.Option(help="Published figures beside ours instead.")] = False,
    efficiency: Annotated[bool, typer.Option(help="Sizes, FLOPs and costs instead.")] = False,
    measure: Annotated[bool, typer.Option(help="With --efficiency: compressed bytes and latency too.")] = False,
    changes: Changes = None,
    data: Data = None,
    model: Model = None,
) -> None:
    """Print BOARD's comparison table from its records; nothing is trained."""
    from benchmark import views

    opened = _open(board, changes, data, model)
    if published:
        text = views.published_text(opened, format)
    elif efficiency or measure:
        text = views.efficiency_text(opened, format, measure)
    else:
        view = views.View(rows.split(","), columns.split(","), metric, spread, average, strict, against)
        text = views.table_text(opened, format, view, trace)
    if output is None:
        typer.echo(text)
    else:
        from benchmark.atomic import write_text

        write_text(output, text + "\n")


@app.command()
def statistics(board: BoardArgument) -> None:
    """Ranks with intervals, tests between rows, and what BOARD's runs cannot settle."""
    from benchmark.views import statistics_text

    typer.echo(statistics_text(_open(board, None)))


@app.command()
def plot(
    board: BoardArgument,
    format: Annotated[Literal["pdf", "svg", "png"], typer.Option(help="Vector or bitmap.")] = "pdf",
    output: Annotated[Path | None, typer.Option(metavar="DIR", help="Where to; BOARD/figures if left out.")] = None,
) -> None:
    """Draw BOARD: score against sparsity and cost, training curves, ranks, sparsity by layer."""
    from benchmark.views import plot as plot_figures

    for path in plot_figures(_open(board, None), output or board / "figures", format):
        typer.echo(path)


@app.command()
def report(
    boards: Annotated[list[Path], typer.Argument(metavar="BOARD...", help="Folders with a suite.yaml.")],
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to; BOARD/report.html if left out.")
    ] = None,
    published: Annotated[bool, typer.Option(help="Set published figures beside ours.")] = False,
) -> None:
    """Write one self-contained HTML page: tables, filters, figures, the runs behind every cell."""
    from benchmark.views import write_report

    opened = [_open(board, None) for board in boards]
    typer.echo(write_report(opened, output or boards[0] / "report.html", published))


@app.command("list")
def list_plugins(
    kind: Annotated[Kind | None, typer.Argument(help="What to list; everything if left out.")] = None,
) -> None:
    """List plugins: name, one-line claim, options with their defaults."""
    from benchmark.registry import KINDS
    from benchmark.show_catalogue import catalogue_lines

    typer.echo("\n".join(line for name in ([kind] if kind else KINDS) for line in catalogue_lines(name)))


@app.command()
def diagnose(board: BoardArgument, only: Only = "*") -> None:
    """Say what BOARD's criteria really do: how much the weights they keep overlap, between criteria and between seeds."""
    from benchmark.diagnose.overlap import overlap_text

    typer.echo(overlap_text(_open(board, None), only))


@app.command()
def check(
    plugin: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A plugin's name with options, or its file.")],
    kind: Annotated[Kind | None, typer.Option(help="Its kind, where the name does not tell.")] = None,
    data: Data = None,
    model: Model = None,
) -> None:
    """Hold a plugin against its contract: what passed, or what failed and what to do."""
    from benchmark.check import verdicts

    found, told = verdicts(plugin, kind, data, model)
    typer.echo("\n".join(f"{'passed ' if one.passed else 'FAILED '} {one.name}: {one.words}" for one in told))
    failed = [one.name for one in told if not one.passed]
    if failed:
        typer.echo(f"{plugin} breaks the contract of {found}: {', '.join(failed)}")
        sys.exit(1)
    typer.echo(f"{plugin} keeps the contract of {found}: {len(told)} checks passed")


@app.command()
def new(
    kind: Annotated[Literal["criterion", "regularizer", "task", "board"], typer.Argument(help="What to write.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, such as my_idea.")],
    folder: Annotated[Path, typer.Option(metavar="DIR", help="Where to write its file.")] = Path(),
    package: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write an installable package around it into this new folder.")
    ] = None,
) -> None:
    """Write a plugin (one file that already works), a package around it, or a board; nothing is overwritten."""
    from benchmark.scaffold import new as write_new

    written = write_new(kind, name, folder, package)
    typer.echo(
        "\n".join(
            [*(f"wrote {path}" for path in written.paths), "next:", *(f"  {step}" for step in written.next_steps)]
        )
    )


@app.command()
def doctor(
    board: Annotated[
        Path | None, typer.Argument(metavar="[BOARD]", help="Check this board's data and models too.")
    ] = None,
) -> None:
    """Say what this machine has and lacks: Python, torch, device, data, hub, extras, programs, and how to get what is missing."""
    from benchmark.doctor import examine, report_lines

    findings = examine(_open(board, None) if board else None)
    typer.echo("\n".join(report_lines(findings)))
    sys.exit(1 if any(finding.state == "wrong" for finding in findings) else 0)


@app.command()
def prunable(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A hub id, a folder, mini or mini-decoder.")],
    biases: Annotated[bool, typer.Option(help="Count the layers' biases too, as scope 'published' does.")] = False,
) -> None:
    """List the weights of MODEL that may be pruned, and their number."""
    from benchmark.inspect_model import prunable_text

    typer.echo(prunable_text(model, biases))


@app.command()
def merge(
    board: BoardArgument,
    others: Annotated[list[Path], typer.Argument(metavar="OTHER...", help="Boards, or folders of records.")],
) -> None:
    """Bring records of the same suite from other machines or people into BOARD, refusing conflicting ones by name."""
    from benchmark.merge import merge as merge_records

    typer.echo(merge_records(_open(board, None), others).summary())


@app.command()
def export(
    board: BoardArgument,
    cell: Annotated[str, typer.Argument(metavar="CELL", help="A record id, or the start of one.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    data: Data = None,
    model: Model = None,
    device: Device = "auto",
) -> None:
    """Write a finished cell as a Hugging Face model folder: pruned weights, tokenizer, model card."""
    from benchmark.export import export_cell

    opened = _open(board, None, data, model)
    score = export_cell(opened, opened.find(cell), folder, device)
    typer.echo(f"{folder}: the exported model scores {score:.2f}, as recorded")


def _open(folder: Path, changes: list[str] | None, data: str | None = None, model: str | None = None) -> Any:
    """The board, with the suite changed as asked."""
    from benchmark.board import Board
    from benchmark.readsuite import parse_changes

    return Board.open(folder, parse_changes(changes or []), data=data, model=model)


def main() -> None:
    """The console script: errors a user can mend are one message and exit code 2."""
    try:
        app()
    except PrunebenchError as error:
        typer.echo(f"prunebench: {error}", err=True)
        sys.exit(2)
