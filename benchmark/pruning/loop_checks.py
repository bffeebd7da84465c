"""What a loop must have done for a Pruner's result to be meant; the errors name what to do."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from benchmark.errors import PrunebenchError
from benchmark.pruning.scores import all_finite

if TYPE_CHECKING:
    from benchmark.pruning.pruner import Pruner

CALIBRATIONS = ("observe_inputs", "observe_example", "observe_hessian")
"""The methods of a criterion that are called during calibration."""


class Loop:
    """What a Pruner saw of the loop that calls it."""

    def __init__(self) -> None:
        self.saw_gradient: bool | None = None
        """Whether any gradient that was observed was not all zeros; None where none was looked at."""
        self.moved: bool | None = None
        """Whether weights were seen to move between `observe` and `prune`; None while no learning rate above 0 was told."""
        self.before: Tensor | None = None
        """The weights that `observe` saw, until they were seen to move."""

    def observed(self, weights: Tensor, grad: Tensor, lr: float) -> None:
        """Look at gradients until one is not all zeros, and keep weights until they move."""
        if not self.saw_gradient:
            self.saw_gradient = bool(grad.any())
        if not self.moved and not isinstance(lr, Tensor) and lr > 0:
            self.before = weights.clone()

    def pruned(self, weights: Tensor) -> None:
        """Look whether the optimizer moved the weights that were kept."""
        if self.before is not None:
            self.moved = not torch.equal(weights, self.before)
            self.before = None


def require_observed(pruner: "Pruner") -> None:
    """PrunebenchError unless a criterion that learns from gradients was shown those of the step that `prune` ends, and once."""
    if pruner.criterion.overrides("observe") and pruner.steps_observed != pruner.steps_taken + 1:
        raise PrunebenchError(
            f"prune() ends step {pruner.steps_taken + 1}, and {type(pruner.criterion).__name__} was shown the gradients of "
            f"{pruner.steps_observed} steps: call observe(lr), optimizer.step() and prune() once each in every step, in this order "
            "(where gradients are accumulated, when they are whole)"
        )


def require_steps(pruner: "Pruner") -> None:
    """PrunebenchError unless the loop took `total` steps, with gradients that were no zeros alone and weights that moved."""
    name, done = type(pruner.criterion).__name__, pruner.steps_taken + pruner.steps_skipped
    learns = pruner.criterion.overrides("observe")
    if pruner.steps_skipped and not pruner.steps_taken:
        raise PrunebenchError(
            f"the gradients were finite in none of {pruner.steps_skipped} steps, so nothing was trained: try a lower learning rate, "
            "or fp32"
        )
    if done != pruner.total:
        skipped = f", {pruner.steps_skipped} of them skipped" if pruner.steps_skipped else ""
        raise PrunebenchError(
            f"finish() after {done} of {pruner.total} steps{skipped}, at sparsity "
            f"{pruner.scheduled if pruner.steps_taken else 0:g} of {pruner.target:g}: give the Pruner the number of "
            "optimizer steps that the loop takes, and call prune() once after each; to end early with the mask in force, call settle()"
        )
    if learns and pruner.loop.saw_gradient is False:
        raise PrunebenchError(
            f"all gradients that {name} was shown are zeros: call observe(lr) between backward() and zero_grad(), and train the "
            "model that the Pruner was made of, not a copy of it"
        )
    if learns and pruner.loop.moved is False:
        raise PrunebenchError(
            f"the weights moved in no step between observe(lr), which {name} learns from, and prune(): call optimizer.step() "
            "between them, with an optimizer of this model's parameters"
        )


def require_own_weights(pruner: "Pruner") -> None:
    """PrunebenchError if the model has got other weights since the Pruner was made: they would stay dense, unseen."""
    modules = dict(pruner.model.named_modules())
    ours = {
        part.data_ptr()
        for flat in (pruner.weights.vector.data, pruner.effective)
        for part in pruner.weights.parts(flat)
    }
    for matrix in pruner.weights.matrices:
        module, _, kind = matrix.name.rpartition(".")
        parameter = getattr(modules.get(module), kind, None)
        if parameter is not matrix.parameter or parameter.data_ptr() not in ours or not parameter.requires_grad:
            frozen = parameter is matrix.parameter and not parameter.requires_grad
            raise PrunebenchError(
                f"{matrix.name} {'was frozen' if frozen else 'has been replaced'} after the Pruner was made: make it once weights are "
                "loaded, and layers, precision, device and what is frozen are settled"
            )


def require_latent(pruner: "Pruner") -> None:
    """PrunebenchError if a latent criterion's model got other weights since the Pruner was made, which would train the old ones."""
    if not torch.equal(pruner.effective, pruner.gated(pruner.gates(training=True))):
        raise PrunebenchError(
            f"the model's weights changed after the Pruner was made and before the first observe(lr), and "
            f"{type(pruner.criterion).__name__} trains those that it had before: make the Pruner once weights are loaded, and call "
            "observe(lr) before the first optimizer.step()"
        )


def require_calibration(pruner: "Pruner") -> None:
    """PrunebenchError if the criterion needs calibration and `calibrate` is not set."""
    if pruner.calibrate is None and (asked := [m for m in CALIBRATIONS if pruner.criterion.overrides(m)]):
        raise PrunebenchError(
            f"{type(pruner.criterion).__name__} ranks by what calibration shows to {' and '.join(asked)}, and pruner.calibrate "
            "is not set: set it to calibrator(model, loss, batches, by_block) of benchmark.pruning.calibrate"
        )


def require_dtype(pruner: "Pruner") -> None:
    """PrunebenchError if the prunable weights are no longer fp32, which the vector behind them is."""
    for matrix in pruner.weights.matrices:
        if matrix.parameter.dtype != torch.float32:
            raise PrunebenchError(
                f"{matrix.name} became {matrix.parameter.dtype} after the Pruner was made of fp32 weights: make it once the "
                "precision is settled (bf16 autocast is fine)"
            )


def require_finite_model(pruner: "Pruner") -> None:
    """PrunebenchError if the model ends with weights that are not finite: its sparsity would be right, and its answers nan."""
    for name, parameter in pruner.model.named_parameters():
        bad = 0 if all_finite(parameter.detach().reshape(-1)) else int((~parameter.isfinite()).sum())
        if bad:
            skipped = f"; gradients were not finite in {pruner.steps_skipped} steps" if pruner.steps_skipped else ""
            raise PrunebenchError(
                f"{name} ends with {bad:,} of {parameter.numel():,} weights that are not finite{skipped}: try a lower learning rate "
                "or a longer warm-up, and step the optimizer with finite gradients alone"
            )
