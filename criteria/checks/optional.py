"""The part of the contract that only some criteria have to keep: gates, a rule of their own, compensation, sweeps, what may be tuned,
predictions; and what a criterion costs."""

import dataclasses
import time
from collections.abc import Callable

import torch
from torch import Tensor

from criteria.base import Criterion
from criteria.checks import trials
from criteria.checks.trials import SHAPES, STEPS, Moment
from criteria.common.slips import untyped
from criteria.magnitude import Magnitude

NOTHING = "skipped, because it declares nothing to tune"
ROUNDS, SECONDS = 20, 0.1
"""A time is measured at most ROUNDS times and for at most SECONDS in all; the fastest counts."""


def gates(criterion: Criterion) -> str:
    """What multiplies the weights of latent criteria is finite, shaped like them, and closed where the mask is in evaluation."""
    if not criterion.latent:
        assert not criterion.overrides("gate"), (
            f"{type(criterion).__name__}.gate is never asked: set latent: ClassVar[bool] = True"
        )
        return "skipped, because it has no latent weights"
    moment = trials.history(SHAPES[0], 1)[0]
    state, mask = trials.start(criterion, [moment]), trials.half(moment.weight)
    for training in (True, False):
        gate = criterion.gate(state, moment.weight, mask, training) * 1.0
        trials.assert_shape(criterion, gate, SHAPES[0], "from gate")
        trials.assert_finite(criterion, gate, "from gate")
        assert torch.equal(gate, criterion.gate(state, moment.weight, mask, training) * 1.0), (
            f"{type(criterion).__name__}.gate gives another gate when asked twice between two steps: `observe` must know the "
            "gate that the forward pass used; let random gates be a function of a seed and the steps observed"
        )
    assert not gate[~mask].any(), (
        f"{type(criterion).__name__}.gate lets pruned weights through in evaluation: multiply by the mask"
    )
    return "finite, repeatable, closed under the mask in evaluation"


def own_rule(criterion: Criterion) -> str:
    """Criteria that are not exact decide by `keep`: a bool tensor shaped like the weight."""
    if criterion.exact:
        return "skipped, because it has none: the lowest scores are pruned"
    assert criterion.overrides("keep"), (
        f"{type(criterion).__name__} is not exact but has no rule of its own: define keep"
    )
    moments = trials.history(SHAPES[0], STEPS)
    state = trials.start(criterion, moments)
    shares = []
    for index, _ in enumerate(trials.play(criterion, state, moments)):
        mask = criterion.keep(state, moments[index].weight, trials.step(index))
        assert mask.dtype == torch.bool, (
            f"{type(criterion).__name__}.keep gives {mask.dtype}: return a bool tensor, True = kept"
        )
        trials.assert_shape(criterion, mask.float(), SHAPES[0], "from keep")
        shares.append(float(mask.float().mean()))
    return f"keeps {shares[0]:.0%} at first, {shares[-1]:.0%} after {STEPS} steps"


def compensation(criterion: Criterion) -> str:
    """`compensate` leaves finite weights, the mask as it was, and with nothing pruned everything as it was."""
    if not criterion.overrides("compensate"):
        return "skipped, because it adjusts no weights"
    moment = trials.history(SHAPES[0], 1)[0]
    state, mask = trials.start(criterion, [moment]), trials.half(moment.weight)
    next(trials.play(criterion, state, [moment]))
    weight, given = moment.weight.clone(), mask.clone()
    criterion.compensate(state, weight, given)
    assert torch.isfinite(weight).all(), f"{type(criterion).__name__}.compensate leaves weights that are not finite"
    assert torch.equal(given, mask), (
        f"{type(criterion).__name__}.compensate changes the mask: it may adjust kept weights only"
    )
    whole = moment.weight.clone()
    criterion.compensate(state, whole, torch.ones_like(mask))
    assert torch.allclose(whole, moment.weight), (
        f"{type(criterion).__name__}.compensate moves weights although none is pruned"
    )
    moved = float((weight - moment.weight)[mask].norm() / moment.weight[mask].norm())
    return f"kept weights move by {moved:.0%} of their norm at half sparsity"


@dataclasses.dataclass(frozen=True)
class Half:
    """Lets the lower half of every `group` neighbours of a row go, of all columns that are shown where the group is 1; and notes the
    columns that it was asked about and what it told."""

    group: int
    drop: float = 0.5
    asked: list[tuple[int, Tensor]] = dataclasses.field(default_factory=list)

    def __call__(self, scores: Tensor, start: int) -> Tensor:
        rest = start % self.group + scores.shape[1] % self.group
        assert rest == 0, (
            f"columns {start} to {start + scores.shape[1]} cut a group of {self.group}: ask `choose` about whole groups"
        )
        parts = scores.reshape(-1, self.group if self.group > 1 else scores.shape[1])
        kept = (parts.argsort(dim=1).argsort(dim=1) >= int(self.drop * parts.shape[1])).view(scores.shape)
        self.asked.append((start, kept))
        return kept.clone()


