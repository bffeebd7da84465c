"""Every built-in criterion keeps the contract, and each kind of broken one is caught by the check that is meant to."""

import dataclasses
import inspect
import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.plugins import registry
from criteria.base import Choose, Criterion, State, Step
from criteria.checks.criterion import CHECKS, _own_surroundings, check_criterion
from criteria.common.search import Linear, Log, Range
from criteria.fisher import Fisher
from criteria.l0 import L0
from criteria.magnitude import Magnitude
from criteria.movement import Movement
from criteria.sensitivity import Sensitivity
from criteria.soft_movement import SoftMovement
from criteria.sparsegpt import SparseGPT

BUILT_IN = registry.builtin_names("criteria")
VARIANTS = [
    "principled[signed=true]",
    "principled[uncertainty=false]",
    "principled[lr_term=false]",
    "principled[smooth=false]",
    "sensitivity[beta2=1]",
    "sensitivity[smooth=false]",
    "sensitivity[window=1]",
    "taylor[squared=true]",
    "movement[score_optimizer=adam]",
    "soft_movement[rule=matched]",
    "soft_movement[score_optimizer=sgd]",
    "l0[score_optimizer=sgd]",
    "obert[update=false,block=7]",
    "sparsegpt[update=false]",
]


@pytest.mark.parametrize("text", BUILT_IN + VARIANTS)
def test_built_in_criteria_keep_the_contract(text: str) -> None:
    seen = dict(check_criterion(registry.configure("criteria", text)))
    assert list(seen) == list(CHECKS)
    assert all(seen.values())


@dataclass(eq=False)
class Thawed(Criterion):
    """Not frozen."""

    def score(self, state: State, weight: Tensor) -> Tensor:
        return weight.abs()


class Undecorated(Criterion):
    """No dataclass at all."""

    def score(self, state: State, weight: Tensor) -> Tensor:
        return weight.abs()


@dataclass(frozen=True)
class FlatInputs(Magnitude):
    """Asks for layer inputs of a flat vector."""

    def observe_inputs(self, state: State, weight: Tensor, inputs: Tensor) -> None:
        pass


@dataclass(frozen=True)
class StackedCompensation(SoftMovement):
    """Adjusts what stays of one matrix, and asks for stacks."""

    def compensate(self, state: State, weight: Tensor, mask: Tensor) -> None:
        weight.mul_(2)


@dataclass(frozen=True)
class Shown(Magnitude):
    """Says how many batches it is to be shown."""

    batches: int = 8

    def __post_init__(self) -> None:
        """Takes anything."""

    @property
    def calibration(self) -> int:  # type: ignore[override]
        """As many as the option says."""
        return self.batches


@dataclass(frozen=True)
class OnePerRow(Criterion):
    """A number per row."""

    elementwise: ClassVar[bool] = False

    def score(self, state: State, weight: Tensor) -> Tensor:
        return weight.abs().sum(1)


@dataclass(frozen=True)
class NumberInState(Magnitude):
    """A Python number among the statistics."""

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        return {"steps": 0}  # type: ignore[dict-item]


@dataclass(frozen=True)
class Logarithm(Criterion):
    """log |theta| is minus infinity at 0."""

    def score(self, state: State, weight: Tensor) -> Tensor:
        return weight.abs().log()


@dataclass(frozen=True)
class GlobalNoise(Criterion):
    """Draws from the global generator."""

    def score(self, state: State, weight: Tensor) -> Tensor:
        return weight.abs() + 0.1 * torch.rand(weight.shape)


@dataclass(frozen=True)
class Alias(Criterion):
    """Hands out its own statistics."""

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        return {"sum": torch.zeros_like(weight)}

    def observe(self, state: State, weight: Tensor, grad: Tensor, step: Step) -> None:
        state["sum"] += (weight * grad).abs()

    def score(self, state: State, weight: Tensor) -> Tensor:
        return state["sum"]


