"""What a constant answer scores on the evaluated split, and which runs give one: made anew from the outcomes of each record.

Records of earlier versions hold the floor of the training split's majority (QNLI 48.1 where always answering the other class gives
51.9), and correlations that are the rounding noise of one answer. Outcomes say what is right, so a report asks them.
"""

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from numpy.typing import NDArray

from benchmark.board.record import Record, RecordError
from tasks.metrics.classification import is_constant

if TYPE_CHECKING:
    from tasks.base import Task

Outcomes = Mapping[str, NDArray[Any]]

CONSTANT = "gives every example the same answer"
"""The note of a record whose predictions are constant."""

NEAR = 10.0
"""Points above the floor within which outcomes are looked at: a constant answer lies at the floor or below, and rounding noise
stays under that in any split of a few hundred examples."""


def recomputed(
    records: Sequence[Record], load: Callable[[Record], Outcomes], task: "Callable[[str], Task | None]"
) -> list[Record]:
    """`records` with floors, metrics and notes as their outcomes give them.

    Only records near their floor, and one of each split for the floor, have their outcomes read. Where outcomes are missing or
    the task is not at hand (None), a record stays as it is, and equality with the floor tells a constant answer.
    """
    floors: dict[tuple[str, str, int], dict[str, float]] = {}
    made = []
    for record in records:
        split = (record.spec.task, record.data_fingerprint, record.counts.get("reported", 0))
        known, floor = task(record.spec.task), floors.get(split)
        if known is not None and floor is None:
            floor = floors[split] = _floor(known, record, load)
        now = replace(record, floor=floor) if floor else record
        made.append(_checked(now, known, load) if _near(now) else now)
    return made


def gives_one_answer(record: Record) -> bool:
    """Whether a record was found to answer alike everywhere."""
    return CONSTANT in record.notes


def _floor(task: "Task", record: Record, load: Callable[[Record], Outcomes]) -> dict[str, float]:
    try:
        found = task.floor(dict(load(record)))
    except (RecordError, ValueError, KeyError):  # its outcomes are gone, or none of this version's
        return {}
    return {name: value for name, value in found.items() if name in record.metrics}


def _near(record: Record) -> bool:
    return record.score <= record.floor.get(record.metric, -inf) + NEAR


def _checked(record: Record, task: "Task | None", load: Callable[[Record], Outcomes]) -> Record:
    try:
        outcomes = dict(load(record)) if task is not None else {}
        prediction = outcomes.get("prediction")
        if task is None or prediction is None:
            constant = record.score == record.floor[record.metric]
        else:
            constant = is_constant(prediction)
            again = task.aggregate(outcomes) if constant else {}
            record = replace(record, metrics={name: again.get(name, old) for name, old in record.metrics.items()})
    except (RecordError, ValueError, KeyError):
        constant = record.score == record.floor[record.metric]
    return replace(record, notes=[*record.notes, CONSTANT]) if constant else record
