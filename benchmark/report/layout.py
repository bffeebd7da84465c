"""Which runs a table shows, and in which rows and columns they stand.

Rows and columns stand for fields of a run. Method fields are what the rows of a comparison differ in, and the sparsity; context fields
are what it keeps fixed. The dense model has no method: it is one line of its own, first on the side that holds the criterion, and its
one value per task stands under every sparsity of that task.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

from benchmark.board.record import Record
from benchmark.errors import PrunebenchError, choices
from benchmark.suite.labels import method_of
from benchmark.suite.spec import DENSE, RunSpec

RIVALS = ("method", "criterion", "regularizer", "schedule", "scope", "call_point")
"""Fields whose values compete for best: cells are ranked among those that differ in nothing else."""
METHOD = (*RIVALS, "sparsity")
CONTEXT = ("task", "model", "data", "selection", "metric", "seed")
FIELDS = (*METHOD, *CONTEXT)

Value = str | float | int
Key = tuple[Value, ...]


class TableError(PrunebenchError):
    """The table cannot be built as asked, or would mislead."""


class Slot(NamedTuple):
    """One planned run and one metric of it: its record if it finished, the reason if it failed."""

    spec: RunSpec
    metric: str
    record: Record | None = None
    failure: str | None = None


@dataclass(frozen=True)
class Line:
    """A row or a column: the values it stands for, and their words."""

    key: Key
    labels: tuple[str, ...]
    dense: bool = False
    average: str = ""
    """`GLUE avg.` where the line is an average over tasks, `Perplexity avg.` where it is one of errors."""
    quoted: bool = False
    """Figures printed in a paper, which stand beside ours and are never ranked with them."""
    over: tuple[str, ...] = ()
    """The tasks that an average is over."""
    mark: str = ""
    """Stands before the words, so that the row is easy to find."""

    @property
    def text(self) -> str:
        """Its labels on one line."""
        return " ".join(filter(None, self.labels))

    @property
    def method(self) -> str:
        """`criterion + regularizer`, where the labels are these."""
        return method_of(*self.labels)


@dataclass(frozen=True)
class Layout:
    """Lines in order, and the slots of every place (row, column) that was planned."""

    rows: tuple[Line, ...]
    columns: tuple[Line, ...]
    places: dict[tuple[int, int], list[Slot]]


def planned(records: Sequence[Record], specs: Sequence[RunSpec]) -> tuple[list[RunSpec], dict[str, Record]]:
    """The runs in order and the records by id; without `specs`, the records' own. TableError where there are neither."""
    by_id = {record.id: record for record in records}
    plan = [by_id[spec.id].spec if spec.id in by_id else spec.recorded() for spec in specs]
    plan = plan or sorted((record.spec for record in records), key=_natural)
    if not plan:
        raise TableError("nothing to show: no records and no planned runs")
    return list({spec.id: spec for spec in plan}.values()), by_id


def slots_of(
    plan: Sequence[RunSpec], by_id: Mapping[str, Record], metric: str, failures: Mapping[str, str]
) -> list[Slot]:
    """One slot per run and metric. A task without any record has one slot per run, its metric unknown: ''."""
    available: dict[str, dict[str, float]] = {}  # the headline metric first
    for spec in plan:
        record = by_id.get(spec.id)
        if record is not None:
            available.setdefault(spec.task, {record.metric: 0.0}).update(record.metrics)
    every = {name for names in available.values() for name in names}
    if metric not in ("headline", "all") and metric not in every:
        raise TableError(f"metric: found '{metric}'; {choices(metric, ['headline', 'all', *every])}")
    shown = {task: _chosen(list(names), metric) for task, names in available.items()}
    return [_slot(spec, name, by_id, failures) for spec in plan for name in shown.get(spec.task, [""])]


def seed_groups(slots: Sequence[Slot], axes: Collection[str]) -> list[list[Slot]]:
    """The slots in groups that differ in the seed alone; where seeds have rows or columns of their own, in nothing."""
    groups: dict[tuple[object, ...], list[Slot]] = {}
    for slot in slots:
        seed = slot.spec.seed if "seed" in axes else None
        groups.setdefault((slot.spec.but_seed, slot.metric, seed), []).append(slot)
    return list(groups.values())


def _slot(spec: RunSpec, metric: str, by_id: Mapping[str, Record], failures: Mapping[str, str]) -> Slot:
    record = by_id.get(spec.id)
    if record is None or metric not in record.metrics:
        return Slot(spec, metric, None, failures.get(spec.id))
    if not isfinite(value := record.metrics[metric]):
        return Slot(spec, metric, None, f"its record says {metric} = {value}")
    return Slot(spec, metric, record)


def _chosen(names: Sequence[str], metric: str) -> list[str]:
    if metric == "all":
        return list(names)
    if metric == "headline":
        return [names[0]]
    return [metric] if metric in names else []


def _natural(spec: RunSpec) -> tuple[object, ...]:
    return spec.task, not spec.is_dense, spec.criterion, spec.regularizer, spec.sparsity, spec.seed, spec.id


