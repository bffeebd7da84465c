"""Commands that read records and show them; nothing is trained."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from benchmark.cli.app import (
    BoardArgument,
    BoardArguments,
    Changes,
    Data,
    Format,
    Model,
    app,
    echo,
    echo_coloured,
    open_board,
    tell_unreadable,
    terminal,
    typed,
)
from benchmark.errors import PrunebenchError


@app.command()
def table(
    context: typer.Context,
    boards: BoardArguments,
    format: Annotated[Format, typer.Option(help="How to write it.")] = "text",
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write to FILE instead of the terminal.")] = None,
    layout: Annotated[
        Literal["paper", "tasks"], typer.Option(help="Blocks by sparsity, or all sparsities of a task side by side.")
    ] = "paper",
    width: Annotated[
        Literal["column", "page"] | None,
        typer.Option(
            help="LaTeX: as wide as a column (table) or the page (table*); column where it fits, if left out."
        ),
    ] = None,
    rows: Annotated[
        str | None,
        typer.Option(metavar="FIELDS", help="What makes a row, by commas; sparsity,method if left out."),
    ] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="FIELDS", help="What makes a column, by commas; task if left out.")
    ] = None,
    metric: Annotated[
        str, typer.Option(metavar="NAME", help="A metric; headline is each task's own, all shows every one.")
    ] = "headline",
    spread: Annotated[
        Literal["sd", "interval", "none"], typer.Option(help="Standard deviation, 95 % interval, or neither.")
    ] = "sd",
    digits: Annotated[int, typer.Option(min=0, max=6, metavar="N", help="Digits after the point.")] = 1,
    average: Annotated[
        bool | None,
        typer.Option(
            help="Add an average over all tasks, of complete rows; if left out, over GLUE's, and none in CSV and JSON."
        ),
    ] = None,
    strict: Annotated[bool, typer.Option(help="End with an error if a cell is missing.")] = False,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="ROW",
            help="Test over the test items which cells differ from ROW, or may be the best ('best'), and mark them.",
        ),
    ] = None,
    trace: Annotated[bool, typer.Option(help="Add the record ids behind every cell.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN", help="Only cells whose task or name matches, such as 'glue/*'; may be repeated."
        ),
    ] = None,
    caption: Annotated[
        str | None, typer.Option(metavar="TEXT", help="LaTeX: the caption, as it is to stand in the paper.")
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="LaTeX: the key of \\label; made from the board's folder if left out."),
    ] = None,
    notes: Annotated[
        bool, typer.Option("--notes", help="Print each task's settings and all that was recorded, no scores.")
    ] = False,
    published: Annotated[bool, typer.Option(help="Quote figures of papers above our rows.")] = False,
    efficiency: Annotated[bool, typer.Option(help="Print sizes, FLOPs and costs, no scores.")] = False,
    measure: Annotated[bool, typer.Option(help="With --efficiency: compressed bytes and latency too.")] = False,
    changes: Changes = None,
    data: Data = None,
    model: Model = None,
) -> None:
    """Print the comparison table of BOARD, or of several boards of one protocol, from their records; nothing is trained.

    Choose rows, their order and their names with --set: --set 'criteria=[principled, magnitude]'
    --set labels.principled='PINS (ours)'. A name with LaTeX of its own:
    --set "labels.magnitude={text: Magnitude, latex: 'Magnitude \\citep{han2015}'}".
    """
    from benchmark.board.board import require_page
    from benchmark.commands import views
    from benchmark.machine.atomic import write_text

    if output is not None:
        require_page(output, format)
    opened = [open_board(board, changes, data, model) for board in boards]
    tell_unreadable(*opened)
    if format != "latex" and (width, caption, label) != (None, None, None):
        raise PrunebenchError("--width, --caption and --label are of LaTeX tables: add --format latex")
    options: dict[str, Any] = terminal(output) if format == "text" else {}
    if format == "latex":
        label = views.label_of(opened, _label_parts(context.params)) if label is None else label
        options = {"width": width, "wording": caption, "label": label}
    if notes:
        _require_used(context, "--notes", "notes", "only")
        text = views.notes_text(opened, format, only or (), **options)
    elif efficiency or measure:
        _require_used(context, "--efficiency" if efficiency else "--measure", "efficiency", "measure")
        text = views.efficiency_text(_only_one(opened), format, measure, **options)
    elif published and (layout == "tasks" or format in views.DATA):
        kind = "--published --layout tasks" if layout == "tasks" else f"--published --format {format}"
        _require_used(context, kind, "published", "layout")
        text = views.published_text(_only_one(opened), format, **options)
    else:
        view = views.View(
            layout=layout,
            rows=rows.split(",") if rows else None,
            columns=columns.split(",") if columns else None,
            metric=metric,
            spread=spread,
            digits=digits,
            average=average,
            strict=strict,
            against=against,
            published=published,
            only=only or (),
        )
        text = views.tables_text(opened, format, view, trace, **options)
    if output is not None:
        write_text(output, text + "\n")
    elif options.get("colors"):
        echo_coloured(text)
    else:
        echo(text)


def _label_parts(chosen: dict[str, Any]) -> list[str]:
    """Words for the options that tell this table from other tables of the same boards."""
    kinds = {
        "notes": chosen["notes"],
        "efficiency": chosen["efficiency"] or chosen["measure"],
        "published": chosen["published"],
        chosen["layout"]: chosen["layout"] != "paper",
    }
    metric = [] if chosen["metric"] == "headline" else [chosen["metric"]]
    return [*(name for name, is_so in kinds.items() if is_so), *(chosen["only"] or []), *metric]


def _require_used(context: typer.Context, kind: str, *used: str) -> None:
    """PrunebenchError for options that were given and that this kind of table does not use, besides those of every kind."""
    of_every_kind = ("boards", "format", "output", "width", "caption", "label", "changes", "data", "model")
    unused = typed(context, [name for name in context.params if name not in (*of_every_kind, *used)])
    if unused:
        raise PrunebenchError(
            f"{kind} does not use {', '.join(unused)}: leave {'it' if len(unused) == 1 else 'them'} out"
        )


def _only_one(boards: list[Any]) -> Any:
    if len(boards) > 1:
        raise PrunebenchError("this table is of one board alone; found " + ", ".join(str(b.folder) for b in boards))
    return boards[0]


@app.command()
def statistics(board: BoardArgument, changes: Changes = None, data: Data = None, model: Model = None) -> None:
    """Print ranks with intervals, tests between rows, and what BOARD's runs cannot decide."""
    from benchmark.commands.views import statistics_text

    opened = open_board(board, changes, data, model)
    tell_unreadable(opened)
    echo(statistics_text(opened, terminal(None).get("width")))


