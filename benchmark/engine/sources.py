"""Opens a board's data and models once before anything is trained on them, and refuses others than its records were made from."""

from collections.abc import Sequence

from benchmark.board.board import Board
from benchmark.board.record import Record
from benchmark.errors import PrunebenchError
from benchmark.plugins.broken import BrokenPluginError
from benchmark.suite.spec import RunSpec
from benchmark.training.run import Options, open_few
from tasks.base import HubError, Prepared


def open_sources(board: Board, cells: Sequence[RunSpec], options: Options) -> None:
    """Open the data and the model of every task once before any cell; PrunebenchError names everything that is wrong.

    So data that are missing for all cells of a task do not make each of them fail.
    """
    wrong: dict[str, list[str]] = {}  # what is wrong, and with which tasks
    closed: dict[str, str] = {}  # models that the hub did not give, which takes it a while to say
    firsts: dict[tuple[str, str, str], RunSpec] = {}
    for cell in cells:
        firsts.setdefault((cell.task, cell.data, cell.model), cell)
    for spec in firsts.values():
        if spec.model in closed:
            wrong[closed[spec.model]].append(spec.task)
            continue
        try:
            prepared = open_few(spec, options)
            refuse_other_sources(board, spec, prepared)
        except BrokenPluginError:
            continue  # the cell's own fault, which it tells
        except PrunebenchError as error:
            reason = str(error).removeprefix(f"{spec.task}: ")
            tasks = wrong.setdefault(reason, [])
            if reason != str(error):
                tasks.append(spec.task)
            if isinstance(error.__cause__, HubError):
                closed[spec.model] = reason
    if wrong:
        lines = (f"{', '.join(tasks)}: {reason}" if tasks else reason for reason, tasks in wrong.items())
        raise PrunebenchError("\n".join(lines))


def refuse_other_sources(board: Board, spec: RunSpec, found: Prepared | Record) -> None:
    """PrunebenchError if the cell's data or model is not that of the task's existing records."""
    standing = board.sources(spec)
    for name, old, new in (
        ("data", standing.data, found.data_fingerprint),
        ("model", standing.model, found.model_fingerprint),
    ):
        if old and old != new:
            raise PrunebenchError(
                f"the {name} of {spec.task} changed since this board's records were made (fingerprint {old[:12]}, now "
                f"{new[:12]}): use the same {name}, or a board of its own"
            )