@dataclass(frozen=True)
class InPlace(Criterion):
    """abs_ on the weight itself."""

    def score(self, state: State, weight: Tensor) -> Tensor:
        return weight.abs_() + 0


@dataclass(frozen=True)
class Clipper(Fisher):
    """Changes an example's gradient."""

    def observe_example(self, state: State, weight: Tensor, grad: Tensor) -> None:
        super().observe_example(state, weight, grad.clamp_(-1, 1))


@dataclass(frozen=True)
class HiddenMemory(Criterion):
    """Keeps its statistics on the object, where no checkpoint finds them."""

    memory: dict[int, Tensor] = field(default_factory=dict, init=False, compare=False)

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        self.memory.clear()
        return {}

    def observe(self, state: State, weight: Tensor, grad: Tensor, step: Step) -> None:
        self.memory[0] = self.memory.get(0, torch.zeros_like(weight)) + (weight * grad).abs()

    def score(self, state: State, weight: Tensor) -> Tensor:
        return self.memory.get(0, weight.abs()).clone()


@dataclass(frozen=True)
class SharedMemory(Criterion):
    """Keeps calibration on the class, where the next matrix overwrites it."""

    elementwise: ClassVar[bool] = False
    seen: ClassVar[dict[str, Tensor]] = {}

    def begin_calibration(self, state: State, weight: Tensor) -> None:
        self.seen["squares"] = torch.zeros(weight.shape[1])

    def observe_inputs(self, state: State, weight: Tensor, inputs: Tensor) -> None:
        self.seen["squares"] += inputs.square().sum(0)

    def score(self, state: State, weight: Tensor) -> Tensor:
        squares = self.seen.get("squares", torch.zeros(0))
        return weight.abs() * squares.sqrt() if len(squares) == weight.shape[1] else weight.abs()


@dataclass(frozen=True)
class LateState(Criterion):
    """Adds a statistic after init, which a harness that restores by init's names does not know."""

    def observe(self, state: State, weight: Tensor, grad: Tensor, step: Step) -> None:
        state["sum"] = state.get("sum", torch.zeros_like(weight)) + (weight * grad).abs()

    def score(self, state: State, weight: Tensor) -> Tensor:
        return state["sum"].clone() if "sum" in state else weight.abs()


@dataclass(frozen=True)
class RowNormalised(Criterion):
    """Divides by the tensor's norm, and yet claims to be elementwise."""

    def score(self, state: State, weight: Tensor) -> Tensor:
        return weight.abs() / (weight.square().sum().sqrt() + 1e-6)


@dataclass(frozen=True)
class Backwards(Criterion):
    """Ranks what can go highest."""

    def score(self, state: State, weight: Tensor) -> Tensor:
        return -weight.abs()


@dataclass(frozen=True)
class UnaskedGate(Magnitude):
    """A gate without latent weights."""

    def gate(self, state: State, weight: Tensor, mask: Tensor, training: bool) -> Tensor:
        return mask * 0.5


@dataclass(frozen=True)
class RestlessGate(L0):
    """Another gate each time it is asked."""

    def gate(self, state: State, weight: Tensor, mask: Tensor, training: bool) -> Tensor:
        state["seed"] += 1
        return super().gate(state, weight, mask, training)


@dataclass(frozen=True)
class LeakyGate(Movement):
    """Lets pruned weights through."""

    def gate(self, state: State, weight: Tensor, mask: Tensor, training: bool) -> Tensor:
        return mask * 0.9 + 0.1


@dataclass(frozen=True)
class NoRule(Magnitude):
    """Not exact, without a rule."""

    @property
    def exact(self) -> bool:
        return False


@dataclass(frozen=True)
class FloatRule(SoftMovement):
    """A mask of numbers."""

    def keep(self, state: State, weight: Tensor, step: Step) -> Tensor:
        return super().keep(state, weight, step).float()


@dataclass(frozen=True)
class Restless(SparseGPT):
    """Moves weights for no reason."""

    def compensate(self, state: State, weight: Tensor, mask: Tensor) -> None:
        weight.mul_(1.1)


