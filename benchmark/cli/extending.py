"""Commands for those who add plugins and boards, and for a new machine."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmark.cli import completing
from benchmark.cli.app import Changes, Data, Kind, Model, app, board_folder, echo, open_board, terminal, typed
from benchmark.errors import PrunebenchError


@app.command("list")
def list_plugins(
    kind: Annotated[Kind | None, typer.Argument(metavar="KIND", help="What to list; everything if left out.")] = None,
) -> None:
    """List plugins: name, one-line summary, options with their defaults."""
    from benchmark.commands.list import catalogue_lines
    from benchmark.plugins.classes import KINDS

    width = terminal().get("width")
    echo("\n".join(line for name in ([kind] if kind else KINDS) for line in catalogue_lines(name, width)))


@app.command()
def check(
    plugin: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE",
            help="A plugin's name with options, or its file.",
            autocompletion=completing.plugins,
        ),
    ],
    kind: Annotated[Kind | None, typer.Option(help="Its kind, where the name does not tell.")] = None,
    data: Data = None,
    model: Model = None,
) -> None:
    """Test whether a plugin does what its kind must: what passed, what failed, and what to do."""
    from benchmark.commands.check import verdicts

    found, told = verdicts(plugin, kind, data, model)
    echo("\n".join(f"{one.state} {one.name}: {one.words.removeprefix('skipped, ')}" for one in told))
    failed, skipped = [one.name for one in told if not one.passed], sum(one.skipped for one in told)
    if failed:
        echo(f"{plugin} breaks the contract of {found}: {', '.join(failed)}")
        sys.exit(1)
    echo(
        f"{plugin} keeps the contract of {found}: {len(told) - skipped} checks passed"
        + f", {skipped} skipped" * bool(skipped)
    )


@app.command()
def new(
    context: typer.Context,
    kind: Annotated[
        Literal["criterion", "regularizer", "schedule", "task", "board"],
        typer.Argument(metavar="KIND", help="What to write."),
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, such as my_idea.")],
    folder: Annotated[Path, typer.Option(metavar="DIR", help="Where to write its file.")] = Path(),
    package: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write an installable package around it into this new folder.")
    ] = None,
    llm: Annotated[
        bool,
        typer.Option(
            "--llm", help="A board of decoders that are pruned once, without training, and scored by perplexity."
        ),
    ] = False,
) -> None:
    """Write a plugin (one file that already works), a package around it, or a board; nothing is overwritten."""
    from benchmark.commands.new import new as write_new

    if package is not None and typed(context, ("folder",)):
        raise PrunebenchError("--folder: --package says already where its files go; leave one of them out")
    written = write_new(kind, name, folder, package, llm)
    echo(
        "\n".join(
            [*(f"wrote {path}" for path in written.paths), "next:", *(f"  {step}" for step in written.next_steps)]
        )
    )


@app.command()
def prunable(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A hub id, a folder, mini or mini-decoder.")],
    biases: Annotated[bool, typer.Option(help="Count the layers' biases too, as scope 'published' does.")] = False,
) -> None:
    """List the weights of MODEL that may be pruned, and their number."""
    from benchmark.commands.prunable import prunable_text

    echo(prunable_text(model, biases))


@app.command()
def doctor(
    board: Annotated[
        Path | None,
        typer.Argument(metavar="BOARD", help="Check this board's data and models too.", callback=board_folder),
    ] = None,
    changes: Changes = None,
    data: Data = None,
    model: Model = None,
) -> None:
    """Say what this machine has and lacks: Python, torch, device, data, hub, extras, programs, and how to get what is missing."""
    from benchmark.commands.doctor import examine, report_lines

    if board is None and (changes or data is not None or model is not None):
        raise PrunebenchError("--set, --data and --model are about a board: name one, prunebench doctor BOARD")
    findings = examine(open_board(board, changes, data, model, runs=True) if board else None)
    echo("\n".join(report_lines(findings)))
    sys.exit(1 if any(finding.state == "wrong" for finding in findings) else 0)
