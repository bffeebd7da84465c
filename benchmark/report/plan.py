"""Which runs a table shows: those the suite plans, each with its record or the reason there is none."""

from collections.abc import Collection, Mapping, Sequence
from math import isfinite

from benchmark.board.record import Record
from benchmark.errors import choices
from benchmark.report.fields import Slot, TableError
from benchmark.suite.spec import RunSpec


def planned(records: Sequence[Record], specs: Sequence[RunSpec]) -> tuple[list[RunSpec], dict[str, Record]]:
    """The runs in order and the records by id; without `specs`, the records' own. TableError: a run recorded twice."""
    by_id: dict[str, Record] = {}
    for record in records:
        if record.id in by_id:
            raise TableError(f"two records of one run: {record.id} ({record.spec.cell})")
        by_id[record.id] = record
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


def alike(slots: Sequence[Slot], axes: Collection[str]) -> list[list[Slot]]:
    """The slots in groups that differ in the seed alone, by first appearance; where seeds have rows or columns of their own,
    in nothing.
    """
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
