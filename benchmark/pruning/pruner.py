"""Pruner: one model's criterion state, schedule and mask. Works in any training loop:

    pruner = Pruner(model, criterion, schedule, sparsity=0.8, total=1000)
    ...  loss.backward()
         pruner.observe(lr)          # after clipping, before the optimizer
         optimizer.step()
         pruner.prune()              # recomputes and applies the mask when the schedule says so; it may zero the gradients
    pruner.finish()                  # one last exact mask, after exactly `total` steps

A step whose gradients are not finite is neither observed nor counted: under mixed precision the scaler skips it.

Elementwise criteria see the whole model as one flat vector, the others one [out, in] matrix at a time. Weights are zeroed in
place and may regrow until the next masking (as in PLATON and PINS) unless the schedule holds its mask; latent criteria keep a
value underneath and the forward pass sees weight * gate. From `observe` to `prune` the parameters are those values, so that any
optimizer over `model.parameters()` moves them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Integral, Real

import torch
from torch import Tensor, nn

from benchmark.errors import PrunebenchError
from benchmark.machine import parallel
from benchmark.machine.stopwatch import Stopwatch
from benchmark.pruning.flat import PrunableWeights
from benchmark.pruning.masks import gate, make_mask, parse_scope
from benchmark.pruning.prunable import find_prunable, prunable_of
from benchmark.pruning.schedules.base import Schedule
from benchmark.pruning.selection import count_true
from criteria.base import Criterion, State, Step
from criteria.common.blocks import fresh, lending

CALIBRATIONS = ("observe_inputs", "observe_example", "observe_hessian")
"""The methods of a criterion that calibration calls."""


class Pruner:
    """Prunes `model` to `sparsity` in [0, 1) over `total` optimizer steps; `peak` is the highest learning rate, if it is known.

    PrunebenchError for what does not fit. A model with frozen linear layers is refused unless `skip_frozen` asks for its trained
    ones alone.
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
        require_sparsity(sparsity)
        require_whole("total", total, 1)
        require_whole("seed", seed, 0)
        require_kinds(criterion, schedule)
        self.scope = parse_scope(scope)
        self.weights = weights or PrunableWeights(find_prunable(model, scope == "published", skip_frozen))
        self.scope.check(self.weights.shapes, sparsity)
        check_schedule(schedule, sparsity, total)
        self.prunable_of = prunable_of(model)
        """How many linear weights inside the model's blocks may be pruned, and how many there are."""
        self.criterion, self.schedule = criterion, schedule
        self.target, self.total, self.taken, self.peak = sparsity, total, 0, peak
        self.observed, self.skipped, self.skips = 0, 0, False
        """Steps observed so far, steps that the optimizer skipped, and whether it will skip the coming step."""
        self._wanted = {schedule.rewind(step, total) for step in range(total)}
        self.mask = torch.ones_like(self.weights.vector, dtype=torch.bool)
        self.settled = False
        generator = torch.Generator().manual_seed(seed)
        self.states: list[State] = [criterion.init(part, generator) for part in self._shown(self.weights.vector.data)]
        self.calibrate: Callable[[Pruner], bool] | None = None
        """Shows the criterion calibration batches before each masking; False if it wants none. Set by whoever owns the data."""
        self.witness: Callable[[Pruner], None] | None = None
        """Shown every new mask before it is applied, for diagnostics; must leave everything as it is."""
        self.masked: tuple[int, float] | None = None
        """Steps taken and sparsity at the last masking."""
        self.ranked: tuple[float, list[int | None]] | None = None
        """Sparsity and versions of the scores that the mask in force was ranked by."""
        self.remembered: dict[int, Tensor] = {}
        self.watch = Stopwatch(self.mask.device)
        self.effective = self._separate() if criterion.latent else self.weights.vector.data
        self._remember()

    @property
    def scheduled(self) -> float:
        """Sparsity in force after the last step taken."""
        return self.schedule.sparsity(max(self.taken - 1, 0), self.total, self.target)

    @property
    def seconds(self) -> float:
        """Time spent in the criterion and in masking."""
        return self.watch.seconds

    @property
    def reached(self) -> bool:
        """Whether the mask in force was made at the target sparsity."""
        return self.masked is not None and self.masked[1] == self.target

    def step(self, lr: float = 0.0) -> Step:
        """The coming optimizer step, as criteria see it."""
        return self._step(lr, self.scheduled if self.taken else 0.0)

    def observe(self, lr: float, finite: bool | None = None) -> None:
        """Show the criterion weights and gradients; `lr` is the learning rate of the coming optimizer step.

        `finite` says whether all gradients are finite, where the caller knows: a scaler does, and so does a loop that ends when
        the loss is not. Left out, the prunable weights' gradients are looked at, for which a GPU is waited for.
        """
        with self.watch.running():
            grad, step = self.weights.collect(), self.step(lr)
            self.skips = not (all_finite(grad) if finite is None else finite)
            # The forward's own gates, before states move on.
            gates = self._gates(training=True) if self.criterion.latent else None
            if self.skips:
                self.skipped += 1
            else:
                self.observed += 1
                for state, weight, part in zip(
                    self.states, self._shown(self.weights.vector.data), self._shown(grad), strict=True
                ):
                    self.criterion.observe(state, weight, part, step)
            if gates is not None:
                gate(grad, gates, out=grad)  # the chain rule through weight * gate
                self.weights.point_at(self.weights.vector.data)

    def prune(self) -> None:
        """After the optimizer step: recompute the mask if it is due, and apply it."""
        if not self.taken:
            self._require_calibration()
        with self.watch.running():
            if self.skips:  # the optimizer left the weights as they were
                self.skips = False
                if self.criterion.latent:
                    self._apply()
                return
            index = self.taken
            self.taken += 1
            if self.schedule.due(index, self.total):
                self._masking(self.scheduled)
                if (back := self.schedule.rewind(index, self.total)) is not None:
                    self.weights.vector.data.copy_(self.remembered[back])
                self._apply()
            elif self.criterion.latent or self.schedule.holds(index, self.total):
                self._apply()
            self._remember()

    def finish(self) -> None:
        """The final mask: exactly the target (or what a criterion that is not exact keeps), zeros in place for good.

        PrunebenchError where the loop cannot have been meant: other steps than `total`, or a criterion that learns from
        gradients and was not shown those of every step. `settle` ends a run early with the mask that it has.
        """
        self._require_calibration()
        self._require_steps()
        with self.watch.running():
            held = self.reached and self.schedule.holds(max(self.taken - 1, 0), self.total)
            if not held and self.masked != (self.taken, self.target):
                self._masking(self.target)
            self.settle()

    def settle(self) -> None:
        """Write the weights that evaluation sees now into the parameters themselves; nothing is latent any more."""
        self.weights.vector.data.copy_(self._evaluated())
        self.effective, self.settled = self.weights.vector.data, True
        self.weights.point_at(self.effective)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The model as it would be reported now: current mask applied; training goes on undisturbed afterwards."""
        self.weights.point_at(self._evaluated())
        try:
            yield
        finally:
            self.weights.point_at(self.effective)

    def measure(self) -> float:
        """The share of the weights that evaluation sees as zero."""
        n, direct = self.mask.numel(), self.settled or not self.criterion.latent
        seen = (self.weights.vector.data != 0).logical_and_(self.mask) if direct else self._evaluated() != 0
        return (n - count_true(seen)) / n

    def matrices(self) -> Iterator[tuple[str, State, Tensor]]:
        """Name, state and [out, in] weights of each matrix, for calibration of criteria that see matrices."""
        names = [matrix.name for matrix in self.weights.matrices]
        yield from zip(names, self.states, self.weights.views(self.weights.vector.data), strict=True)

    def scores(self) -> Tensor:
        """Scores [n] in the layout of the flat vector; PrunebenchError names criterion and layer of one that is not finite."""
        shown = self._shown(self.weights.vector.data)
        scores = [self._score(state, weight) for state, weight in zip(self.states, shown, strict=True)]
        flat = self._stored(scores).float()
        if not all_finite(flat):
            raise PrunebenchError(self._not_finite(flat))
        return flat

    def state_dict(self) -> dict[str, Tensor]:
        """Everything a resumed run needs beyond the model's own: mask, criterion state, steps taken, latent and remembered weights."""
        named = {f"state.{i}.{key}": value for i, state in enumerate(self.states) for key, value in state.items()}
        kept = {f"remembered.{step}": value for step, value in self.remembered.items()}
        taken, sparsity = self.masked or (-1, 0.0)
        masked = torch.tensor([taken, sparsity], dtype=torch.float64)
        latent = {"latent": self.weights.vector.data} if self.criterion.latent else {}
        counts = {name: torch.tensor(getattr(self, name)) for name in ("taken", "observed", "skipped", "settled")}
        own = {**counts, "masked": masked}
        seconds = torch.tensor(self.seconds, dtype=torch.float64)
        return {"mask": self.mask, "seconds": seconds, **own, **latent, **named, **kept}

    def load_state_dict(self, saved: dict[str, Tensor]) -> None:
        """Take back what `state_dict` gave, in place."""
        self.mask.copy_(saved["mask"])
        self.ranked = None
        self.taken, self.watch.total = int(saved["taken"]), float(saved["seconds"])
        # Checkpoints of earlier versions lack these two; their loops observed every step and skipped none.
        self.observed, self.skipped = int(saved.get("observed", saved["taken"])), int(saved.get("skipped", 0))
        taken, sparsity = saved["masked"].tolist()
        self.masked = (int(taken), sparsity) if taken >= 0 else None
        for i, state in enumerate(self.states):
            own = f"state.{i}."
            mine = {key.removeprefix(own): value for key, value in saved.items() if key.startswith(own)}
            # Counters may lie on the CPU beside statistics on the device: each goes where `init` put it.
            places = {key: state[key].device if key in state else self.mask.device for key in mine}
            state.update({key: value.to(places[key], copy=True) for key, value in mine.items()})
        past = {int(k.split(".")[1]): v for k, v in saved.items() if k.startswith("remembered.")}
        self.remembered = {step: value.to(self.mask.device, copy=True) for step, value in past.items()}
        if self.criterion.latent:
            self.weights.vector.data.copy_(saved["latent"])
            self._apply()
        if saved["settled"]:
            self.effective, self.settled = self.weights.vector.data, True
            self.weights.point_at(self.effective)

    def _step(self, lr: float, sparsity: float) -> Step:
        matrices = sum(not matrix.name.endswith(".bias") for matrix in self.weights.matrices)
        return Step(self.taken, self.total, lr, sparsity, self.target, self.peak, matrices)

    def _shown(self, vector: Tensor) -> list[Tensor]:
        """`vector` as the criterion sees it."""
        return [vector] if self.criterion.elementwise else self.weights.views(vector)

    def _stored(self, matrices: list[Tensor]) -> Tensor:
        """The inverse of `_shown`: [out, in] tensors back into one flat vector."""
        if self.criterion.elementwise:
            return matrices[0]
        flat = torch.empty(self.mask.shape, dtype=matrices[0].dtype, device=self.mask.device)
        for view, matrix in zip(self.weights.views(flat), matrices, strict=True):
            view.copy_(matrix)
        return flat

    def _separate(self) -> Tensor:
        """A second vector for the forward pass of latent criteria."""
        effective = self._gated(self._gates(training=True))
        self.weights.point_at(effective)
        return effective

    def _gates(self, training: bool) -> Tensor:
        shown = zip(self.states, self._shown(self.weights.vector.data), self._shown(self.mask), strict=True)
        return self._stored([self.criterion.gate(state, weight, mask, training) for state, weight, mask in shown])

    def _evaluated(self) -> Tensor:
        """The flat weights that evaluation sees."""
        if self.criterion.latent and not self.settled:
            return self._gated(self._gates(training=False))
        return self._gated(self.mask)

    def _gated(self, gates: Tensor) -> Tensor:
        """The flat weights times `gates`, in a vector of their own."""
        vector = self.weights.vector.data
        return gate(vector, gates, out=fresh(vector.shape, vector.device))

    def _masking(self, sparsity: float) -> None:
        """Recompute the mask at `sparsity` and let the criterion compensate for what goes."""
        self.masked = (self.taken, sparsity)
        calibrated = self.calibrate is not None and self.calibrate(self)
        vector = self.weights.vector.data
        if self.criterion.exact:
            self._renew(sparsity)
        else:
            step = self._step(0.0, sparsity)
            kept = [
                self._fitting("keep", self.criterion.keep(state, weight, step), weight)
                for state, weight in zip(self.states, self._shown(vector), strict=True)
            ]
            self.mask = self._stored(kept).bool()
        if self.witness is not None:
            self.witness(self)
        if self.criterion.overrides("compensate"):
            for state, weight, mask in zip(self.states, self._shown(vector), self._shown(self.mask), strict=True):
                self.criterion.compensate(state, weight, mask)
        if calibrated:  # every process calibrates, and a GPU's sums may differ in the last bit
            parallel.share([self.mask.view(torch.uint8), vector])

    def _renew(self, sparsity: float) -> None:
        """Rank for a new mask, unless scores and sparsity are those that gave the mask in force."""
        versions = [self.criterion.version(state) for state in self.states]
        if None in versions or self.ranked != (sparsity, versions):
            with lending(self.weights.grad):  # the optimizer has taken its step: a vector less at the peak
                self.mask = self._rank(self.scores(), sparsity)
            self.ranked = sparsity, versions

    def _rank(self, scores: Tensor, sparsity: float) -> Tensor:
        """The exact mask. Scopes within rows need matrices as [out, in], also where a layer stores its weight transposed."""
        transposed = any(matrix.transposed for matrix in self.weights.matrices)
        if not transposed or self.scope.kind in ("global", "published", "layer", "erk"):
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
            gate(self.weights.vector.data, self._gates(training=True), out=self.effective)
            self.weights.point_at(self.effective)
        else:
            gate(self.weights.vector.data, self.mask, out=self.weights.vector.data)

    def _remember(self) -> None:
        """Keep the weights that the schedule will rewind to."""
        if self.taken in self._wanted:
            self.remembered[self.taken] = self.weights.vector.data.clone()

    def _require_steps(self) -> None:
        """PrunebenchError unless the loop took `total` steps and showed the criterion each of them."""
        name, done = type(self.criterion).__name__, self.taken + self.skipped
        learns = self.criterion.overrides("observe")
        if learns and self.taken and not self.observed:
            raise PrunebenchError(
                f"{name} was shown no gradient in {self.taken} steps: call observe(lr) in every step, after clipping and before "
                "the optimizer"
            )
        if done != self.total:
            skipped = f", {self.skipped} of them skipped" if self.skipped else ""
            raise PrunebenchError(
                f"finish() after {done} of {self.total} steps{skipped}, at sparsity {self.scheduled if self.taken else 0:g} of "
                f"{self.target:g}: give the Pruner the number of optimizer steps that the loop takes, and call prune() once after "
                "each; to end early with the mask in force, call settle()"
            )
        if learns and self.observed != self.taken:
            raise PrunebenchError(
                f"{name} was shown the gradients of {self.observed} steps, {self.taken} were taken: call observe(lr) once in "
                "every step"
            )

    def _require_calibration(self) -> None:
        """PrunebenchError where a criterion asks for calibration and nobody set who shows it the data."""
        if self.calibrate is None and (asked := [m for m in CALIBRATIONS if self.criterion.overrides(m)]):
            raise PrunebenchError(
                f"{type(self.criterion).__name__} ranks by what calibration shows to {' and '.join(asked)}, and pruner.calibrate "
                "is not set: set it to calibrator(model, loss, batches) of benchmark.pruning.calibrate"
            )

    def _score(self, state: State, weight: Tensor) -> Tensor:
        """The scores of one tensor; PrunebenchError where they do not fit it, or `score` wrote to it."""
        version = weight._version
        scores = self._fitting("score", self.criterion.score(state, weight), weight)
        if weight._version != version:
            raise PrunebenchError(
                f"criterion {type(self.criterion).__name__}: score changes the weights in place: work on a copy (weight.abs(), "
                "not weight.abs_())"
            )
        return scores

    def _fitting(self, method: str, value: object, weight: Tensor) -> Tensor:
        """`value` where it is a tensor of the weight's shape, else PrunebenchError."""
        if not isinstance(value, Tensor) or value.shape != weight.shape:
            found = list(value.shape) if isinstance(value, Tensor) else f"a {type(value).__name__}"
            raise PrunebenchError(
                f"criterion {type(self.criterion).__name__}: {method} gave {found} for a weight of shape {list(weight.shape)}: "
                "one value a weight"
            )
        return value

    def _not_finite(self, flat: Tensor) -> str:
        if not torch.isfinite(self.weights.vector).all():
            return f"the weights are not finite after step {self.taken}: try a lower learning rate or a longer warm-up"
        for matrix, part in zip(self.weights.matrices, self.weights.parts(flat), strict=True):
            bad = int((~torch.isfinite(part)).sum())
            if bad:
                name = type(self.criterion).__name__
                return f"criterion {name} gave {bad} of {part.numel()} scores that are not finite in {matrix.name}"
        return f"criterion {type(self.criterion).__name__} gave scores that are not finite"


