"""Checks of what a Pruner is given: PrunebenchError says what was found and what was expected."""

import math
from numbers import Integral, Real

import torch
from torch import Tensor, nn

from benchmark.errors import PrunebenchError
from benchmark.pruning.flat import PrunableWeights
from benchmark.pruning.schedules.base import Schedule
from benchmark.pruning.schedules.checks import Plan
from benchmark.pruning.scores import all_finite
from criteria.base import Criterion


def require_schedule(schedule: Schedule, sparsity: float, total: int) -> None:
    """PrunebenchError if `schedule` does not fit a run of `total` steps."""
    try:
        schedule.sparsity(0, total, sparsity)
    except ValueError as error:
        raise PrunebenchError(f"schedule {type(schedule).__name__}: {error}") from error


def require_answers(schedule: Schedule, sparsity: float, total: int) -> None:
    """As `require_schedule`; and where `schedule` gives no sparsity up to `sparsity`, or neither True nor False, at some step."""
    require_schedule(schedule, sparsity, total)
    plan = Plan(schedule, total, sparsity)
    for step in range(0, total, max(1, total // 1000)):
        share = schedule.sparsity(step, total, sparsity)
        if not isinstance(share, int | float) or not 0 <= share <= sparsity:
            raise PrunebenchError(
                f"{plan.name}.sparsity gives {share!r} at step {step}: expected a plain number in [0, {sparsity}]"
            )
        try:
            plan.answer("due", step), plan.answer("holds", step)
        except AssertionError as error:
            raise PrunebenchError(str(error)) from error


def require_sparsity(value: object) -> None:
    """PrunebenchError unless `value` is a sparsity, a number in [0, 1)."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < 1:
        hint = f": {value / 100:g} for {value} %" if isinstance(value, int) and 1 < value < 100 else ""
        raise PrunebenchError(f"sparsity {value!r}: expected a share of the weights in [0, 1){hint}")


def require_whole(name: str, value: object, low: int) -> None:
    """PrunebenchError unless `value` is a whole number of at least `low` that fits 64 bits."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not low <= int(value) < 2**63:
        below = " and below 2^63" if isinstance(value, Integral) and int(value) >= 2**63 else ""
        raise PrunebenchError(f"{name} {value!r}: expected a whole number from {low} on{below}")


def require_model(model: object, skip_frozen: object) -> None:
    """PrunebenchError unless `model` is a module with its weights in memory, and `skip_frozen` a choice."""
    if not isinstance(model, nn.Module):
        found = repr(model) if model is None or isinstance(model, str) else f"of type {type(model).__name__}"
        raise PrunebenchError(f"model {found}: expected a torch.nn.Module, such as a transformers model")
    if any(parameter.is_meta for parameter in model.parameters()):
        raise PrunebenchError(f"{type(model).__name__} is on the meta device, without weights: load them first")
    require_bool("skip_frozen", skip_frozen)


def require_bool(name: str, value: object) -> None:
    """PrunebenchError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise PrunebenchError(f"{name} {value!r}: expected True or False")


def require_peak(value: object) -> None:
    """PrunebenchError unless `value` is a learning rate, or 0 where it is not known."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < math.inf:
        raise PrunebenchError(
            f"peak {value!r}: expected the highest learning rate of the run, or 0 where it is not known"
        )


def require_finite_weights(weights: PrunableWeights) -> None:
    """PrunebenchError where a weight to be pruned is not finite before training: no score ranks it."""
    if weights.vector.is_meta or all_finite(weights.vector.data):  # meta: only shapes, of which launches are counted
        return
    for matrix in weights.matrices:
        if bad := int((~torch.isfinite(matrix.parameter.detach())).sum()):
            raise PrunebenchError(
                f"{matrix.name} holds {bad:,} of {matrix.parameter.numel():,} weights that are not finite, before any training: "
                "load the model again"
            )


def require_rate(lr: object) -> None:
    """PrunebenchError unless `lr` is a learning rate: a finite number from 0 on. Of a tensor, which is not waited for, the shape alone
    is looked at."""
    if isinstance(lr, Tensor):
        if lr.numel() != 1:
            raise PrunebenchError(
                f"observe: lr has shape {tuple(lr.shape)}: expected one number, the learning rate of the coming step"
            )
        return
    if isinstance(lr, bool) or not isinstance(lr, Real) or not 0 <= float(lr) < math.inf:
        raise PrunebenchError(f"observe: lr {lr!r}: expected the learning rate of the coming step, a number from 0 on")


def require_kinds(criterion: object, schedule: object) -> None:
    """PrunebenchError unless these are a configured criterion and a configured schedule."""
    for value, kind, plural in ((criterion, Criterion, "criteria"), (schedule, Schedule, "schedules")):
        if not isinstance(value, kind):
            name = value if isinstance(value, str) else "name"
            raise PrunebenchError(
                f"{kind.__name__.lower()} {value!r}: expected a configured one, such as configure({plural!r}, {name!r})"
            )