@dataclass(frozen=True)
class Deaf(Magnitude):
    """Prunes what it likes."""

    elementwise: ClassVar[bool] = False

    def sweep(self, state: State, weight: Tensor, choose: Choose) -> Tensor:
        return choose(weight.abs(), 0) | True


@dataclass(frozen=True)
class Hasty(Deaf):
    """Leaves the last columns out."""

    def sweep(self, state: State, weight: Tensor, choose: Choose) -> Tensor:
        mask = torch.ones_like(weight, dtype=torch.bool)
        mask[:, :8] = choose(weight[:, :8].abs(), 0)
        return mask


@dataclass(frozen=True)
class Cutter(Deaf):
    """Asks about single columns, whatever the pattern."""

    def sweep(self, state: State, weight: Tensor, choose: Choose) -> Tensor:
        return torch.cat([choose(weight[:, [j]].abs(), j) for j in range(weight.shape[1])], dim=1)


@dataclass(frozen=True)
class Shaky(Deaf):
    """Halves what it keeps."""

    def sweep(self, state: State, weight: Tensor, choose: Choose) -> Tensor:
        mask = choose(weight.abs(), 0)
        weight.div_(2)
        return mask


@dataclass(frozen=True)
class Misspelt(Sensitivity):
    """Tunes what it does not have."""

    search: ClassVar[Mapping[str, Range]] = {"beta_1": Linear(0.1, 0.9)}


@dataclass(frozen=True)
class Untyped(Magnitude):
    """Tunes what has no type, and so is no option."""

    decay = 0.9
    search: ClassVar[Mapping[str, Range]] = {"decay": Linear(0.1, 0.9)}


@dataclass(frozen=True)
class OutOfRange(Sensitivity):
    """Tunes beyond what it takes."""

    search: ClassVar[Mapping[str, Range]] = {"beta1": Linear(0.1, 1.5)}


@dataclass(frozen=True)
class WrongType(Sensitivity):
    """Tunes a whole number by fractions."""

    search: ClassVar[Mapping[str, Range]] = {"window": Log(0.5, 9.5)}


@dataclass(frozen=True)
class HandsOut(Fisher):
    """Predicts with its own statistics."""

    def predicted(self, state: State, weight: Tensor) -> Tensor | None:
        return state["sum"]


@dataclass(frozen=True)
class Constant(Criterion):
    """The same for every weight."""

    def score(self, state: State, weight: Tensor) -> Tensor:
        return torch.ones_like(weight)


@dataclass(frozen=True)
class Sideways(Criterion):
    """Ranks by place, in the order of the rows."""

    elementwise: ClassVar[bool] = False

    def score(self, state: State, weight: Tensor) -> Tensor:
        return torch.arange(weight.numel()).view(weight.shape) + 1e-3 * weight


@dataclass(frozen=True)
class KeepsShown(Criterion):
    """Keeps a tensor that it was shown, as it is."""

    kept: str = "grad"

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        return {"last": torch.zeros_like(weight)}

    def observe(self, state: State, weight: Tensor, grad: Tensor, step: Step) -> None:
        state["last"] = {"grad": grad, "weight": weight, "view": grad.view(-1).view(grad.shape), "first": weight[:1]}[
            self.kept
        ]

    def score(self, state: State, weight: Tensor) -> Tensor:
        return weight.abs()


@dataclass(frozen=True)
class KeepsInputs(Criterion):
    """Keeps what the layer was fed."""

    elementwise: ClassVar[bool] = False

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        return {"inputs": torch.zeros(0)}

    def observe_inputs(self, state: State, weight: Tensor, inputs: Tensor) -> None:
        state["inputs"] = inputs

    def score(self, state: State, weight: Tensor) -> Tensor:
        return weight.abs()


@dataclass(frozen=True)
class SetsAnew(Alias):
    """Sets new tensors in place of the old ones, which keeps the contract."""

    def observe(self, state: State, weight: Tensor, grad: Tensor, step: Step) -> None:
        state["sum"] = state["sum"] + (weight * grad).abs()

    def score(self, state: State, weight: Tensor) -> Tensor:
        return state["sum"].clone()


