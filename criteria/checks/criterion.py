"""The contract that every criterion must keep, for plugin authors: each assertion says what to do.

A plugin's own test needs no more than this:
    for name, seen in check_criterion(MyCriterion(beta=0.9)):
        print(name, seen)
"""

import dataclasses
import io
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor

from criteria.base import Criterion, State
from criteria.checks import trials
from criteria.checks.optional import compensation, cost, gates, own_rule, predictions, search_space, sweeping
from criteria.checks.surroundings import put_back, random_states, settings
from criteria.checks.trials import SHAPES, STEPS, Moment
from criteria.common.slips import slips

Seen = tuple[str, str]
"""A check's name and what was seen, in words; what does not apply is "skipped, because ..."."""
WIDE = (16, 20)
"""The matrix of the planted example."""
SEED = "the seed alone"


def check_criterion(criterion: Criterion) -> list[Seen]:
    """Try the contract on `criterion` as it is configured; AssertionError, with advice, where it is broken."""
    return [(name, check()) for name, check in checks_of(criterion).items()]


def checks_of(criterion: Criterion) -> dict[str, Callable[[], str]]:
    """Every check by name, each to be called alone, whichever fails."""
    return {name: partial(check, criterion) for name, check in CHECKS.items()}


def hyperparameters(criterion: Criterion) -> str:
    """Options are the fields of a frozen dataclass, and nothing else lives on the object."""
    name = type(criterion).__name__
    assert dataclasses.is_dataclass(criterion), (
        f"decorate {name} with @dataclass(frozen=True): its fields are its options"
    )
    assert criterion.__dataclass_params__.frozen, (
        f"{name} can be changed: write @dataclass(frozen=True) and keep statistics in the state"
    )
    for own, meant in slips(type(criterion), Criterion):
        raise AssertionError(
            f"{name}.{own} is no part of the contract: did you mean {meant}? Call what is your own _{own}"
        )
    for method in ("observe_inputs", "compensate", "sweep"):
        assert not (criterion.elementwise and criterion.overrides(method)), (
            f"{name}.{method} needs matrices: set elementwise: ClassVar[bool] = False"
        )
    for method in ("observe_inputs", "observe_example", "observe_hessian", "compensate", "sweep"):
        assert not (criterion.stacks and criterion.overrides(method)), (
            f"{name}.{method} is called for one matrix at a time: leave stacks: ClassVar[bool] = False"
        )
    batches = criterion.calibration
    some = type(batches) is int and batches >= 1
    assert some, f"{name}.calibration is {batches!r}: expected how many batches to show, a whole number from 1 on"
    count = len(dataclasses.fields(criterion))
    return f"{count} option{'s' * (count != 1)}, {'flat vector' if criterion.elementwise else 'matrices'}"


def shape(criterion: Criterion) -> str:
    """Scores have the shape of the weight, before anything was observed and after."""
    histories = [trials.history(size, 2) for size in SHAPES]
    if criterion.elementwise:
        histories.append(trials.flattened(histories))
    for moments in histories:
        state, size = trials.start(criterion, moments), tuple(moments[0].weight.shape)
        for name, tensor in state.items():
            assert isinstance(tensor, Tensor), (
                f"{type(criterion).__name__}.init gives {name!r} of type {type(tensor).__name__}: tensors only"
            )
        trials.assert_shape(criterion, criterion.score(state, moments[0].weight), size, "before the first step")
        for scores in trials.play(criterion, state, moments):
            trials.assert_shape(criterion, scores, size, "after a step")
    return f"{len(SHAPES)} matrices" + ", one vector" * criterion.elementwise


def finiteness(criterion: Criterion) -> str:
    """Scores are finite whatever the harness may ask: before any step, zero weights, tiny and large numbers."""
    scales = (1.0, 0.0, 1e-12, 1e3)
    for scale in scales:
        moments = trials.history(SHAPES[0], STEPS, scale=scale)
        state = trials.start(criterion, moments)
        trials.assert_finite(
            criterion, criterion.score(state, moments[0].weight), f"before the first step, at scale {scale:g}"
        )
        for index, scores in enumerate(trials.play(criterion, state, moments)):
            trials.assert_finite(criterion, scores, f"at step {index}, with weights and gradients of scale {scale:g}")
    return f"{STEPS} steps at scales {', '.join(f'{scale:g}' for scale in scales)}"