def check_axes(rows: tuple[str, ...], columns: tuple[str, ...]) -> None:
    """Refuse unknown fields, and fields named twice."""
    for axis, fields in (("rows", rows), ("columns", columns)):
        if not fields:
            raise TableError(f"{axis}: no field given; {choices('', FIELDS)}")
        for field in fields:
            if field not in FIELDS:
                raise TableError(f"{axis}: unknown field '{field}'; {choices(field, FIELDS)}")
    both = [*rows, *columns]
    twice = sorted({field for field in both if both.count(field) > 1})
    if twice:
        raise TableError(f"rows and columns: named twice: {', '.join(twice)}")


def value(slot: Slot, field: str) -> Value:
    """The value of one field of a planned run."""
    if field == "metric":
        return slot.metric
    if field == "criterion":
        return slot.spec.row
    if field == "method":
        return method_of(slot.spec.row, slot.spec.regularizer)
    found: Value = getattr(slot.spec, field)
    return found


def key(slot: Slot, fields: tuple[str, ...]) -> tuple[Value, ...]:
    """Values of `fields`; the dense run says so once, in its first method field, and leaves the others empty."""
    if not slot.spec.is_dense:
        return tuple(value(slot, field) for field in fields)
    method = [field for field in fields if field in METHOD]
    return tuple((DENSE if field == method[0] else "") if field in METHOD else value(slot, field) for field in fields)


def ranks(slots: Sequence[Slot], fields: Iterable[str]) -> dict[tuple[str, Value], float]:
    """Sorting rank of every (field, value): order of first appearance, sparsities and seeds by size, dense before all."""
    found: dict[tuple[str, Value], float] = {}
    for field in fields:
        for content in dict.fromkeys(value(slot, field) for slot in slots):
            found[field, content] = len(found)
    for field, content in found:
        if field in ("sparsity", "seed"):
            found[field, content] = float(content)
    return found | {(field, word): -1.0 for field in METHOD for word in (DENSE, "")}


def label(field: str, content: Value, headline: Mapping[str, str]) -> str:
    """The words of a value; a task names its headline metric where `headline` knows one."""
    if field == "sparsity" and isinstance(content, float):
        return f"{content:g}"
    if field == "task" and headline.get(str(content)):
        return f"{content} ({headline[str(content)]})"
    if field == "seed":
        return f"seed {content}"
    return str(content)


def lay_out(
    groups: Sequence[Sequence[Slot]], rows: tuple[str, ...], columns: tuple[str, ...], headline: dict[str, str]
) -> Layout:
    """Place every slot of `groups`, each of which belongs to one row and column; dense slots go to all lines of the other side
    that agree in what is not the method.
    """
    order = ranks([group[0] for group in groups], (*rows, *columns))
    upright = dense_on_rows(rows, columns)
    own, other = (rows, columns) if upright else (columns, rows)
    dense, pruned = ([group for group in groups if group[0].spec.is_dense == is_so] for is_so in (True, False))
    placed: dict[tuple[Key, Key], list[Slot]] = {}
    for group in pruned:
        placed.setdefault((key(group[0], own), key(group[0], other)), []).extend(group)
    lines = {across for _, across in placed}
    for group in dense:
        for across in _agreeing(group[0], other, lines):
            placed.setdefault((key(group[0], own), across), []).extend(group)
    dense_keys = {key(group[0], own) for group in dense}
    own_keys = _ordered({mine for mine, _ in placed}, own, order)
    other_keys = _ordered({across for _, across in placed}, other, order)
    at = {mine: i for i, mine in enumerate(own_keys)}, {across: i for i, across in enumerate(other_keys)}
    places = {(at[0][mine], at[1][across]): found for (mine, across), found in placed.items()}
    own_lines = tuple(line_of(mine, own, mine in dense_keys, headline) for mine in own_keys)
    other_lines = tuple(line_of(across, other, False, headline) for across in other_keys)
    if upright:
        return Layout(own_lines, other_lines, places)
    return Layout(other_lines, own_lines, {(j, i): found for (i, j), found in places.items()})


def dense_on_rows(rows: tuple[str, ...], columns: tuple[str, ...]) -> bool:
    """Whether the dense model is a row: where the criterion stands, else any other method field, else the rows."""
    for field in METHOD:
        if field in rows:
            return True
        if field in columns:
            return False
    return True


def _agreeing(slot: Slot, fields: tuple[str, ...], lines: set[Key]) -> list[Key]:
    mine = key(slot, fields)
    fixed = [i for i, field in enumerate(fields) if field not in METHOD]
    found = [line for line in lines if all(line[i] == mine[i] for i in fixed)]
    return found or [mine]


def _ordered(keys: set[Key], fields: tuple[str, ...], order: dict[tuple[str, Value], float]) -> list[Key]:
    return sorted(keys, key=lambda k: [order[field, content] for field, content in zip(fields, k, strict=True)])


def line_of(values: Key, fields: tuple[str, ...], dense: bool, headline: Mapping[str, str]) -> Line:
    """A line and its labels; `headline` has the metrics that stand beside tasks."""
    labels = tuple(label(field, value, headline) for field, value in zip(fields, values, strict=True))
    return Line(values, labels, dense)