@dataclass(frozen=True)
class Ages(Alias):
    """Moves its statistics whenever it is asked, without a trace in the scores."""

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        return {"sum": torch.zeros_like(weight), "asked": torch.zeros(1)}

    def score(self, state: State, weight: Tensor) -> Tensor:
        state["asked"] += 1
        return state["sum"].clone()


RANKS: dict[str, Callable[[Tensor], Tensor]] = {
    "far from zero": lambda w: 1.0 + w.abs().double() * 1e-9,
    "large ranks": lambda w: w.abs().flatten().argsort().argsort().view(w.shape) + 2**30,
    "tiny": lambda w: w.abs().double() * 1e-60,
    "huge": lambda w: 1e60 + w.abs().double() * 1e50,
    "ranks": lambda w: w.abs().flatten().argsort().argsort().view(w.shape),
    "short ranks": lambda w: w.abs().flatten().argsort().argsort().view(w.shape).short(),
    "fp64": lambda w: w.abs().double(),
    "fp16": lambda w: w.abs().half(),
    "bf16": lambda w: w.abs().bfloat16(),
    "bool": lambda w: w.abs() > 1,
}
"""Scores of other kinds than fp32; the first four have no order as fp32."""


@dataclass(frozen=True)
class Ranks(Criterion):
    """Scores in another kind of number."""

    elementwise: ClassVar[bool] = False

    form: str = "far from zero"

    def score(self, state: State, weight: Tensor) -> Tensor:
        return RANKS[self.form](weight)


@pytest.mark.parametrize("form", RANKS)
def test_scores_of_which_fp32_makes_ties(form: str) -> None:
    if form in list(RANKS)[:4]:
        with pytest.raises(
            AssertionError, match=r"gives scores in (float64|int64) of which \d+ differ, and only \d+ as fp32"
        ):
            CHECKS["order in fp32"](Ranks(form))
    else:
        assert CHECKS["order in fp32"](Ranks(form)).startswith("kept in fp32, scores in ")


VERSIONS: dict[str, Callable[[State], Any]] = {
    "always 0": lambda _: 0,
    "too seldom": lambda state: int(state["seen"]) // 2,
    "over again": lambda state: int(state["seen"]) % 5,
    "a tensor": lambda state: state["seen"],
    "a fraction": lambda state: float(state["seen"]),
    "each step": lambda state: int(state["seen"]),
    "none": lambda _: None,
    "none at first": lambda state: int(state["seen"]) if state["seen"] > 4 else None,
}
"""What `version` may give; the first five break its contract where scores change in every step."""


@dataclass(frozen=True)
class Versioned(Criterion):
    """Ranks by a sum of gradients, or by the weights alone, and tells one of VERSIONS."""

    form: str = "always 0"
    by: str = "gradients"

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        return {"sum": torch.zeros_like(weight), "seen": torch.zeros((), dtype=torch.int64)}

    def observe(self, state: State, weight: Tensor, grad: Tensor, step: Step) -> None:
        state["sum"] += grad.abs()
        state["seen"] += 1

    def score(self, state: State, weight: Tensor) -> Tensor:
        return state["sum"].clone() if self.by == "gradients" else weight.abs()

    def version(self, state: State) -> Any:
        return VERSIONS[self.form](state)


@pytest.mark.parametrize("by", ["gradients", "weights"])
@pytest.mark.parametrize("form", VERSIONS)
def test_versions_that_do_not_follow_the_scores(form: str, by: str) -> None:
    if form in list(VERSIONS)[:3]:
        with pytest.raises(
            AssertionError, match=r"version is \d+ after step \d+ and after step \d+, but the scores changed"
        ):
            CHECKS["version"](Versioned(form, by))
    elif form in list(VERSIONS)[:5]:
        with pytest.raises(AssertionError, match=r"version gives a (Tensor|float): return a plain whole number"):
            CHECKS["version"](Versioned(form, by))
    else:
        seen = {"each step": "24 in 24 steps", "none": "skipped, because", "none at first": "20 in 24 steps"}
        assert CHECKS["version"](Versioned(form, by)).startswith(seen[form])


