"""A cell: the runs behind it, their mean and spread, and what a reader must know about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev
from typing import Literal, NamedTuple

import numpy as np

from benchmark.report.layout import Slot, TableError, value
from benchmark.report.statistics.intervals import LOGARITHMIC, Floats, Interval, additive, t_interval
from benchmark.suite.spec import RunSpec

State = Literal["done", "partial", "failed", "missing", "blank"]


class Run(NamedTuple):
    """One value of a cell and the record ids it was computed from (several in an average over tasks)."""

    value: float
    ids: tuple[str, ...]
    seed: int | None = None


@dataclass(frozen=True)
class Cell:
    """What one row has in one column. Values are percentages, unless less is better; a blank cell was never planned."""

    metric: str = ""
    runs: tuple[Run, ...] = ()
    planned: int = 0
    """Runs the suite asks for."""
    failures: tuple[tuple[str, str], ...] = ()
    """(id, reason) of the runs that failed."""
    absent: tuple[str, ...] = ()
    """Ids of the planned runs without a record, failed ones among them."""
    floor: float | None = None
    """What the best constant answer scores on the evaluated split."""
    sparsity: float | None = None
    """Measured sparsity, mean over the runs."""
    dense: bool = False
    less_is_better: bool = False
    """Whether less of its metric is better; such a metric has its own unit."""
    marks: tuple[str, ...] = ()
    """Kinds of the notes that apply."""
    rank: int = 0
    """1 best, 2 second, 0 neither."""
    text: str = ""
    """Shown instead of the mean where a cell holds something else than a metric."""

    @property
    def state(self) -> State:
        """Whether all, some or none of the planned runs are there."""
        if self.runs:
            return "partial" if self.absent else "done"
        if self.failures:
            return "failed"
        if self.text and not self.absent:
            return "done"
        return "missing" if self.planned else "blank"

    @cached_property
    def values(self) -> tuple[float, ...]:
        """One value per run."""
        return tuple(run.value for run in self.runs)

    @property
    def n(self) -> int:
        """Runs behind the mean."""
        return len(self.runs)

    @cached_property
    def mean(self) -> float | None:
        """Mean over the runs."""
        return fmean(self.values) if self.runs else None

    @property
    def sign(self) -> int:
        """What a value is multiplied by so that more is better."""
        return -1 if self.less_is_better else 1

    @cached_property
    def sd(self) -> float | None:
        """Standard deviation over the runs with n - 1; None for fewer than two."""
        return stdev(self.values) if self.n > 1 else None

    @property
    def utilities(self) -> Floats:
        """One number per run as statistics take it [n]: more is better, and of perplexity it is the negated logarithm."""
        return self.sign * additive(self.metric, self.values)

    @property
    def interval(self) -> Interval:
        """Student's 95 % interval over the runs, of perplexity that of its logarithm; nan for fewer than two."""
        low, high = t_interval(additive(self.metric, self.values))
        return Interval(float(np.exp(low)), float(np.exp(high))) if self.metric in LOGARITHMIC else Interval(low, high)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the records behind the cell."""
        return tuple(dict.fromkeys(id_ for run in self.runs for id_ in run.ids))


def make_cell(slots: Sequence[Slot], axes: tuple[str, ...]) -> Cell:
    """The cell of all slots that share its row and column; refuses to pool runs that differ in more than the seed."""
    _refuse_mixture(slots, axes)
    ordered = sorted(slots, key=lambda slot: slot.spec.seed)
    records = [slot.record for slot in ordered if slot.record is not None]
    metric = slots[0].metric
    floors = [record.floor[metric] for record in records if metric in record.floor]
    return Cell(
        metric=metric,
        runs=tuple(Run(record.metrics[metric], (record.id,), record.spec.seed) for record in records),
        planned=len(slots),
        failures=tuple((slot.spec.id, slot.failure) for slot in ordered if slot.failure is not None),
        absent=tuple(slot.spec.id for slot in ordered if slot.record is None),
        floor=fmean(floors) if floors else None,
        sparsity=fmean(record.sparsity.measured for record in records) if records else None,
        dense=slots[0].spec.is_dense,
        less_is_better=any(record.less_is_better(metric) for record in records),
    )


def _refuse_mixture(slots: Sequence[Slot], axes: tuple[str, ...]) -> None:
    first, shared = slots[0], slots[0].spec.but_seed
    for slot in slots[1:]:
        if slot.spec.but_seed != shared or slot.metric != first.metric:
            ours, theirs = vars(slot.spec), vars(first.spec)
            names = (name for name in RunSpec.model_fields if name != "seed")
            others = [name for name in names if ours[name] != theirs[name]]
            if slot.metric != first.metric:
                others.append("metric")
            field = others[0]
            found = f"{value(first, field)} and {value(slot, field)}"
            raise TableError(
                f"a cell would mix runs that differ in {', '.join(others)} ({field}: {found}): "
                f"add it to the rows or columns ({', '.join(axes)}), or take fewer runs"
            )