@app.command()
def plot(
    board: BoardArgument,
    format: Annotated[Literal["pdf", "svg", "png"], typer.Option(help="Vector or bitmap.")] = "pdf",
    width: Annotated[
        Literal["column", "page"] | None,
        typer.Option(help="219 or 455 pt, a column and a page of ACL's style; column where it fits, if left out."),
    ] = None,
    figure: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="One figure: score-sparsity, score-cost, ranks, training-TASK-SPARSITY or layers-TASK; all if left out.",
        ),
    ] = None,
    font: Annotated[
        Literal["serif", "sans"], typer.Option(help="Letters like those of a paper's text, or of a web page.")
    ] = "serif",
    dark: Annotated[bool, typer.Option("--dark", help="Pale lines for a dark page; with --format svg.")] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to write; BOARD/figures if left out.")
    ] = None,
    changes: Changes = None,
    data: Data = None,
    model: Model = None,
) -> None:
    """Draw BOARD: score against sparsity and cost, training curves, ranks, sparsity by layer."""
    from benchmark.board.board import require_outside
    from benchmark.commands.views import plot as plot_figures

    if output is not None:
        require_outside(output / "figure")
    opened, folder = open_board(board, changes, data, model), output or board / "figures"
    tell_unreadable(opened)
    paths = plot_figures(opened, folder, format, dark, width, figure, font)
    for path in paths:
        echo(path)
    if not paths:
        echo("nothing is drawn: no run of a pruned model has finished yet", err=True)


@app.command()
def report(
    boards: BoardArguments,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write; BOARD/report.html if left out.")
    ] = None,
    published: Annotated[bool, typer.Option(help="Quote figures of papers too.")] = False,
    changes: Changes = None,
    data: Data = None,
    model: Model = None,
) -> None:
    """Write one self-contained HTML page: tables, filters, figures, the runs behind every cell."""
    from benchmark.board.board import require_page
    from benchmark.commands.views import write_report

    if output is not None:
        require_page(output, "html")
    opened = [open_board(board, changes, data, model) for board in boards]
    tell_unreadable(*opened)
    echo(write_report(opened, output or boards[0] / "report.html", published))


@app.command()
def site(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder with boards.")],
    output: Annotated[Path, typer.Option(metavar="DIR", help="A new folder, or a site to write again.")],
) -> None:
    """Write a leaderboard of all boards in FOLDER as static files: an index, a page a board, a page a method."""
    from benchmark.commands.site import site as write
    from benchmark.plugins.files import only_look

    only_look(True)
    index, left_out = write(folder, output, tell_unreadable)
    for name, reason in left_out.items():
        echo(f"left out: {name}: {reason}", err=True)
    echo(index)