SETTERS: dict[str, tuple[Callable[[], object], str]] = {
    "seeds torch": (lambda: torch.manual_seed(0), "torch's random state"),
    "seeds numpy": (lambda: np.random.seed(0), "numpy's random state"),
    "seeds Python": (lambda: random.seed(0), "Python's random state"),
    "draws from numpy": (lambda: np.random.random(), "numpy's random state"),
    "dtype": (lambda: torch.set_default_dtype(torch.float64), "torch's default dtype"),
    "gradients": (lambda: torch.set_grad_enabled(False), "whether gradients are kept"),
    "threads": (lambda: torch.set_num_threads(torch.get_num_threads() + 1), "torch's number of threads"),
    "determinism": (lambda: torch.use_deterministic_algorithms(False), "whether algorithms are deterministic"),
    "products": (lambda: torch.set_float32_matmul_precision("medium"), "the precision of matrix products"),
}
"""What a criterion may do to the whole process, and what of it is told."""


@dataclass(frozen=True)
class Global(Criterion):
    """Does one of SETTERS whenever it scores."""

    sets: str = "seeds torch"

    def score(self, state: State, weight: Tensor) -> Tensor:
        SETTERS[self.sets][0]()
        return weight.abs()


@pytest.mark.parametrize("sets", SETTERS)
def test_criteria_that_change_what_the_process_shares(sets: str) -> None:
    """Even where an earlier check has already set it; and the check leaves it as it was."""
    before = (
        np.random.get_state(legacy=False)["state"]["key"].tolist(),
        random.getstate(),
        torch.initial_seed(),
        torch.get_num_threads(),
    )
    with pytest.raises(AssertionError, match=f"Global changes {SETTERS[sets][1]} for the whole process"):
        CHECKS["surroundings untouched"](Global(sets))
    after = (
        np.random.get_state(legacy=False)["state"]["key"].tolist(),
        random.getstate(),
        torch.initial_seed(),
        torch.get_num_threads(),
    )
    assert after == before
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()


def test_the_check_of_what_the_process_shares_leaves_another_default_dtype() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        with _own_surroundings():
            assert torch.get_default_dtype() == torch.float32
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


