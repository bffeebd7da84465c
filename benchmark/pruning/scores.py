"""Shows a criterion one tensor, or asks for its scores or mask, and checks what it does and gives."""

import torch
from torch import Tensor

from benchmark.errors import PrunebenchError
from benchmark.pruning.masks import Quota
from benchmark.pruning.selection import MOST
from criteria.base import Criterion, State, Step


def observe(criterion: Criterion, state: State, weight: Tensor, grad: Tensor, step: Step) -> None:
    """Show one tensor and its gradient; PrunebenchError where `observe` wrote to one of them, with which the optimizer goes on."""
    versions = weight._version, grad._version
    criterion.observe(state, weight, grad, step)
    if (weight._version, grad._version) != versions:
        raise PrunebenchError(
            f"criterion {type(criterion).__name__}: observe changes the weights or their gradient in place, and so the training: work "
            "on a copy (grad.abs(), not grad.abs_())"
        )


def score(criterion: Criterion, state: State, weight: Tensor) -> Tensor:
    """The scores of one tensor; PrunebenchError where they do not fit it, or `score` wrote to it."""
    version = weight._version
    scores = fitting(criterion, "score", criterion.score(state, weight), weight)
    if weight._version != version:
        raise PrunebenchError(
            f"criterion {type(criterion).__name__}: score changes the weights in place: work on a copy (weight.abs(), "
            "not weight.abs_())"
        )
    return scores


def sweep(criterion: Criterion, state: State, weight: Tensor, quota: Quota, name: str) -> Tensor:
    """The mask of one matrix [out, in], whose kept weights the criterion adjusts in place; `name` is for messages.

    PrunebenchError where scores, mask or weights are not what they have to be.
    """
    if criterion.overrides("sweep"):
        mask = fitting_mask(criterion, "sweep", criterion.sweep(state, weight, quota), weight)
    else:
        scores = score(criterion, state, weight).float()
        if not all_finite(scores.reshape(-1)):
            raise PrunebenchError(bad_scores(criterion, scores, name))
        mask = quota(scores)
        criterion.compensate(state, weight, mask)
    if not all_finite(weight.reshape(-1)):
        raise PrunebenchError(f"criterion {type(criterion).__name__} left weights that are not finite in {name}")
    return mask


def fitting(criterion: Criterion, method: str, value: object, weight: Tensor) -> Tensor:
    """`value`, where the weight lies and without a graph, where it is a plain tensor of real numbers of the weight's shape; else
    PrunebenchError."""
    if isinstance(value, Tensor) and (value.is_complex() or value.layout != torch.strided):
        found = f"a tensor of {value.dtype}, {value.layout}: expected real numbers in a dense tensor"
    elif not isinstance(value, Tensor) or value.shape != weight.shape:
        shape = list(value.shape) if isinstance(value, Tensor) else f"a {type(value).__name__}"
        found = f"{shape} for a weight of shape {list(weight.shape)}: one value a weight"
    elif value.is_meta and not weight.is_meta:
        found = "a tensor on the meta device, without numbers"
    else:
        return value.detach().to(weight.device)
    raise PrunebenchError(f"criterion {type(criterion).__name__}: {method} gave {found}")


def fitting_state(criterion: Criterion, state: object) -> State:
    """What `init` gave where it is a dict of tensors by name, which checkpoints can hold, else PrunebenchError."""
    if not isinstance(state, dict):
        found = f"a {type(state).__name__}"
    elif wrong := [name for name, value in state.items() if not (isinstance(name, str) and isinstance(value, Tensor))]:
        found = f"{wrong[0]!r}: {state[wrong[0]]!r}"
    else:
        return state
    raise PrunebenchError(
        f"criterion {type(criterion).__name__}: init gave {found}: expected a dict of tensors by name, empty where there are none"
    )


def fitting_mask(criterion: Criterion, method: str, value: object, weight: Tensor) -> Tensor:
    """`value` where it is a mask of the weight's shape, else PrunebenchError."""
    mask = fitting(criterion, method, value, weight)
    if mask.dtype != torch.bool:
        raise PrunebenchError(
            f"criterion {type(criterion).__name__}: {method} gave a tensor of {mask.dtype}: expected a mask, bool, True = kept"
        )
    return mask


def bad_scores(criterion: Criterion, scores: Tensor, name: str) -> str:
    """How many scores of a matrix are not finite; "" where all are."""
    bad = int((~torch.isfinite(scores)).sum())
    if not bad:
        return ""
    return f"criterion {type(criterion).__name__} gave {bad} of {scores.numel()} scores that are not finite in {name}"


def all_finite(vector: Tensor) -> bool:
    """Whether all of `vector` [n] is finite."""
    # At the speed of memory; a sum of squares that overflows says nothing. Of longer vectors CUDA computes no dot product.
    return all(
        bool(torch.isfinite(torch.dot(part, part))) or bool(torch.isfinite(part).all()) for part in vector.split(MOST)
    )