def order(criterion: Criterion) -> str:
    """Scores of another kind than fp32 keep their order as fp32, in which the harness ranks."""
    moments = trials.history(SHAPES[0], STEPS)
    state, kinds = trials.start(criterion, moments), set[str]()
    first = criterion.score(state, moments[0].weight)
    for scores in (first, *trials.play(criterion, state, moments)):
        kind = str(scores.dtype).removeprefix("torch.")
        kinds.add(kind)
        if scores.dtype == torch.float32 or scores.dtype.itemsize <= 2:  # fp32 holds every number of 16 bits
            continue
        values, left = scores.unique().numel(), scores.float().unique().numel()
        assert left == values, (
            f"{type(criterion).__name__} gives scores in {kind} of which {values} differ, and only {left} as fp32, in which the "
            "harness ranks: the others would be ties. Subtract what all scores share, scale the rest to about 1, and "
            "return fp32"
        )
    return f"kept in fp32, scores in {', '.join(sorted(kinds))}"


def version(criterion: Criterion) -> str:
    """Scores that changed have another version: until it changes, a mask of the same sparsity is not ranked again."""
    moments = trials.history(SHAPES[0], STEPS)
    state, name, told = trials.start(criterion, moments), type(criterion).__name__, dict[int, tuple[int, Tensor]]()
    for index, scores in enumerate(trials.play(criterion, state, moments)):
        number = criterion.version(state)
        if number is None:
            continue
        assert isinstance(number, int), (
            f"{name}.version gives a {type(number).__name__}: return a plain whole number, or None"
        )
        since, known = told.setdefault(number, (index, scores))
        assert torch.equal(known, scores), (
            f"{name}.version is {number} after step {since} and after step {index}, but the scores changed in between, so the mask "
            "would not be ranked again: return another number whenever scores change, and None where they depend on the weights as "
            "they are"
        )
    return f"{len(told)} in {STEPS} steps" if told else "skipped, because it gives none, so every masking ranks"


def determinism(criterion: Criterion) -> str:
    """The same history and seed give the same scores bitwise, also beside another matrix; asking twice changes nothing."""
    moments, others = (trials.history(SHAPES[0], STEPS, seed) for seed in (0, 1))
    first = [scores.clone() for scores in trials.play(criterion, trials.start(criterion, moments), moments)]
    state, beside = trials.start(criterion, moments), trials.start(criterion, others)
    for index, one in enumerate(first):
        for its, moment in ((state, moments[index]), (beside, others[index])):
            criterion.observe(its, moment.weight, moment.grad, trials.step(index))
            trials.calibrate(criterion, its, moment)
        assert torch.equal(one, criterion.score(state, moments[index].weight)), (
            f"{type(criterion).__name__} gives other scores in a second run, beside another matrix, at step {index}: take all "
            "randomness from the generator in init, and keep statistics in the state, not on the object, class or module"
        )
    state = trials.start(criterion, moments)
    for _ in trials.play(criterion, state, moments[:3]):
        pass
    once = criterion.score(state, moments[2].weight)
    kept = once.clone()
    once.fill_(-1)
    assert torch.equal(criterion.score(state, moments[2].weight), kept), (
        f"{type(criterion).__name__}.score gives something else when asked again or after its scores were overwritten: "
        "return a new tensor (.clone()) and leave the statistics as they are"
    )
    return f"{STEPS} steps twice, bitwise"


def inputs_untouched(criterion: Criterion) -> str:
    """Weights, gradients, layer inputs and products are only read (`compensate` and `sweep` may write to the weight)."""
    moments = trials.history(SHAPES[0], 4)
    copies = [moment.scaled() for moment in moments]
    state = trials.start(criterion, moments)
    for index, scores in enumerate(trials.play(criterion, state, moments)):
        scores.fill_(-1)
        weight, before = copies[index].weight.clone(), {key: value.clone() for key, value in state.items()}
        criterion.score(state, weight)
        assert torch.equal(weight, copies[index].weight), (
            f"{type(criterion).__name__}.score changes the weight in place: work on copies (weight.abs(), not weight.abs_())"
        )
        assert [key for key, value in before.items() if not torch.equal(state[key], value)] == [], (
            f"{type(criterion).__name__}.score changes the state: work on copies; `observe` alone moves statistics"
        )
        mask = trials.half(moments[index].weight)
        criterion.keep(state, moments[index].weight, trials.step(index))
        for training in (True, False):
            criterion.gate(state, moments[index].weight, mask, training)
        assert torch.equal(mask, trials.half(mask)), f"{type(criterion).__name__}.gate changes the mask: work on a copy"
    for moment, copy in zip(moments, copies, strict=True):
        assert all(map(torch.equal, moment.tensors, copy.tensors)), (
            f"{type(criterion).__name__} changes a weight, gradient or calibration tensor that it was shown, or gives one back "
            "as scores: work on copies, and use in-place operations on the state only"
        )
    return "unchanged"