BROKEN = [
    (Thawed(), "hyperparameters", "frozen=True"),
    (Undecorated(), "hyperparameters", "decorate Undecorated"),
    (FlatInputs(), "hyperparameters", "elementwise: ClassVar"),
    (StackedCompensation(), "hyperparameters", "stacks: ClassVar"),
    *(
        (Shown(count), "hyperparameters", f"Shown.calibration is {count!r}: expected how many batches")  # type: ignore[arg-type]
        for count in (0, -3, True, 2.5, "8", None)
    ),
    (OnePerRow(), "shape", "one number a weight"),
    (NumberInState(), "shape", "tensors only"),
    (Logarithm(), "finiteness", "guard divisions and logarithms"),
    (Ranks(), "order in fp32", "scale the rest to about 1, and return fp32"),
    (Versioned(), "version", "would not be ranked again"),
    (GlobalNoise(), "determinism", "generator in init"),
    (Global(), "surroundings untouched", "torch's random state"),
    (SharedMemory(), "determinism", "beside another matrix.*keep statistics in the state"),
    (Alias(), "determinism", r"\.clone\(\)"),
    (InPlace(), "inputs untouched", "work on copies"),
    (Ages(), "inputs untouched", "changes the state"),
    (Constant(), "dependence", "nothing is ranked"),
    (Clipper(), "inputs untouched", "work on copies"),
    (HiddenMemory(), "saved state", "in the state"),
    (LateState(), "saved state", "under names that init gives"),
    (RowNormalised(), "flat view", "elementwise: ClassVar"),
    (Backwards(), "planted example", "in 100% of pairs: .*Return minus a score .*; take out the minus"),
    (Sideways(), "planted example", "where chance gives 50%"),
    (KeepsShown(), "own statistics", r"itself as 'last', .*state\['last'\].copy_"),
    (KeepsShown("weight"), "own statistics", "itself as 'last'"),
    (KeepsShown("view"), "own statistics", "itself as 'last'"),
    (KeepsShown("first"), "own statistics", "itself as 'last'"),
    (KeepsInputs(), "own statistics", "itself as 'inputs'"),
    (UnaskedGate(), "gates", "latent: ClassVar"),
    (RestlessGate(), "gates", "asked twice"),
    (LeakyGate(), "gates", "multiply by the mask"),
    (NoRule(), "own rule", "define keep"),
    (FloatRule(), "own rule", "bool tensor"),
    (Restless(), "compensation", "although none is pruned"),
    (Deaf(), "sweeping", "return what it says"),
    (Hasty(), "sweeping", "each column of the matrix once"),
    (Cutter(), "sweeping", "ask `choose` about whole groups"),
    (Shaky(), "sweeping", "although none is pruned"),
    (Misspelt(), "search space", "which is no option: choose among beta1"),
    (Untyped(), "search space", "which is no option: give it a type, decay: float = 0.9"),
    (OutOfRange(), "search space", "which OutOfRange refuses"),
    (WrongType(), "search space", "the option holds int"),
    (HandsOut(), "predictions", r"\.clone\(\)"),
]


@pytest.mark.parametrize(
    ("criterion", "check", "advice"), BROKEN, ids=[type(broken).__name__ for broken, _, _ in BROKEN]
)
def test_broken_criteria_are_caught_by_the_check_that_is_meant_to(
    criterion: Criterion, check: str, advice: str
) -> None:
    with pytest.raises(AssertionError, match=advice):
        CHECKS[check](criterion)
    with pytest.raises(AssertionError):
        check_criterion(criterion)


@pytest.mark.parametrize("check", [name for name in CHECKS if name != "cost"])
def test_every_check_can_fail(check: str) -> None:
    assert check in {name for _, name, _ in BROKEN}


def test_checks_say_what_was_seen() -> None:
    seen = dict(check_criterion(Sensitivity()))
    assert seen["hyperparameters"] == "5 options, flat vector"
    assert "state 12 bytes a weight" in seen["cost"]
    assert seen["own statistics"] == "4, apart from what was shown"
    assert seen["gates"].startswith("skipped, because")
    assert dict(check_criterion(registry.configure("criteria", "random")))["planted example"].startswith(
        "skipped, because"
    )


def test_new_tensors_may_take_the_place_of_old_ones() -> None:
    assert dict(check_criterion(SetsAnew()))["own statistics"] == "1, apart from what was shown"


def test_the_cost_is_a_multiple_of_what_magnitude_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock by which a busy machine makes everything a hundred times slower, and every call takes one tick."""
    for tick in (1.0, 100.0):
        clock = itertools.count(0, tick)
        monkeypatch.setattr("criteria.checks.optional.time.perf_counter", clock.__next__)
        assert (
            CHECKS["cost"](Magnitude())
            == "observe 1.0, score 1.0 times what magnitude's score takes; state 0 bytes a weight"
        )


def test_checks_leave_the_global_generator_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    check_criterion(L0())
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_option_has_a_default_and_a_line_of_documentation(name: str) -> None:
    cls = registry.load("criteria", name)
    declared = [owner for owner in cls.__mro__ if owner.__module__.startswith("criteria.")]
    source = [line for owner in declared for line in inspect.getsource(owner).splitlines()]
    for option in dataclasses.fields(cls):
        assert option.default is not dataclasses.MISSING
        line = next(i for i, text in enumerate(source) if text.startswith(f"    {option.name}: "))
        assert source[line + 1].strip().startswith('"""'), f"{name}.{option.name} has no docstring"