def sweeping(criterion: Criterion) -> str:
    """`sweep` asks about every column once, gives the mask that it was told, and with nothing to prune moves nothing."""
    name = type(criterion).__name__
    if not criterion.overrides("sweep"):
        return "skipped, because it has no sweep: masks are chosen from its scores"
    moment = trials.history((6, 12), 1)[0]
    for group in (1, 2, 4):
        state = trials.start(criterion, [moment])
        next(trials.play(criterion, state, [moment]))
        weight, choose = moment.weight.clone(), Half(group)
        mask = criterion.sweep(state, weight, choose)
        assert mask.dtype == torch.bool, f"{name}.sweep gives {mask.dtype}: return a bool tensor, True = kept"
        trials.assert_shape(criterion, mask, tuple(weight.shape), "from sweep")
        columns = [column for start, part in choose.asked for column in range(start, start + part.shape[1])]
        assert sorted(columns) == list(range(weight.shape[1])), (
            f"{name}.sweep asks `choose` about columns {columns}: ask about each column of the matrix once"
        )
        told = torch.cat([part for _, part in sorted(choose.asked, key=lambda one: one[0])], dim=1)
        assert torch.equal(mask, told), f"{name}.sweep gives another mask than `choose` told it: return what it says"
        assert torch.isfinite(weight).all(), f"{name}.sweep leaves weights that are not finite"
    whole = moment.weight.clone()
    criterion.sweep(state, whole, Half(1, 0.0))
    assert torch.allclose(whole, moment.weight), f"{name}.sweep moves weights although none is pruned"
    return "masks as told, in groups of 1, 2 and 4"


def search_space(criterion: Criterion) -> str:
    """What `search` names are options, and the criterion can be built with the values at the ends of every range."""
    name = type(criterion).__name__
    fields = {field.name: getattr(criterion, field.name) for field in dataclasses.fields(criterion)}  # type: ignore[arg-type]
    for option, space in criterion.search.items():
        meant = untyped(type(criterion), option)
        hint = f"give it a type, {meant}" if meant else f"choose among {', '.join(fields) or 'none'}"
        assert option in fields, f"{name}.search names {option!r}, which is no option: {hint}"
        for value in space.ends:
            assert type(value) is type(fields[option]), (
                f"{name}.search gives {option}={value!r}, but the option holds {type(fields[option]).__name__}: write such values"
            )
            try:
                dataclasses.replace(criterion, **{option: value})  # type: ignore[type-var]
            except ValueError as error:
                raise AssertionError(
                    f"{name}.search offers {option}={value!r}, which {name} refuses: {error}"
                ) from error
    count = len(criterion.search)
    return f"{count} option{'s' * (count != 1)} to tune: {', '.join(criterion.search)}" if count else NOTHING


def predictions(criterion: Criterion) -> str:
    """What `predicted` gives is finite and shaped like the weight, or None."""
    moments = trials.history(SHAPES[0], STEPS)
    state, given = trials.start(criterion, moments), 0
    for index, _ in enumerate(trials.play(criterion, state, moments)):
        found = criterion.predicted(state, moments[index].weight)
        if found is not None:
            trials.assert_shape(criterion, found, SHAPES[0], "from predicted")
            trials.assert_finite(criterion, found, "from predicted")
            found.fill_(-1)
            again = criterion.predicted(state, moments[index].weight)
            assert again is None or not torch.equal(again, found), (
                f"{type(criterion).__name__}.predicted hands out its statistics: return a new tensor (.clone())"
            )
            given += 1
    return f"a change of the loss in {given} of {STEPS} steps" if given else "skipped, because it predicts no loss"


def cost(criterion: Criterion) -> str:
    """Time and memory for a matrix of 65,536 weights; only reported.

    Times are multiples of what magnitude's score takes, measured in turns with it: so a busy machine slows both.
    """
    moments = trials.history((128, 512), 3)
    state, magnitude = trials.start(criterion, moments), Magnitude()
    actions: tuple[Callable[[int, Moment], object], ...] = (
        lambda _, m: magnitude.score({}, m.weight),
        lambda index, m: criterion.observe(state, m.weight, m.grad, trials.step(index)),
        lambda _, m: trials.calibrate(criterion, state, m),
        lambda _, m: criterion.score(state, m.weight),
    )
    rounds: list[list[float]] = []
    while len(rounds) < len(moments) or (len(rounds) < ROUNDS and sum(map(sum, rounds)) < SECONDS):
        index = len(rounds) % len(moments)
        rounds.append([_seconds(action, index, moments[index]) for action in actions])
    unit, *fastest = (min(times) for times in zip(*rounds, strict=True))
    observing, calibrating, scoring = (f"{time / unit:,.{1 if time < 10 * unit else 0}f}" for time in fastest)
    size = sum(t.numel() * t.element_size() for t in state.values()) / moments[0].weight.numel()
    calibration = f", calibration on {trials.EXAMPLES} examples {calibrating}" if fastest[1] > unit else ""
    return f"observe {observing}{calibration}, score {scoring} times what magnitude's score takes; state {size:.0f} bytes a weight"


def _seconds(action: Callable[[int, Moment], object], index: int, moment: Moment) -> float:
    started = time.perf_counter()
    action(index, moment)
    return time.perf_counter() - started