def check_schedule(schedule: Schedule, sparsity: float, total: int) -> None:
    """PrunebenchError where `schedule` does not fit a run of `total` steps."""
    try:
        schedule.sparsity(0, total, sparsity)
    except ValueError as error:
        raise PrunebenchError(f"schedule {type(schedule).__name__}: {error}") from error


def all_finite(vector: Tensor) -> bool:
    """Whether all of `vector` [n] is finite."""
    # At the speed of memory; a sum of squares that overflows says nothing.
    return bool(torch.isfinite(torch.dot(vector, vector))) or bool(torch.isfinite(vector).all())


def require_sparsity(value: object) -> None:
    """PrunebenchError unless `value` is a sparsity, a number in [0, 1)."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < 1:
        hint = f": {value / 100:g} for {value} %" if isinstance(value, int) and 1 < value < 100 else ""
        raise PrunebenchError(f"sparsity {value!r}: expected a share of the weights in [0, 1){hint}")


def require_whole(name: str, value: object, low: int) -> None:
    """PrunebenchError unless `value` is a whole number from `low` on that torch can hold."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not low <= int(value) < 2**63:
        raise PrunebenchError(f"{name} {value!r}: expected a whole number from {low} on")


def require_kinds(criterion: object, schedule: object) -> None:
    """PrunebenchError unless these are a configured criterion and a configured schedule."""
    for value, kind, plural in ((criterion, Criterion, "criteria"), (schedule, Schedule, "schedules")):
        if not isinstance(value, kind):
            name = value if isinstance(value, str) else "name"
            raise PrunebenchError(
                f"{kind.__name__.lower()} {value!r}: expected a configured one, such as configure({plural!r}, {name!r})"
            )
