"""What a resumed run needs of a Pruner besides the model; one pruner cannot go on where another stopped."""

import dataclasses
import json
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from benchmark.errors import PrunebenchError
from benchmark.pruning.schedules.base import Schedule
from criteria.base import Criterion

if TYPE_CHECKING:
    from benchmark.pruning.pruner import Pruner


def state_of(pruner: "Pruner") -> dict[str, Tensor]:
    """Mask, step counts, latent weights, criterion state, weights to rewind to."""
    own = {
        "mask": pruner.mask,
        "seconds": torch.tensor(pruner.seconds, dtype=torch.float64),
        "taken": torch.tensor(pruner.steps_taken),
        "observed": torch.tensor(pruner.steps_observed),
        "skipped": torch.tensor(pruner.steps_skipped),
        "settled": torch.tensor(pruner.settled),
        "masked": torch.tensor(pruner.last_masking or (-1, 0.0), dtype=torch.float64),
        "settings": torch.frombuffer(bytearray(json.dumps(_settings(pruner)).encode()), dtype=torch.uint8),
    }
    latent = {"latent": pruner.weights.vector.data} if pruner.criterion.latent else {}
    named = {f"state.{i}.{key}": value for i, state in enumerate(pruner.states) for key, value in state.items()}
    kept = {f"remembered.{step}": value for step, value in pruner.rewind_weights.items()}
    return own | latent | named | kept


def restore(pruner: "Pruner", saved: dict[str, Tensor]) -> None:
    """Copy into `pruner` what `state_of` gave; PrunebenchError where it is no state of such a pruner."""
    needed = {"mask", "taken", "observed", "skipped", "seconds", "masked", "settled", "settings"}
    if not isinstance(saved, dict) or not needed <= saved.keys() or saved["mask"].shape != pruner.mask.shape:
        raise PrunebenchError("load_state_dict: expected what state_dict() of a Pruner of this model gave")
    own, other = _settings(pruner), json.loads(bytes(saved["settings"].tolist()))
    if differs := [f"{name} {other.get(name)}, here {own[name]}" for name in own if other.get(name) != own[name]]:
        raise PrunebenchError(f"load_state_dict: this is the state of another pruner: {'; '.join(differs)}")
    pruner.mask.copy_(saved["mask"])
    pruner.steps_taken, pruner.stopwatch.total = int(saved["taken"]), float(saved["seconds"])
    pruner.steps_observed, pruner.steps_skipped = int(saved["observed"]), int(saved["skipped"])
    taken, sparsity = saved["masked"].tolist()
    pruner.last_masking = (int(taken), sparsity) if taken >= 0 else None
    for i, state in enumerate(pruner.states):
        prefix = f"state.{i}."
        for name, value in saved.items():
            if name.startswith(prefix):
                key = name.removeprefix(prefix)
                # Counters may lie on the CPU beside statistics on the device: each goes where `init` put it.
                state[key] = value.to(state[key].device if key in state else pruner.mask.device, copy=True)
    past = {int(k.split(".")[1]): v for k, v in saved.items() if k.startswith("remembered.")}
    pruner.rewind_weights = {step: value.to(pruner.mask.device, copy=True) for step, value in past.items()}
    if pruner.criterion.latent:
        pruner.weights.vector.data.copy_(saved["latent"])


def _settings(pruner: "Pruner") -> dict[str, str]:
    """What a saved state is of."""
    return {
        "criterion": _spelled(pruner.criterion),
        "schedule": _spelled(pruner.schedule),
        "scope": str(pruner.scope),
        "sparsity": repr(pruner.target),
        "total": repr(pruner.total),
    }


def _spelled(plugin: Criterion | Schedule) -> str:
    """The plugin's class and options."""
    options = dataclasses.fields(plugin) if dataclasses.is_dataclass(plugin) else ()
    return f"{type(plugin).__name__}({', '.join(f'{one.name}={getattr(plugin, one.name)!r}' for one in options)})"
