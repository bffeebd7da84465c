"""Compares a record with its own spec: sparsity, schedule, learning rate, steps, selection.

Nothing here needs the model, the data or a second run. Results that were moved to the record of another sparsity, schedule, scope,
budget or learning rate contradict their spec, and so do most of those that `random` is given or that were taken from it.
"""

import math
from collections.abc import Iterator
from datetime import date

from benchmark.board.record import Record, meets
from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from benchmark.plugins.files import files_run, is_file
from benchmark.pruning.masks import parse_scope
from benchmark.pruning.schedules.base import Schedule
from benchmark.training.optimizer import rate
from criteria.base import Criterion

SECONDS = ("total_seconds", "train_seconds", "evaluate_seconds", "step_seconds", "criterion_seconds")

MACHINE = ("prunebench", "commit", "python", "platform", "torch", "device")
"""What every record says of the machine and the versions that it was made with."""

CHANCE = 7.0
"""Standard deviations of a layer's zeros under `random`, beyond which chance does not lead."""


def unread(name: str) -> bool:
    """Whether a plugin is a file that a command that only looks does not run."""
    return is_file(name) and not files_run()


def spec_problems(record: Record) -> Iterator[str]:
    """What in `record` is not what its spec gives."""
    yield from _sparsity(record)
    yield from _layers(record)
    yield from _steps(record)
    yield from _curve(record)
    yield from _selection(record)
    yield from _counts(record)
    if absent := [name for name in MACHINE if not record.environment.get(name)]:
        yield f"does not say with which {', '.join(absent)} it was made"
    day = record.environment.get("date")  # older records have none
    if day is not None and not _is_day(day):
        yield f"was run on the day {day!r}, expected one such as 2026-01-31"
    regularizer = record.spec.regularizer
    if registry.is_builtin("regularizers", regularizer):
        needed = registry.asks(regularizer, "needs_teacher")
        if needed != (record.teacher is not None):
            yield f"names {record.teacher or 'no model'} as its teacher; '{regularizer}' trains {'with' if needed else 'without'} one"


def _is_day(text: str) -> bool:
    """Whether `text` is a day, such as 2026-01-31."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _criterion(record: Record) -> Criterion | None:
    """The record's criterion; None in a dense record, and where it is a file that is not run or cannot be configured any more."""
    if record.spec.is_dense or unread(record.spec.criterion):
        return None
    try:
        found: Criterion = registry.configure("criteria", record.spec.criterion)
    except PrunebenchError:
        return None
    return found


def _sparsity(record: Record) -> Iterator[str]:
    found, spec = record.sparsity, record.spec
    size, zeros = (sum(getattr(layer, name) for layer in found.layers) for name in ("size", "zeros"))
    if (size, zeros) != (found.prunable, found.zeros):
        yield f"its layers have {zeros} zeros of {size}, the whole {found.zeros} of {found.prunable}"
    if wrong := [layer.name for layer in found.layers if layer.zeros > layer.size]:
        yield f"{wrong[0]} has more zeros than weights"
    if not found.prunable or not math.isclose(found.measured, found.zeros / found.prunable, rel_tol=1e-12):
        yield f"measured sparsity {found.measured} is not {found.zeros} of {found.prunable}"
    if found.requested != spec.sparsity:
        yield f"requested sparsity {found.requested}, its cell asks for {spec.sparsity}"
    if found.scheduled != spec.sparsity:  # every schedule ends at the target
        yield f"its schedule ended at sparsity {found.scheduled}, its cell asks for {spec.sparsity}"
    criterion = _criterion(record)
    exact = criterion.exact if criterion else found.exact or spec.is_dense
    if found.exact != exact:
        yield f"calls its sparsity {_promised(found.exact)}, under {spec.criterion} it is {_promised(exact)}"
    asked = parse_scope(spec.scope).count(spec.sparsity, [(found.prunable, 1)])
    if not spec.is_dense and found.met != meets(spec, found.zeros, asked):
        yield f"says that it {'met' if found.met else 'missed'} its sparsity: {found.zeros} zeros where {asked} are asked for"
    if exact and not found.met and not any(note.startswith("missed its sparsity") for note in record.notes):
        yield f"missed its sparsity without a note: {found.zeros} of {found.prunable} weights are zero"


def _promised(exact: bool) -> str:
    return "exact" if exact else "an outcome"


def _layers(record: Record) -> Iterator[str]:
    """Where zeros are shared out among the layers as this scope, or chance under `random`, does not share them."""
    found, scope = record.sparsity, parse_scope(record.spec.scope)
    if record.spec.is_dense or not (found.exact and found.met and record.spec.is_trained):
        return
    share, builtin = found.zeros / found.prunable, registry.is_builtin("criteria", record.spec.criterion)
    for layer in found.layers:
        expected = share * layer.size
        if scope.kind in ("layer", "row", "n:m") and abs(layer.zeros - expected) > 2:
            yield f"{layer.name} has {layer.zeros} zeros of {layer.size}; scope '{scope}' takes {expected:.0f} of each such layer"
            return
        deviation = math.sqrt(expected * (1 - share))
        chosen_by_chance = builtin and record.spec.criterion.partition("[")[0] == "random" and scope.kind == "global"
        if chosen_by_chance and abs(layer.zeros - expected) > CHANCE * deviation:
            yield f"{layer.name} has {layer.zeros} zeros of {layer.size}, where chance takes {expected:.0f} +- {deviation:.0f}"
            return