def surroundings_untouched(criterion: Criterion) -> str:
    """What the whole process shares is left alone: training draws its dropout from the global random state, after every masking."""
    moments = trials.history(SHAPES[0], 3)
    with _own_surroundings():
        before = random_states() | settings()
        state = trials.start(criterion, moments)
        for moment, _ in zip(moments, trials.play(criterion, state, moments), strict=True):
            mask = trials.half(moment.weight)
            criterion.keep(state, moment.weight, trials.step(0))
            criterion.gate(state, moment.weight, mask, True)
            if criterion.overrides("compensate"):
                criterion.compensate(state, moment.weight.clone(), mask)
        moved = [name for name, value in (random_states() | settings()).items() if value != before[name]]
    assert not moved, (
        f"{type(criterion).__name__} changes {' and '.join(moved)} for the whole process: take all randomness from the "
        "generator in init (keep a seed in the state), and set nothing global"
    )
    return f"{len(before)} settings and random states"


@contextmanager
def _own_surroundings() -> Iterator[None]:
    """Random states that no seed gives and plain settings, so that what sets them again is seen; all is put back afterwards."""
    with put_back(), torch.enable_grad():
        torch.rand(5), np.random.random(5), random.random()
        torch.set_default_dtype(torch.float32)
        torch.use_deterministic_algorithms(True)
        torch.set_float32_matmul_precision("high")
        yield


def own_statistics(criterion: Criterion) -> str:
    """Statistics lie in memory of their own: what a criterion is shown is overwritten in the next step."""
    moments = trials.history(SHAPES[0], 2)
    state, shown = trials.start(criterion, moments), []
    for index, moment in enumerate(moments):
        criterion.observe(state, moment.weight, moment.grad, trials.step(index))
        trials.calibrate(criterion, state, moment)
        shown += [part.untyped_storage().data_ptr() for part in moment.tensors]
        for name, tensor in state.items():
            assert not tensor.numel() or tensor.untyped_storage().data_ptr() not in shown, (
                f"{type(criterion).__name__} keeps a weight, gradient or calibration tensor itself as {name!r}, and the next step "
                f"overwrites it: write state[{name!r}].copy_(...), or keep a .clone()"
            )
    return f"{len(state)}, apart from what was shown"


def saved_state(criterion: Criterion) -> str:
    """A state that was saved, loaded and given to a new object of the same options has the same future, bitwise."""
    moments = trials.history(SHAPES[0], STEPS)
    half = STEPS // 2 + 1  # in the middle of a window of any usual length
    state = trials.start(criterion, moments)
    for _ in trials.play(criterion, state, moments[:half]):
        pass
    saved, fresh = _saved(criterion, state), dataclasses.replace(criterion)  # type: ignore[type-var]
    restored = trials.start(fresh, moments)
    for name in restored:
        assert name in saved, f"{type(criterion).__name__} drops {name!r} from its state: keep all names that init gave"
    restored.update({name: saved[name] for name in restored})
    advice = "keep all that later scores depend on in the state, under names that init gives, as tensors"
    for index in range(half, STEPS):
        futures = [
            (_gate(who, its, moments[index]), next(trials.play(who, its, [moments[index]], index)))
            for who, its in ((criterion, state), (fresh, restored))
        ]
        assert all(map(torch.equal, *futures)), (
            f"{type(criterion).__name__} goes on differently after a restore, at step {index}: {advice}"
        )
    return f"saved at step {half}, {STEPS - half} steps on, bitwise"


