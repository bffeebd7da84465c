"""Commands that read records and show them; nothing is trained."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmark.cli.app import BoardArgument, Changes, Data, Format, Model, app, echo, open_board


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
    from benchmark.commands import views

    opened = open_board(board, changes, data, model)
    if published:
        text = views.published_text(opened, format)
    elif efficiency or measure:
        text = views.efficiency_text(opened, format, measure)
    else:
        view = views.View(rows.split(","), columns.split(","), metric, spread, average, strict, against)
        text = views.table_text(opened, format, view, trace)
    if output is None:
        echo(text)
    else:
        from benchmark.machine.atomic import write_text

        write_text(output, text + "\n")


@app.command()
def statistics(board: BoardArgument, changes: Changes = None, data: Data = None, model: Model = None) -> None:
    """Ranks with intervals, tests between rows, and what BOARD's runs cannot settle."""
    from benchmark.commands.views import statistics_text

    echo(statistics_text(open_board(board, changes, data, model)))


@app.command()
def plot(
    board: BoardArgument,
    format: Annotated[Literal["pdf", "svg", "png"], typer.Option(help="Vector or bitmap.")] = "pdf",
    dark: Annotated[bool, typer.Option("--dark", help="Pale lines for a dark page; with --format svg.")] = False,
    output: Annotated[Path | None, typer.Option(metavar="DIR", help="Where to; BOARD/figures if left out.")] = None,
    changes: Changes = None,
    data: Data = None,
    model: Model = None,
) -> None:
    """Draw BOARD: score against sparsity and cost, training curves, ranks, sparsity by layer."""
    from benchmark.commands.views import plot as plot_figures

    for path in plot_figures(open_board(board, changes, data, model), output or board / "figures", format, dark):
        echo(path)


@app.command()
def report(
    boards: Annotated[list[Path], typer.Argument(metavar="BOARD...", help="Folders with a suite.yaml.")],
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to; BOARD/report.html if left out.")
    ] = None,
    published: Annotated[bool, typer.Option(help="Set published figures beside ours.")] = False,
    changes: Changes = None,
    data: Data = None,
    model: Model = None,
) -> None:
    """Write one self-contained HTML page: tables, filters, figures, the runs behind every cell."""
    from benchmark.commands.views import write_report

    opened = [open_board(board, changes, data, model) for board in boards]
    echo(write_report(opened, output or boards[0] / "report.html", published))
