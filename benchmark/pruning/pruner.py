"""The Pruner prunes one model while any loop trains it: it holds the criterion's state, follows the schedule and keeps the mask.


    pruner = Pruner(model, criterion, schedule, sparsity=0.8, total=1000)
    ...  loss.backward()
         pruner.observe(lr)          # after clipping, before the optimizer
         optimizer.step()
         pruner.prune()              # a new mask when the schedule says so; the gradients may be zero afterwards
    pruner.finish()                  # the final, exact mask, after exactly `total` steps

A step whose gradients are not finite is not observed and does not count, because an fp16 scaler skips it.

Elementwise criteria see the whole model as one flat vector, the others one [out, in] matrix at a time, or stacks of them. Weights
are zeroed in place and may regrow until the next masking (as in PLATON and PINS) unless the schedule holds its mask; latent criteria
keep a value underneath and the forward pass sees weight * gate. From `observe` to `prune` the parameters are those values, so that
any optimizer over `model.parameters()` moves them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor, nn

from benchmark.errors import PrunebenchError
from benchmark.machine import parallel
from benchmark.machine.stopwatch import Stopwatch
from benchmark.pruning.arguments import (
    require_answers,
    require_finite_weights,
    require_kinds,
    require_model,
    require_peak,
    require_rate,
    require_sparsity,
    require_whole,
)
from benchmark.pruning.flat import PrunableWeights
from benchmark.pruning.loop_checks import (
    Loop,
    require_calibration,
    require_dtype,
    require_finite_model,
    require_latent,
    require_observed,
    require_own_weights,
    require_steps,
)
from benchmark.pruning.masks import Quota, Shapes, gate, make_mask, parse_scope
from benchmark.pruning.prunable import find_prunable
from benchmark.pruning.saved_state import restore, state_of
from benchmark.pruning.schedules.base import Schedule
from benchmark.pruning.scores import all_finite, bad_scores, fitting, fitting_mask, fitting_state, observe, score, sweep
from criteria.base import Criterion, State, Step
from criteria.common.blocks import fresh, lending

Settle = Callable[[Sequence[int]], None]
"""Chooses the masks of these matrices, by their places, and prunes them in the model that is being calibrated."""


class Calibrate(Protocol):
    """Called before each new mask to show the criterion calibration batches; returns False if it needs none. See calibrate.py.

    `settle` is there where each matrix may be pruned as soon as its own part of it was shown.
    """

    def __call__(self, pruner: "Pruner", settle: Settle | None = None) -> bool: ...


def stacks_of(criterion: Criterion, shapes: Shapes, device: torch.device) -> list[list[int]]:
    """Places of the matrices that the criterion is given in one stack, those of one shape; empty where it is given none."""
    if not criterion.stacks or device.type == "cpu":
        return []
    places: dict[tuple[int, int], list[int]] = {}
    for i, shape in enumerate(shapes):
        places.setdefault(shape, []).append(i)
    return list(places.values())


class Pruner:
    """Prunes `model` to `sparsity` in [0, 1) over `total` optimizer steps; `peak` is the highest learning rate, if it is known.

    PrunebenchError for what does not fit. A model with frozen linear layers, or most of whose weights belong to none, is refused
    unless `skip_frozen` asks for its trained ones alone.
    """

    def __init__(
        self,
        model: nn.Module,
        criterion: Criterion,
        schedule: Schedule,
        *,
        sparsity: float,
        total: int,
        scope: str = "global",
        seed: int = 0,
        weights: PrunableWeights | None = None,
        peak: float = 0.0,
        skip_frozen: bool = False,
    ) -> None:
        require_model(model, skip_frozen)
        require_sparsity(sparsity)
        require_whole("total", total, 1)
        require_whole("seed", seed, 0)
        require_peak(peak)
        require_kinds(criterion, schedule)
        if weights is not None and not isinstance(weights, PrunableWeights):
            raise PrunebenchError(f"weights {type(weights).__name__}: expected PrunableWeights of this model, or None")
        self.scope = parse_scope(scope)
        self.weights = weights or PrunableWeights(find_prunable(model, self.scope.biases, skip_frozen))
        require_finite_weights(self.weights)
        self.scope.check(self.weights.shapes, sparsity)
        if self.scope.shares_by != "shapes":
            raise self.scope.needs_dense()
        require_answers(schedule, sparsity, total)
        self.model, self.criterion, self.schedule = model, criterion, schedule
        self.target, self.total, self.peak = sparsity, total, peak
        self.steps_taken, self.steps_observed, self.steps_skipped = 0, 0, 0
        """Steps that the optimizer took, steps whose gradients were observed, and steps that the optimizer skipped."""
        self.skipping = False
        """Whether the optimizer will skip the current step."""
        self.loop = Loop()
        """What the checks of `finish` ask of the loop that calls this."""
        self._rewind_steps = {schedule.rewind(step, total) for step in range(total)}
        self.mask = torch.ones_like(self.weights.vector, dtype=torch.bool)
        self.settled = False
        self.stacks = stacks_of(criterion, self.weights.shapes, self.mask.device)
        generator = torch.Generator().manual_seed(seed)
        parts = self.as_seen(self.weights.vector.data)
        self.states: list[State] = [fitting_state(criterion, criterion.init(part, generator)) for part in parts]
        self.calibrate: Calibrate | None = None
        """Set by whoever owns the data."""
        self.on_new_mask: Callable[[Pruner], None] | None = None
        """Called with every new mask before it is applied, for diagnostics; must change nothing."""
        self.last_masking: tuple[int, float] | None = None
        """Steps taken and sparsity when the mask was last computed."""
        self.ranked_by: tuple[float, list[int | None]] | None = None
        """Sparsity, and the versions of the scores, from which the current mask was ranked."""
        self.rewind_weights: dict[int, Tensor] = {}
        self.checks_late = self.mask.device.type != "cpu"
        """Whether scores that are not finite are noticed only where a value is read anyway (`measure`, `finish`): on a GPU."""
        self.late_check = torch.zeros((), device=self.mask.device)
        """0 while the scores of all maskings were finite, nan afterwards; on the device."""
        self.stopwatch = Stopwatch(self.mask.device)
        self.effective = self.weights.vector.data
        """The weights [n] that the forward pass uses: of a latent criterion, a second vector."""
        if criterion.latent:
            self.effective = self.gated(self.gates(training=True))
            self.weights.point_at(self.effective)
        self._keep_for_rewind()

    @property
    def scheduled(self) -> float:
        """Sparsity that the schedule asks for after the last step taken."""
        return self.schedule.sparsity(max(self.steps_taken - 1, 0), self.total, self.target)

    @property
    def seconds(self) -> float:
        """Seconds spent in the criterion and on masks."""
        return self.stopwatch.seconds

    @property
    def reached(self) -> bool:
        """Whether the current mask was made at the target sparsity."""
        return self.last_masking is not None and self.last_masking[1] == self.target

    def step(self, lr: float = 0.0) -> Step:
        """What criteria are told about the coming optimizer step."""
        sparsity = self.scheduled if self.steps_taken else 0.0
        matrices = sum(not matrix.name.endswith(".bias") for matrix in self.weights.matrices)
        return Step(self.steps_taken, self.total, lr, sparsity, self.target, self.peak, matrices)

    def observe(self, lr: float, finite: bool | None = None) -> None:
        """Show the criterion weights and gradients; `lr` is the learning rate of the coming optimizer step.

        Pass `finite` if you know whether all gradients are finite, as a gradient scaler does, and a loop that stops at a loss
        that is not finite. By default the gradients of the prunable weights are checked, which waits for a GPU.
        """
        require_rate(lr)
        with self.stopwatch.running():
            require_dtype(self)
            grad, vector, step = self.weights.collect(), self.weights.vector.data, self.step(lr)
            if finite is None:  # a loop that knows what is finite is ours, and waits for no GPU
                if self.criterion.latent and not (self.steps_taken or self.steps_observed or self.steps_skipped):
                    require_latent(self)
                self.loop.observed(vector, grad, lr)
            self.skipping = not (all_finite(grad) if finite is None else finite)
            # The gates that this forward pass used, before the states change.
            gates = self.gates(training=True) if self.criterion.latent else None
            if self.skipping:
                self.steps_skipped += 1
            else:
                self.steps_observed += 1
                for state, weight, part in zip(self.states, self.as_seen(vector), self.as_seen(grad), strict=True):
                    observe(self.criterion, state, weight, part, step)
            if gates is not None:
                gate(grad, gates, out=grad)  # the chain rule through weight * gate
                self.weights.point_at(vector)

    def prune(self) -> None:
        """After the optimizer step: compute a new mask if one is due, and apply the mask if the schedule says so.

        PrunebenchError if a criterion that learns from gradients was not shown those of this step, once.
        """
        if not self.steps_taken:
            require_calibration(self)
            require_own_weights(self)
        with self.stopwatch.running():
            self.loop.pruned(self.weights.vector.data)
            if self.skipping:  # the optimizer left the weights as they were
                self.skipping = False
                if self.criterion.latent:
                    self._apply()
                return
            require_observed(self)
            index = self.steps_taken
            self.steps_taken += 1
            if self.schedule.due(index, self.total):
                self._remask(self.scheduled)
                if (back := self.schedule.rewind(index, self.total)) is not None:
                    self.weights.vector.data.copy_(self.rewind_weights[back])
                self._apply()
            elif self.criterion.latent or self.schedule.holds(index, self.total):
                self._apply()
            self._keep_for_rewind()

    def finish(self) -> None:
        """Apply the final mask for good: exactly the target sparsity, or what a criterion that is not exact keeps.

        PrunebenchError if the loop did not take `total` steps or showed zeros alone to a criterion that learns from gradients, if
        the model's weights are not those that the Pruner was made of, or if any of them is not finite. To end a run early with its
        current mask, call `settle`.
        """
        require_calibration(self)
        require_own_weights(self)
        require_steps(self)
        with self.stopwatch.running():
            held = self.reached and self.schedule.holds(max(self.steps_taken - 1, 0), self.total)
            if not held and self.last_masking != (self.steps_taken, self.target):
                self._remask(self.target)
            self.settle()
        self._require_finite()

    def settle(self) -> None:
        """Write the masked weights into the parameters for good; afterwards nothing is latent.

        PrunebenchError if a weight of the model is not finite.
        """
        self.weights.vector.data.copy_(self._evaluation_weights())
        self.effective, self.settled = self.weights.vector.data, True
        self.weights.point_at(self.effective)
        require_finite_model(self)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Within, the model has the current mask applied, as it would be reported now; afterwards training goes on as before."""
        self.weights.point_at(self._evaluation_weights())
        try:
            yield
        finally:
            self.weights.point_at(self.effective)

    def measure(self) -> float:
        """The share of the prunable weights that are zero, before `finish` with the current mask applied.

        PrunebenchError where a masking's scores were not finite.
        """
        self._require_finite()
        n, seen = self.mask.numel(), self.weights.vector.data != 0
        if not self.settled:  # afterwards the weights are what they are, and may have been trained on
            seen = self._evaluation_weights() != 0 if self.criterion.latent else seen.logical_and_(self.mask)
        return (n - int(torch.count_nonzero(seen))) / n

    def matrices(self) -> Iterator[tuple[str, State, Tensor]]:
        """Name, state and [out, in] weights of each matrix, for calibration of criteria that see matrices."""
        names = [matrix.name for matrix in self.weights.matrices]
        yield from zip(names, self.states, self.weights.views(self.weights.vector.data), strict=True)

    def scores(self) -> Tensor:
        """Scores [n] in the order of the flat vector; PrunebenchError names criterion and layer if one is not finite."""
        flat = self._scores()
        if not all_finite(flat):
            raise PrunebenchError(self._not_finite(flat))
        return flat

    def state_dict(self) -> dict[str, Tensor]:
        """What a resumed run needs besides the model: mask, criterion state, step counts, latent weights, weights to rewind to."""
        return state_of(self)

    def load_state_dict(self, saved: dict[str, Tensor]) -> None:
        """Restore what `state_dict` returned, in place; PrunebenchError where it is no state of a Pruner of such a model."""
        restore(self, saved)
        self.loop.moved = self.loop.before = self.ranked_by = None
        if self.criterion.latent:
            self._apply()
        if saved["settled"]:
            self.effective, self.settled = self.weights.vector.data, True
            self.weights.point_at(self.effective)

    def as_seen(self, vector: Tensor) -> list[Tensor]:
        """`vector` [n] as the criterion sees it: whole, as [out, in] matrices, or as stacks of these (copies)."""
        if self.criterion.elementwise:
            return [vector]
        views = self.weights.views(vector)
        return [torch.stack([views[i] for i in places]) for places in self.stacks] if self.stacks else views

    def flattened(self, matrices: list[Tensor]) -> Tensor:
        """The inverse of `as_seen`: one flat vector [n]."""
        if self.criterion.elementwise:
            return matrices[0]
        flat = torch.empty(self.mask.shape, dtype=matrices[0].dtype, device=self.mask.device)
        views = self.weights.views(flat)
        if self.stacks:
            views = [views[i] for places in self.stacks for i in places]
            matrices = [matrix for stack in matrices for matrix in stack]
        torch._foreach_copy_(views, matrices)
        return flat

    def gates(self, training: bool) -> Tensor:
        """What the criterion multiplies each weight by [n], while it trains or once it is evaluated."""
        shown = zip(self.states, self.as_seen(self.weights.vector.data), self.as_seen(self.mask), strict=True)
        given = [(weight, self.criterion.gate(state, weight, mask, training)) for state, weight, mask in shown]
        return self.flattened([fitting(self.criterion, "gate", gates, weight) for weight, gates in given])

    def _evaluation_weights(self) -> Tensor:
        """The flat weights with the current mask, or the latent criterion's evaluation gates, applied."""
        if self.criterion.latent and not self.settled:
            return self.gated(self.gates(training=False))
        return self.gated(self.mask)

    def gated(self, gates: Tensor) -> Tensor:
        """The flat weights times `gates`, in a vector of their own."""
        vector = self.weights.vector.data
        return gate(vector, gates, out=fresh(vector.shape, vector.device))

    def _remask(self, sparsity: float) -> None:
        """Compute the mask at `sparsity`, and let the criterion adjust the weights that stay."""
        self.last_masking = (self.steps_taken, sparsity)
        vector, criterion = self.weights.vector.data, self.criterion
        alone = criterion.overrides("sweep") or criterion.overrides("observe_inputs")
        each = alone and criterion.exact and not criterion.latent
        quotas = self.scope.quotas(self.weights.shapes, sparsity) if each else None
        if quotas is not None:
            calibrated = self._settle_each(quotas)
        else:
            calibrated = self.calibrate is not None and self.calibrate(self)
            self._settle_together(sparsity)
        if calibrated:  # every process calibrates, and a GPU's sums may differ in the last bit
            parallel.share([self.mask.view(torch.uint8), vector])

    def _settle_together(self, sparsity: float) -> None:
        """One mask from all scores, then the criterion's answer to it."""
        vector = self.weights.vector.data
        if self.criterion.exact:
            self._rank_again(sparsity)
        else:
            step = replace(self.step(), sparsity=sparsity)
            kept = [
                fitting_mask(self.criterion, "keep", self.criterion.keep(state, weight, step), weight)
                for state, weight in zip(self.states, self.as_seen(vector), strict=True)
            ]
            self.mask = self.flattened(kept)
        if self.on_new_mask is not None:
            self.on_new_mask(self)
        if self.criterion.overrides("compensate"):
            for state, weight, mask in zip(self.states, self.as_seen(vector), self.as_seen(self.mask), strict=True):
                self.criterion.compensate(state, weight, mask)

    def _settle_each(self, quotas: Sequence[Quota]) -> bool:
        """Matrix after matrix, on the way through calibration where that goes block by block; whether anything was shown."""
        moved = self.weights.vector.data.clone()
        views, masks = self.weights.views(moved), dict[int, Tensor]()

        def choose(i: int) -> Tensor:
            name = self.weights.matrices[i].name
            masks[i] = sweep(self.criterion, self.states[i], views[i], quotas[i], name)
            return masks[i]

        def settle(places: Sequence[int]) -> None:
            for i in places:  # calibration looks at a copy of the weights, which is what goes on through the model
                kept = choose(i)
                self.weights.matrices[i].data.copy_(views[i].masked_fill(~kept, 0))

        calibrated = self.calibrate is not None and self.calibrate(self, settle)
        for i in range(len(views)):
            if i not in masks:
                choose(i)
        self.mask = self.flattened([masks[i] for i in range(len(views))])
        if self.on_new_mask is not None:
            self.on_new_mask(self)
        self.weights.vector.data.copy_(moved)
        return calibrated

    def _rank_again(self, sparsity: float) -> None:
        """Rank the scores for a new mask, unless neither they nor the sparsity changed since the current one."""
        versions = [self.criterion.version(state) for state in self.states]
        if None in versions or self.ranked_by != (sparsity, versions):
            with lending(self.weights.grad):  # the optimizer has taken its step: a vector less at the peak
                self.mask = self._exact_mask(self._checked_scores(), sparsity)
            self.ranked_by = sparsity, versions

    def _checked_scores(self) -> Tensor:
        """`scores`; where nobody may wait for them, only noting whether they are finite."""
        if not self.checks_late:
            return self.scores()
        scores = self._scores()
        low, high = scores.aminmax()
        self.late_check += low * 0 + high * 0
        return scores

    def _scores(self) -> Tensor:
        """As `scores`, without the check."""
        shown = self.as_seen(self.weights.vector.data)
        scores = [score(self.criterion, state, weight) for state, weight in zip(self.states, shown, strict=True)]
        return self.flattened(scores).float()

    def _require_finite(self) -> None:
        """PrunebenchError if the scores of a masking were not finite and this was only noted."""
        if self.checks_late and self.late_check.item() != 0:
            raise PrunebenchError(self._not_finite(self._scores()))

    def _exact_mask(self, scores: Tensor, sparsity: float) -> Tensor:
        """The exact mask. Scores of layers that store their weight as [in, out] are reordered first if the scope needs that."""
        transposed = any(matrix.transposed for matrix in self.weights.matrices)
        if not (transposed and self.scope.two_dimensional):
            return make_mask(scores, self.weights.shapes, self.scope, sparsity)
        rows = torch.cat([view.reshape(-1) for view in self.weights.views(scores)])
        mask = make_mask(rows, self.weights.shapes, self.scope, sparsity)
        stored = torch.empty_like(mask)
        parts = mask.split(self.weights.sizes)
        for view, part in zip(self.weights.views(stored), parts, strict=True):
            view.copy_(part.view(view.shape))
        return stored

    def _apply(self) -> None:
        if self.criterion.latent:
            gate(self.weights.vector.data, self.gates(training=True), out=self.effective)
            self.weights.point_at(self.effective)
        else:
            gate(self.weights.vector.data, self.mask, out=self.weights.vector.data)

    def _keep_for_rewind(self) -> None:
        """Copy the weights if the schedule will rewind to this step."""
        if self.steps_taken in self._rewind_steps:
            self.rewind_weights[self.steps_taken] = self.weights.vector.data.clone()

    def _not_finite(self, flat: Tensor) -> str:
        if not torch.isfinite(self.weights.vector).all():
            return f"the weights are not finite after step {self.steps_taken}: try a lower learning rate or a longer warm-up"
        for matrix, part in zip(self.weights.matrices, self.weights.parts(flat), strict=True):
            if said := bad_scores(self.criterion, part, matrix.name):
                return said
        return f"criterion {type(self.criterion).__name__} gave scores that are not finite"