def flat_view(criterion: Criterion) -> str:
    """One flat vector of all weights gives the scores of the single matrices, where the criterion says so."""
    if not criterion.elementwise:
        return "skipped, because it is not elementwise"
    histories = [trials.history(size, STEPS, seed) for seed, size in enumerate(SHAPES)]
    flat = trials.flattened(histories)
    runs = [trials.play(criterion, trials.start(criterion, moments), moments) for moments in histories]
    whole = trials.play(criterion, trials.start(criterion, flat), flat)
    for index, (scores, *parts) in enumerate(zip(whole, *runs, strict=True)):
        joined = torch.cat([part.reshape(-1) for part in parts])
        scale = float(joined.abs().max())
        assert torch.allclose(scores, joined, rtol=1e-4, atol=1e-6 * scale), (
            f"{type(criterion).__name__} scores the flat vector unlike its matrices, at step {index}: each score may depend "
            "on its own weight's history alone; if it needs the matrix (or noise per matrix), set elementwise: ClassVar[bool] = False"
        )
    return f"{len(SHAPES)} matrices as one vector"


def dependence(criterion: Criterion) -> str:
    """Scores differ within a matrix, and depend on something: the weights, what was observed, or at least the seed."""
    moments, others = trials.planted(WIDE, STEPS)[0], trials.history(WIDE, STEPS)
    scores = list(trials.play(criterion, trials.start(criterion, moments), moments))[-1]
    assert scores.unique().numel() > 1, (
        f"{type(criterion).__name__} gives all weights of a matrix the same score, {scores.flatten()[0].item():g}: nothing is ranked"
    )
    other = list(trials.play(criterion, trials.start(criterion, moments), others))[-1]
    if not torch.equal(scores, other):
        return "the weights, or what was observed"
    reseeded = criterion.init(others[0].weight, torch.Generator().manual_seed(1))
    assert not torch.equal(other, list(trials.play(criterion, reseeded, others))[-1]), (
        f"{type(criterion).__name__} gives the same scores whatever the weights, gradients and seed: nothing is ranked"
    )
    return SEED


def planted_example(criterion: Criterion) -> str:
    """Weights that matter by every idea of importance score higher than those that do not."""
    moments, matters = trials.planted(WIDE, STEPS)
    scores = list(trials.play(criterion, trials.start(criterion, moments), moments))[-1]
    if dependence(criterion) == SEED:
        return f"skipped, because the scores depend on {SEED}"
    above = float((scores[matters][:, None] > scores[~matters][None, :]).float().mean())
    name = type(criterion).__name__
    assert above > 0.1, (
        f"{name} ranks a weight that is large, and that the loss pushes further from zero, below a negligible one in "
        f"{1 - above:.0%} of pairs: higher scores are kept, so the sign is the wrong way round. Return minus a score that says how "
        "well a weight can go; take out the minus in front of one that says how much it matters"
    )
    assert above > 0.9, (
        f"{name} ranks a weight that is large, and that the loss pushes further from zero, above a negligible one in {above:.0%} of "
        "pairs only, where chance gives 50%: see whether the formula uses the weight and the gradient as it should"
    )
    return f"{above:.0%} of pairs in order"


CHECKS: dict[str, Callable[[Criterion], str]] = {
    "hyperparameters": hyperparameters,
    "shape": shape,
    "inputs untouched": inputs_untouched,
    "surroundings untouched": surroundings_untouched,
    "own statistics": own_statistics,
    "finiteness": finiteness,
    "order in fp32": order,
    "version": version,
    "determinism": determinism,
    "saved state": saved_state,
    "dependence": dependence,
    "flat view": flat_view,
    "planted example": planted_example,
    "gates": gates,
    "own rule": own_rule,
    "compensation": compensation,
    "sweeping": sweeping,
    "search space": search_space,
    "predictions": predictions,
    "cost": cost,
}
"""The checks by name, in the order in which they run; each takes a criterion and says what was seen."""
CHEAP = set(CHECKS) - {"saved state", "planted example", "sweeping", "search space", "predictions", "cost"}
"""The quick checks, without which a criterion's row says nothing."""


def _gate(criterion: Criterion, state: State, moment: Moment) -> Tensor:
    return criterion.gate(state, moment.weight, trials.half(moment.weight), True)


def _saved(criterion: Criterion, state: State) -> State:
    """`state` through a file, as in a checkpoint."""
    file = io.BytesIO()
    torch.save(dict(state), file)
    file.seek(0)
    try:
        loaded: State = torch.load(file, weights_only=True)
    except Exception as error:
        raise AssertionError(
            f"the state of {type(criterion).__name__} cannot be loaded from a checkpoint: tensors only"
        ) from error
    return loaded
