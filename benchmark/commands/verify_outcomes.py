"""Compares a record with its outcomes: their shapes, the metrics that they give, and the labels that they were scored against."""

import math
from collections.abc import Iterator, Mapping
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


def outcome_problems(board: Board, record: Record) -> Iterator[str]:
    """Where a record's outcomes have other sizes than it counts, or give other metrics than it holds."""
    try:
        outcomes = load_outcomes(board.records_folder, record)
    except RecordError as error:
        yield f"{error.path.name}: {error.reason}"
        return
    count = record.counts.get("reported")
    for name, values in outcomes.items():
        if values.shape[:1] != (count,):
            yield f"outcome '{name}' has shape {values.shape} for {count} reported examples"
        elif values.ndim > 1 and values.size == len(values):
            yield f"outcome '{name}' has shape {values.shape}, expected ({len(values)},)"
        if not np.isfinite(values).all():
            yield f"outcome '{name}' is not finite"
    if unread(record.spec.task):
        return
    try:
        again = aggregate(record.spec.task)(outcomes)
        task = registry.configure("tasks", record.spec.task)
        headline, errors = task.metric, task.lower_is_better
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a task's own code, on outcomes that it may not expect
        yield f"its metrics cannot be made again from its outcomes ({type(error).__name__}: {error})"
        return
    if record.metric != headline:
        yield f"its headline is {record.metric} {record.metrics[record.metric]}, that of its task is {headline}"
    if sorted(record.lower_is_better) != sorted(errors & record.metrics.keys()):
        yield f"says that less is better of {record.lower_is_better}, its task says {sorted(errors & record.metrics.keys())}"
    noise = _noise(outcomes, record)
    for name in sorted(again.keys() & record.metrics.keys() - noise):
        if not math.isclose(again[name], record.metrics[name], rel_tol=1e-9, abs_tol=1e-9):
            yield f"{name} is {record.metrics[name]}, its outcomes give {again[name]}"


def label_problems(board: Board, record: Record, other: Record) -> Iterator[str]:
    """Whether two records of one task have the same outcomes, scored against the same labels, example for example."""
    if record is other or record.data_fingerprint != other.data_fingerprint:
        return
    try:
        found, expected = (load_outcomes(board.records_folder, one) for one in (record, other))
    except RecordError:  # said already
        return
    name = f"{other.spec.cell} ({other.spec.id})"
    if found.keys() != expected.keys():
        yield f"has the outcomes {', '.join(found)}, {name} {', '.join(expected)}"
    own, first = found.get("label"), expected.get("label")
    if own is not None and first is not None and not np.array_equal(own, first):
        yield f"was scored against other labels than {name}"


def corpus_metrics(board: Board, record: Record) -> set[str]:
    """Metrics that the record's outcomes do not give: one number of a whole corpus, as some of the evaluate hub's."""
    if unread(record.spec.task):
        return set()
    try:
        again = aggregate(record.spec.task)(load_outcomes(board.records_folder, record))
    except KeyboardInterrupt:
        raise
    except BaseException:  # said as a problem of the record
        return set()
    return {name for name in record.metrics if name not in again}


def rounding_noise(board: Board, record: Record) -> Iterator[str]:
    """Correlations that an earlier version made of one answer's last bits: worth knowing, no damage."""
    if not record.metrics.keys() & {"pearson", "spearman"}:
        return
    try:
        noise = _noise(load_outcomes(board.records_folder, record), record)
    except RecordError:  # said already
        return
    if noise:
        found = ", ".join(f"{name} {record.metrics[name]:.2f}" for name in sorted(noise))
        yield f"records {found}, rounding noise of a constant prediction: no correlation, shown as 0"


def _noise(outcomes: Mapping[str, NDArray[Any]], record: Record) -> set[str]:
    """Names of the correlations that are not 0 only for the last bits of a constant prediction."""
    found: set[str] = set()
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
