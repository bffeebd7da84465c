"""Several boards in one table. They may differ in rows, models, tasks, sparsities and seeds, and in nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

from benchmark.board.board import Board
from benchmark.board.index import Index
from benchmark.board.outcomes import load_outcomes
from benchmark.board.record import Record, RecordError, load_record, record_path
from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from benchmark.report.facts import subject_of
from benchmark.report.names import Names, listed, names_of
from benchmark.suite.spec import RunSpec, Training, portable
from benchmark.suite.suite import inputs_of

if TYPE_CHECKING:
    from tasks.base import Task

PROTOCOL = ("data", "selection", "heldout", "schedule", "scope", "call_point", "precision")
"""Settings that boards must share for a task, beside the budget and the data themselves."""


def shown(board: Board, whole: bool = False) -> list[Record]:
    """The board's records for a report: floors and constant answers recomputed from outcomes; with curves if `whole`."""
    records, _ = board.records() if whole else board.summaries()
    return with_floors(board, records)


def with_floors(board: Board, records: Sequence[Record]) -> list[Record]:
    """`records` of the board, with floors and constant answers recomputed from their outcomes."""
    from benchmark.report.floors import recomputed

    return recomputed(records, lambda record: load_outcomes(board.records_folder, record), _task)


@cache
def _task(name: str) -> "Task | None":
    """The task called `name`; None if its file must not run here, or is broken."""
    try:
        found: Task = registry.configure("tasks", name)
    except (PrunebenchError, ValueError):
        return None
    return found


@dataclass(frozen=True)
class Side:
    """The content of one table."""

    title: str
    records: Sequence[Record]
    specs: Sequence[RunSpec]
    failures: Mapping[str, str]
    names: Names
    gate: float
    unlike_gates: str = ""
    """What is done about gates that differ; empty where they are one."""
    other_settings: str = ""
    """How missing runs differ from records of the same cell under other settings; empty where there are none."""


def side_by_side(boards: Sequence[Board]) -> Side:
    """Records and plans of all boards, without duplicates; PrunebenchError says why boards cannot be compared.

    Each board's folder is listed once, because listing many records takes a second.
    """
    indexes = [board.index() for board in boards]
    found = [
        with_floors(board, index.summaries(board.suite.cells())) for board, index in zip(boards, indexes, strict=True)
    ]
    if len(boards) > 1:
        _comparable(boards, found)
    specs = {spec.id: spec for board in boards for spec in board.suite.cells()}
    records: dict[str, Record] = {}
    for record in chain.from_iterable(found):
        _same_run(records.setdefault(record.id, record), record)
    failures: dict[str, str] = {}
    for board, index in zip(boards, indexes, strict=True):
        failures |= board.failures(index.failures)
    names = _names_of_all(boards)
    title = boards[0].suite.title
    if len({board.title for board in boards}) > 1:  # none of them is true of all
        title = subject_of(list(specs.values()), names)
    gates = sorted({board.suite.gate for board in boards})
    unlike_gates = f"{listed(f'{gate:g}' for gate in gates)} on these boards: the largest holds for all"
    return Side(
        title=title,
        records=list(records.values()),
        specs=list(specs.values()),
        failures={id_: text for id_, text in failures.items() if id_ not in records},
        names=names,
        gate=gates[-1],
        unlike_gates=unlike_gates if len(gates) > 1 else "",
        other_settings=_other_settings(boards, indexes, list(records.values())),
    )


def _names_of_all(boards: Sequence[Board]) -> Names:
    """The names of all boards; what several of them name is called as on the first."""
    labels: dict[str, str] = {}
    plugins: dict[str, str] = {}
    latex: dict[str, str] = {}
    for names in reversed([names_of(board.suite) for board in boards]):
        labels |= names.labels
        plugins |= names.plugins
        latex |= names.latex
    return Names(labels, plugins, latex)