def _steps(record: Record) -> Iterator[str]:
    budget, steps, trained = record.spec.training, record.cost.steps, record.counts.get("train", 0)
    if budget.steps is not None and steps != budget.steps:
        yield f"was trained for {steps} steps, its cell asks for {budget.steps}"
    if budget.steps is None and steps < budget.total(trained):
        yield f"was trained for {steps} steps, its cell asks for {budget.total(trained)} with {trained} examples"


def _curve(record: Record) -> Iterator[str]:
    """Where the curve is of another run than one of these steps, at this learning rate, under this schedule."""
    steps, last = [point.step for point in record.curve], record.cost.steps
    if steps != sorted(set(steps)) or (steps[-1] if steps else 0) != last:
        yield f"its curve has {len(steps)} points, the last of step {steps[-1] if steps else 0}, in a run of {last} steps"
        return
    for point in record.curve:
        due = rate(max(point.step - 1, 0), last, record.spec.training)
        if point.step and not math.isclose(point.lr, due, rel_tol=1e-6):
            yield f"its learning rate is {point.lr:g} at step {point.step}, that of its cell {due:g}"
            break
    schedule = _schedule(record)
    if schedule is None or not record.sparsity.met:
        return
    in_force, at = 0.0, 0
    for point in record.curve:
        for step in range(at, point.step):
            if schedule.due(step, last):
                in_force = schedule.sparsity(step, last, record.spec.sparsity)
        at = max(at, point.step)
        if point.step and abs(point.sparsity - in_force) > 0.005:
            yield f"its sparsity is {point.sparsity:.4f} at step {point.step}, its schedule asks for {in_force:.4f}"
            break


def _schedule(record: Record) -> Schedule | None:
    """The schedule that a trained run follows to a weight; None where there is none to follow, or where the scope counts coarsely."""
    spec, criterion = record.spec, _criterion(record)
    if criterion is None or not criterion.exact or parse_scope(spec.scope).kind not in ("global", "layer"):
        return None
    if record.sparsity.prunable < 1000 or not spec.is_trained or not registry.is_builtin("schedules", spec.schedule):
        return None
    found: Schedule = registry.configure("schedules", spec.schedule)
    return found


def _selection(record: Record) -> Iterator[str]:
    chosen, last, cost = record.selected, record.cost.steps, record.cost
    if chosen.protocol != record.spec.selection:
        yield f"reports weights selected by {chosen.protocol}, its cell asks for {record.spec.selection}"
    if chosen.step > last or (chosen.protocol == "last" and (chosen.step != last or chosen.score is not None)):
        yield f"reports the weights of step {chosen.step} (selected by {chosen.protocol}) in a run of {last} steps"
    if chosen.optimistic != (chosen.protocol == "best_dev"):
        yield f"says that its selection by {chosen.protocol} is {'' if chosen.optimistic else 'not '}optimistic"
    if below := [name for name in SECONDS if getattr(cost, name) < 0]:
        yield f"{below[0]} is {getattr(cost, below[0])}, expected 0 or more"
    if cost.train_seconds > cost.total_seconds + 1:
        yield f"took {cost.train_seconds:g} s to train, {cost.total_seconds:g} s in all"


def _counts(record: Record) -> Iterator[str]:
    """Where splits and their sizes are not those that limits and the held-out share leave."""
    counts, spec = record.counts, record.spec
    expected = {"train", "reported"} | ({"heldout"} if spec.heldout else set())
    for name, found in (("counts", counts.keys()), ("splits", record.splits.keys())):
        if not expected <= found or (found != expected and registry.is_builtin("tasks", spec.task)):
            yield f"its {name} are of {', '.join(sorted(found)) or 'nothing'}; its cell has {', '.join(sorted(expected))}"
            return
    pool = counts["train"] + counts.get("heldout", 0)
    limits = (
        ("train", pool, spec.training.train_examples),
        ("reported", counts["reported"], spec.training.eval_examples),
    )
    for name, count, limit in limits:
        if limit is not None and count > limit:
            yield f"has {count} {name} examples, its cell takes {limit} at most"
    if (counts["train"] < 1 and spec.is_trained) or counts["reported"] < 1:
        yield f"has {counts['train']} train and {counts['reported']} reported examples"
    if spec.heldout and abs(counts["heldout"] - spec.heldout * pool) > 1:
        yield f"has {counts['heldout']} held-out examples of {pool}, its cell keeps {spec.heldout:g} of them aside"
