"""What a row or a column may stand for: the fields of a run, their order and their spelling.

method fields    what the rows of a comparison differ in, and the sparsity; the dense model has none of them
context fields   what a comparison keeps fixed: task, model, data, selection, metric, seed
"""

from collections.abc import Iterable, Mapping, Sequence
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


class TableError(PrunebenchError):
    """The table cannot be built as asked, or would mislead."""


class Slot(NamedTuple):
    """One planned run and one metric of it: its record if it finished, the reason if it failed."""

    spec: RunSpec
    metric: str
    record: Record | None = None
    failure: str | None = None


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