def _other_settings(boards: Sequence[Board], indexes: Sequence[Index], records: Sequence[Record]) -> str:
    known = {record.id for record in records}
    found: dict[str, int] = {}
    for board, index in zip(boards, indexes, strict=True):
        missing = {_place(spec.recorded()): spec for spec in board.suite.cells() if spec.id not in known}
        for id_ in sorted(index.ids - known) if missing else ():
            with suppress(RecordError):
                spec = load_record(record_path(board.records_folder, id_)).spec
                if planned := missing.pop(_place(spec), None):
                    said = ", ".join(_differences(spec, planned.recorded()))
                    found[said] = found.get(said, 0) + 1
    return "; ".join(
        f"{'1 missing run has a record' if count == 1 else f'{count} missing runs have records'} of {said}"
        for said, count in found.items()
    )


def _place(spec: RunSpec) -> tuple[object, ...]:
    return (spec.task, spec.row, spec.regularizer, spec.sparsity, spec.seed)


def _differences(theirs: RunSpec, ours: RunSpec) -> list[str]:
    """`training.lr 0.0002 (here 0.001)` for each setting in which two runs of one cell differ."""
    one, other = (
        {name: "not set" if value in (None, "") else value for name, value in _settings(spec).items()}
        for spec in (theirs, ours)
    )
    return [f"{name} {value} (here {other[name]})" for name, value in one.items() if value != other[name]]


def _settings(spec: RunSpec) -> dict[str, object]:
    dumped = spec.model_dump()
    inner = {name: dumped.pop(name) for name in ("training", "plugins", "tuned")}
    return dumped | {f"{name}.{key}": value for name, values in inner.items() for key, value in values.items()}


def several_models(boards: Sequence[Board]) -> bool:
    """Whether the boards are of different models, which then are blocks of the table."""
    return len(boards) > 1 and len({portable(spec.model) for board in boards for spec in board.suite.cells()}) > 1


def _comparable(boards: Sequence[Board], records: Sequence[Sequence[Record]]) -> None:
    """`records` are each board's own. PrunebenchError names the settings, methods and data in which the boards differ."""
    first: dict[tuple[str, str, bool], tuple[Board, object, object]] = {}
    wrong: dict[str, None] = {}
    for board, own in zip(boards, records, strict=True):
        for place, value, said in _stated(board, own):
            other, theirs, they_said = first.setdefault(place, (board, value, said))
            if other is not board and value != theirs:
                task, key, _ = place
                wrong[f"{task}, {key}: {they_said} in {other.folder}, {said} in {board.folder}"] = None
    if wrong:
        raise PrunebenchError(
            "these boards cannot stand in one table, for their numbers are not comparable:\n"
            + "\n".join(f"  {line}" for line in wrong)
        )


def _stated(board: Board, records: Sequence[Record]) -> Iterator[tuple[tuple[str, str, bool], object, object]]:
    """What must be equal on all boards: the task, what it is and whether of the dense runs; its value; the value in words."""
    for spec in board.suite.cells():
        for key, value in _protocol(spec).items():
            yield (spec.task, key, spec.is_dense), value, value
    for name, method in board.suite.methods.items():
        yield ("methods", name, False), method, method
    for record in records:
        fingerprint = record.data_fingerprint
        yield (record.spec.task, "data (fingerprint)", False), fingerprint, fingerprint[:8]


def _protocol(spec: RunSpec) -> dict[str, object]:
    """Settings that must be equal, without a tuned row's learning rate and a method's scope and schedule; calibration inputs where
    the row is calibrated on them."""
    recorded = spec.recorded()
    settings: dict[str, object] = {
        name: getattr(recorded, name) for name in PROTOCOL if not (spec.method and name in ("scope", "schedule"))
    }
    if not spec.method and inputs_of("pruned", spec.criterion, spec.schedule, spec.scope) == "pruned":
        settings["calibration_inputs"] = spec.calibration_inputs
    for name in Training.model_fields:
        if not (name == "lr" and spec.tuned.trials):
            settings[f"training.{name}"] = getattr(spec.training, name)
    return settings


def _same_run(first: Record, second: Record) -> None:
    if first.metrics != second.metrics:
        raise PrunebenchError(
            f"{first.spec.cell}: the boards have records of this run with other scores; "
            "`prunebench verify` says which one is damaged"
        )
