"""What a constant answer scores on the evaluated split, and which runs give one, from the outcomes of each record.

Records of earlier versions hold the floor of the training split's majority (QNLI 48.1 where always answering the other class gives
51.9), and correlations that are the rounding noise of one answer. A report computes both from the outcomes again.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import isclose
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from benchmark.board.record import Record
from benchmark.report.statistics.resampling import Outcomes
from tasks.metrics.classification import is_constant

if TYPE_CHECKING:
    from tasks.base import Task

CONSTANT = "gives every example the same answer"
"""The note of a record whose predictions are constant."""

NEAR = 25.0
"""Points above the floor up to which a score may be that of a constant answer. Such an answer scores the floor or less, and a
correlation with rounding noise exceeds this once in 75,000 draws where a split has 277 examples, and less often in larger ones."""


@dataclass(frozen=True)
class Split:
    """What is known of constant answers on one split; nothing where no outcomes of it could be read."""

    floor: Mapping[str, float] = field(default_factory=dict)
    """The best that one of them scores, for each metric."""
    constants: Sequence[Mapping[str, float]] | None = None
    """What each class scores: a constant answer has one of these scores, or 0 where it is a class that no example has. None where
    answers are numbers, for rounding noise may then give it any."""


UNKNOWN = Split()


def recomputed(
    records: Sequence[Record], load: Callable[[Record], Outcomes], task: "Callable[[str], Task | None]"
) -> list[Record]:
    """`records` with floors, metrics and notes as their outcomes give them.

    Only records that may be a constant answer, and one of each split for the floor, have their outcomes read. Where no outcomes of
    its split can be read or the task is not at hand (None), a record stays as it is. Without its own outcomes it counts as a constant
    answer where it equals the floor.
    """
    places: dict[tuple[str, str, int], list[Record]] = {}
    for record in records:
        places.setdefault(_place(record), []).append(record)
    splits = {place: _split(task(place[0]), found, load) for place, found in places.items()}
    made = []
    for record in records:
        split, own = splits[_place(record)], task(record.spec.task)
        now = replace(record, floor=split.floor) if split.floor and split.floor != record.floor else record
        if _may_be_constant(now, split):
            outcomes = {} if own is None else _read(load, now)
            if _is_constant(now, outcomes):
                now = replace(now, metrics=_metrics(now, own, outcomes), notes=[*now.notes, CONSTANT])
        made.append(now)
    return made


def gives_one_answer(record: Record) -> bool:
    """Whether a record was found to give every example the same answer."""
    return CONSTANT in record.notes


def _place(record: Record) -> tuple[str, str, int]:
    """The split that a record is of: task, data and size."""
    return record.spec.task, record.data_fingerprint, record.counts.get("reported", 0)


def _split(task: "Task | None", records: Sequence[Record], load: Callable[[Record], Outcomes]) -> Split:
    """What constant answers score on the split of these records, by the first of them whose outcomes can be read; UNKNOWN without."""
    if task is None:
        return UNKNOWN
    for record in records:
        if outcomes := _read(load, record):
            return _constants(task, outcomes, record)
    return UNKNOWN


def _read(load: Callable[[Record], Outcomes], record: Record) -> dict[str, NDArray[Any]]:
    """The outcomes of a record; none where their file is gone or damaged."""
    with suppress(Exception):
        return dict(load(record))
    return {}


def _constants(task: "Task", outcomes: dict[str, NDArray[Any]], record: Record) -> Split:
    """What constant answers score on these outcomes of a record; UNKNOWN where they are of another version."""
    try:
        floor = {name: float(value) for name, value in task.floor(outcomes).items() if name in record.metrics}
        numbers = any(outcomes[name].dtype.kind == "f" for name in ("label", "prediction") if name in outcomes)
        return Split(floor, None if numbers else [task.aggregate(constant) for constant in task.constants(outcomes)])
    except KeyboardInterrupt:
        raise
    except BaseException:  # among them whatever a third party's task raises
        return UNKNOWN


def _may_be_constant(record: Record, split: Split) -> bool:
    """Whether the record's score could be that of a constant answer; otherwise its outcomes need not be read."""
    score, metric = record.score, record.metric
    floor = record.floor.get(metric)
    if floor is None or (floor - score if record.less_is_better(metric) else score - floor) > NEAR:
        return False
    if split.constants is None:
        return True
    return any(isclose(score, known) for known in (0.0, floor, *(one.get(metric, score) for one in split.constants)))


def _is_constant(record: Record, outcomes: Mapping[str, NDArray[Any]]) -> bool:
    """Whether outcomes hold one answer alone; of those without answers, the score tells."""
    if "prediction" in outcomes:
        return is_constant(outcomes["prediction"], outcomes.get("label", outcomes["prediction"]))
    # entities that were predicted are more than one answer, though all be wrong
    return record.score == record.floor[record.metric] and not np.any(outcomes.get("predicted", 0))


def _metrics(record: Record, task: "Task | None", outcomes: dict[str, NDArray[Any]]) -> Mapping[str, float]:
    """The metrics of a record that the task makes of its answers, which an earlier version may have made of their rounding noise."""
    if task is None or "prediction" not in outcomes:
        return record.metrics
    try:
        again = task.aggregate(outcomes)
    except KeyboardInterrupt:
        raise
    except BaseException:  # whatever a third party's task raises
        return record.metrics
    return {name: again.get(name, old) for name, old in record.metrics.items()}
