"""Everything that is known of a board's criteria, as tables and figures in BOARD/diagnose/."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmark.board.board import Board
from benchmark.diagnose.figures import figures
from benchmark.diagnose.overlap import overlap_tables
from benchmark.diagnose.store import FOLDER, diagnoses
from benchmark.diagnose.tables import churn_table, correlation_tables, fidelity_table, layer_tables
from benchmark.machine.atomic import write_text
from benchmark.report.figures.style import save
from benchmark.report.filenames import file_names
from benchmark.report.names import names_of, percent
from benchmark.report.render import render
from benchmark.report.table import Table
from benchmark.suite.spec import RunSpec

NOTHING = "nothing is diagnosed yet: `--train` trains cells again under observation, and overlap needs `prunebench run --save-weights`"
ENDINGS = {"markdown": "md", "csv": "csv", "json": "json"}
"""Formats that are written, and how their files end."""


def tables(board: Board, cells: Sequence[RunSpec]) -> Iterator[tuple[str, Table]]:
    """(name, table) of all that was diagnosed on `cells`, or can be read from their records and kept weights."""
    found, called = diagnoses(board, list(cells)), names_of(board.suite)
    wanted = {spec.id for spec in cells}
    records = [record for record in board.records()[0] if record.id in wanted]
    files = _files(board, [*(one.spec for one in found), *(record.spec for record in records)])

    def named(table: Table, *about: str) -> Table:
        return replace(table, title=", ".join([table.title, *about]), names=called)

    for name, made in (("fidelity", fidelity_table(found)), ("churn", churn_table(found))):
        if made is not None:
            yield name, named(made)
    for task, table in correlation_tables(found).items():
        yield f"correlation-{files[task]}", named(table, called.task(task))
    for (task, sparsity), table in overlap_tables(board, records).items():
        yield f"overlap-{files[task]}-{sparsity:g}", named(table, called.task(task), percent(sparsity))
    for (task, sparsity), table in layer_tables(records).items():
        yield f"layers-{files[task]}-{sparsity:g}", named(table, called.task(task), percent(sparsity))


def _files(board: Board, specs: Sequence[RunSpec]) -> dict[str, str]:
    """What files of each task are called: those of the board, and of `specs`, which may spell them otherwise."""
    return file_names([*board.suite.tasks, *(spec.task for spec in specs)])


def write_all(board: Board, made: Sequence[tuple[str, Table]], cells: Sequence[RunSpec], format: str) -> list[Path]:
    """Write the tables in every format and the figures in one; the paths."""
    folder, paths = board.folder / FOLDER, list[Path]()
    for name, table in made:
        for kind, ending in ENDINGS.items():
            paths.append(folder / f"{name}.{ending}")
            write_text(paths[-1], render(table, kind))
    found = diagnoses(board, list(cells))
    for name, figure in figures(found, _files(board, [one.spec for one in found]), names_of(board.suite)):
        paths.append(save(figure, folder / f"{name}.{format}"))
    return paths


def printed(made: Sequence[tuple[str, Table]], format: str) -> str:
    """The tables one below the other, in JSON as one list; empty where nothing is diagnosed.

    Sparsity by matrix, which is long, is in its file alone.
    """
    shown = [render(table, format) for name, table in made if not name.startswith("layers-")]
    return f"[{','.join(shown)}]" if shown and format == "json" else "\n".join(shown)
