"""The application and the arguments that several commands share."""

import gc
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.models import CommandFunctionType

from benchmark.report.escape import for_terminal


@contextmanager
def interruptible() -> Iterator[None]:
    """Within, Ctrl-C, SIGTERM and SIGHUP end the command with one line, after saving; the exit code is 128 + signal."""
    from benchmark.machine.interrupt import catching, raise_if_signalled

    try:
        with catching():
            try:
                yield
            except SystemExit:
                raise_if_signalled()
                raise
            raise_if_signalled()
    except KeyboardInterrupt as interrupted:
        echo("prunebench: interrupted; what is done is saved, run the same command to go on", err=True)
        sys.exit(getattr(interrupted, "code", 130))


class Interruptible(TyperGroup):
    """The commands; each ends with one line if it is interrupted."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that `ctx` names."""
        with interruptible():
            return super().invoke(ctx)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List every command with the first paragraph of its help, whole."""
        found = [(name, self.commands[name].help or "") for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, text.partition("\n\n")[0]) for name, text in found])


class Command(TyperCommand):
    """A command that refuses a blank option, and one given twice, of which click would keep the last without a word."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse `args`; UsageError names the option."""
        values, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for parameter, times in Counter(given).items():
            if not isinstance(parameter, TyperOption):
                continue
            value = values[parameter.name]
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str) and not text.strip():
                    ctx.fail(f"{parameter.opts[0]} {text!r} is blank: expected {parameter.metavar or 'a value'}")
            if times > 1 and not (parameter.multiple or parameter.is_flag):
                ctx.fail(f"{parameter.opts[0]} is given {times} times: expected once")
        return super().parse_args(ctx, args)


class App(typer.Typer):
    """The application; its commands are of the class above."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[CommandFunctionType], CommandFunctionType]:
        """As Typer's decorator."""
        return super().command(name, **{"cls": Command} | settings)


app = App(
    name="prunebench",
    cls=Interruptible,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # tables of options cut their names where the terminal is narrow
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        echo(f"prunebench {version('prunebench')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and end.")
    ] = False,
) -> None:
    """A benchmark of pruning criteria for pretrained language models."""


def board_folder(given: Any) -> Any:
    """A board's folder where its suite.yaml was named; of several, each."""
    if isinstance(given, list | tuple):
        found = [board_folder(one) for one in given]
        twice = [one for one, times in Counter(path.resolve() for path in found).items() if times > 1]
        if twice:
            raise typer.BadParameter(f"{next(path for path in found if path.resolve() in twice)} is given twice")
        return found
    return given.parent if given is not None and given.name == "suite.yaml" and given.is_file() else given


BoardArgument = Annotated[
    Path, typer.Argument(metavar="BOARD", help="Folder with a suite.yaml.", callback=board_folder)
]
BoardArguments = Annotated[
    list[Path],
    typer.Argument(metavar="BOARD", help="Folders with a suite.yaml, one or several.", callback=board_folder),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change the suite for this call, such as training.epochs=2; may be repeated.",
    ),
]
Data = Annotated[str | None, typer.Option(metavar="DIR", help="Where the data are: a folder, hub, or mini (embedded).")]
Model = Annotated[str | None, typer.Option(metavar="DIR", help="The model: a folder, a hub id, or mini (embedded).")]
Device = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where to run; auto is CUDA where there is one.")]
TrustRemoteCode = Annotated[bool, typer.Option(help="Let a hub model run its own code.")]
Only = Annotated[
    str,
    typer.Option(metavar="PATTERN", help="Only cells whose task or name matches, such as 'glue/*' or '* seed 0'."),
]
Track = Annotated[
    Literal["tensorboard", "wandb", "mlflow"] | None,
    typer.Option(help="Also send progress and scores to this tracker."),
]
CheckpointMinutes = Annotated[
    float,
    typer.Option(
        min=0, metavar="MINUTES", help="Save a cell in training every so many minutes; an interrupt saves it anyway."
    ),
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Run cells again that failed before; without, they are left alone.")
]
Compile = Annotated[
    bool,
    typer.Option(
        "--compile",
        help="Put training steps through torch.compile, meant for long runs on GPUs (its gain is not measured yet).",
    ),
]
CompileAuto = Annotated[
    bool,
    typer.Option("--compile-auto", help="As --compile, on a GPU in cells of 10,000 steps or more (an estimate)."),
]
RARELY = (10_000_000, 50, 100)
"""Thresholds of Python's garbage collector for commands that only read: all that they make lives to their end, and scanning it again
and again takes a sixth of a large board's table."""
Format = Literal["text", "markdown", "latex", "html", "csv", "json"]
Kind = Literal["criteria", "regularizers", "schedules", "tasks"]


def echo(text: object, err: bool = False) -> None:
    """Print `text` without terminal escapes, since names and reasons may come from suites, records and plugins."""
    typer.echo(for_terminal(str(text)), err=err)


def terminal(output: object = None) -> dict[str, Any]:
    """Options for writing a table: the terminal's width and colours; without a terminal, whole and plain.

    COLUMNS sets a width without a terminal, NO_COLOR turns colours off.
    """
    there = output is None and sys.stdout.isatty()
    if not there and (output is not None or not os.environ.get("COLUMNS", "").isdecimal()):
        return {}
    return {"width": shutil.get_terminal_size().columns, "colors": there and not os.environ.get("NO_COLOR")}


def echo_coloured(text: str) -> None:
    """Print a table with its colours; its names were escaped when it was written."""
    typer.echo(text)


def typed(context: typer.Context, names: Iterable[str]) -> list[str]:
    """Those options among the parameters `names` that the command line gives."""
    return [
        f"--{name.replace('_', '-')}"
        for name in names
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    ]


def when_to_compile(always: bool, auto: bool) -> bool | Literal["auto"]:
    """`Settings.compile`, of the two options."""
    if always and auto:
        raise typer.BadParameter("--compile and --compile-auto: give one of them")
    return "auto" if auto else always


def open_board(
    folder: Path,
    changes: list[str] | None,
    data: str | None = None,
    model: str | None = None,
    *,
    runs: bool = False,
) -> Any:
    """Open the board with changes to its suite. Its plugin files run only under a command that `runs` cells."""
    if not runs:
        gc.set_threshold(*RARELY)
    from benchmark.board.board import Board
    from benchmark.plugins.files import only_look

    only_look(not runs)
    return Board.open(folder, parsed(changes), data=data, model=model)


def tell_unreadable(*boards: Any) -> None:
    """Name on stderr, in one line, the records of `boards` that cannot be read: what is shown lacks them."""
    from benchmark.commands.views import unreadable

    if said := unreadable(boards):
        echo(f"prunebench: {said}", err=True)


def parsed(changes: list[str] | None) -> dict[str, Any]:
    """The --set options as settings; without any, nothing is imported."""
    if not changes:
        return {}
    from benchmark.suite.read import parse_changes

    return parse_changes(changes)
