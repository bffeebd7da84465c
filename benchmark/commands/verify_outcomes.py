"""Compares a record with its outcomes: their shapes, the metrics that they give, and the labels that they were scored against."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.board.board import Board
from benchmark.board.outcomes import load_outcomes
from benchmark.board.record import Record, RecordError
from benchmark.commands.verify_spec import unread
from benchmark.commands.views import aggregate
from benchmark.plugins import registry
from tasks.metrics.classification import is_constant


@dataclass(frozen=True)
class Found:
    """A record and its outcomes, the metrics that they give, and why there are none of either; the task's headline, and of which
    metrics less is better."""

    record: Record
    outcomes: Mapping[str, NDArray[Any]] | None = None
    metrics: Mapping[str, float] | None = None
    headline: str = ""
    errors: frozenset[str] = frozenset()
    problem: str = ""


def found_of(board: Board, record: Record) -> Found:
    """Reads the outcomes of a record, once, and makes its metrics again where its task may be run here."""
    try:
        outcomes = load_outcomes(board.records_folder, record)
    except RecordError as error:
        return Found(record, problem=f"{error.path.name}: {error.reason}")
    if unread(record.spec.task):
        return Found(record, outcomes)
    try:
        task = registry.configure("tasks", record.spec.task)
        return Found(record, outcomes, aggregate(record.spec.task)(outcomes), task.metric, task.lower_is_better)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a task's own code, on outcomes that it may not expect
        told = f"{type(error).__name__}: {error}"
        return Found(record, outcomes, problem=f"its metrics cannot be made again from its outcomes ({told})")


def outcome_problems(found: Found) -> Iterator[str]:
    """Where outcomes have other sizes than their record counts, or give other metrics than it holds."""
    record, outcomes = found.record, found.outcomes or {}
    count = record.counts.get("reported")
    for name, values in outcomes.items():
        if values.shape[:1] != (count,):
            yield f"outcome '{name}' has shape {values.shape} for {count} reported examples"
        elif values.ndim > 1 and values.size == len(values):
            yield f"outcome '{name}' has shape {values.shape}, expected ({len(values)},)"
        if not np.isfinite(values).all():
            yield f"outcome '{name}' is not finite"
    if found.problem:
        yield found.problem
    if found.metrics is None:
        return
    errors = sorted(found.errors & record.metrics.keys())
    if record.metric != found.headline:
        yield f"its headline is {record.metric} {record.metrics[record.metric]}, that of its task is {found.headline}"
    if sorted(record.lower_is_better) != errors:
        yield f"says that less is better of {record.lower_is_better}, its task says {errors}"
    if absent := sorted(found.metrics.keys() - record.metrics.keys()):
        yield f"lacks {', '.join(absent)}, which its outcomes give"
    for name in sorted(found.metrics.keys() & record.metrics.keys() - _noise(outcomes, record)):
        if not math.isclose(found.metrics[name], record.metrics[name], rel_tol=1e-9, abs_tol=1e-9):
            yield f"{name} is {record.metrics[name]}, its outcomes give {found.metrics[name]}"


def label_problems(found: Found, other: Found) -> Iterator[str]:
    """Whether two records of one task have the same outcomes, scored against the same labels, example for example."""
    if found.outcomes is None or other.outcomes is None:
        return
    if found.record is other.record or found.record.data_fingerprint != other.record.data_fingerprint:
        return
    name = other.record.spec.named
    if found.outcomes.keys() != other.outcomes.keys():
        yield f"has the outcomes {', '.join(found.outcomes)}, {name} {', '.join(other.outcomes)}"
    own, first = found.outcomes.get("label"), other.outcomes.get("label")
    if own is not None and first is not None and not np.array_equal(own, first):
        yield f"was scored against other labels than {name}"


def corpus_metrics(found: Found) -> set[str]:
    """Metrics that the record's outcomes do not give: one number of a whole corpus, as some of the evaluate hub's."""
    return set() if found.metrics is None else set(found.record.metrics) - set(found.metrics)


def rounding_noise(found: Found) -> Iterator[str]:
    """Correlations that an earlier version made of one answer's last bits: worth knowing, no damage."""
    record = found.record
    if noise := _noise(found.outcomes or {}, record):
        said = ", ".join(f"{name} {record.metrics[name]:.2f}" for name in sorted(noise))
        yield f"records {said}, rounding noise of a constant prediction: no correlation, shown as 0"


def _noise(outcomes: Mapping[str, NDArray[Any]], record: Record) -> set[str]:
    """Names of the correlations that are not 0 only for the last bits of a constant prediction."""
    found: set[str] = set()
    if not record.metrics.keys() & {"pearson", "spearman"}:
        return found
    prediction, label = outcomes.get("prediction"), outcomes.get("label")
    if prediction is None or label is None or not is_constant(prediction, label) or not np.ptp(prediction):
        return found
    from scipy.stats import pearsonr, rankdata

    sides = {"pearson": (prediction, label), "spearman": (rankdata(prediction), rankdata(label))}
    for name, (one, other) in sides.items():
        raw = 100 * float(pearsonr(one.astype(np.float64), other.astype(np.float64)).statistic)
        if name in record.metrics and record.metrics[name] and abs(record.metrics[name] - raw) < 1e-3:
            found.add(name)
    return found
