"""Observing and the optimizer's step in one pass: the bits of the two apart, taken where it should be, and its time."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import torch
from torch import Tensor

from benchmark import joint
from benchmark.joint import observe_and_step
from benchmark.optimizer import FlatOptimizer, rate
from benchmark.pruner import Pruner
from benchmark.schedules.cubic import Cubic
from benchmark.spec import Training
from criteria import kernels
from criteria.base import Criterion, State, Step
from criteria.kernels import Kernels, load
from criteria.magnitude import Magnitude
from criteria.movement import Movement
from criteria.principled import Principled
from criteria.sensitivity import Sensitivity
from criteria.smoothing import agree
from tests.benchmark.toys import Blocks, data, loss_of
from tests.criteria.helpers import compiled_here

TOTAL = 12
WIDTH = 8
"""Of the toy: its prunable weights fill whole registers."""


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernels]:
    """The compiled passes, for vectors of any length."""
    load.cache_clear()
    monkeypatch.setattr(kernels, "LEAST", 0)
    yield compiled_here()
    load.cache_clear()


class Toy:
    """A toy model in training, with its pruner."""

    def __init__(self, criterion: Criterion, width: int = WIDTH, training: Training | None = None) -> None:
        self.training = training or Training(lr=0.05, weight_decay=0.1)
        self.model = Blocks(width)
        schedule = Cubic(initial=2, final=3, window=2)
        self.pruner = Pruner(self.model, criterion, schedule, sparsity=0.5, total=TOTAL)
        self.optimizer = FlatOptimizer(self.model, self.pruner.weights, self.training)

    def train(self, steps: int = TOTAL) -> dict[str, Tensor]:
        """Everything after so many more steps, by name."""
        for _ in range(steps):
            at, width = self.pruner.taken, self.model.head.in_features
            loss_of(self.model, data(width, seed=at)).backward()
            observe_and_step(self.pruner, self.optimizer, rate(at, TOTAL, self.training))
            self.pruner.prune()
            self.optimizer.zero_grad()
        moments = self.optimizer.torch.state_dict()["state"]
        return {
            **self.model.state_dict(),
            **{name: value for name, value in self.pruner.state_dict().items() if name != "seconds"},
            **{f"{i}.{name}": value for i, state in moments.items() for name, value in state.items()},
        }


@pytest.fixture
def passes(compiled: Kernels, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For every compiled observation of a run, whether the optimizer's step came with it."""
    assert agree(compiled)
    assert agree(compiled, moving=True)
    seen = list[bool]()
    observe = Kernels.observe

    def watched(self: Kernels, *args: Any) -> None:
        seen.append(args[-1] is not None)
        observe(self, *args)

    monkeypatch.setattr(Kernels, "observe", watched)
    return seen


def apart(monkeypatch: pytest.MonkeyPatch, toy: Toy) -> dict[str, Tensor]:
    """What torch's operations give."""
    with monkeypatch.context() as patch:
        patch.setattr(kernels, "LEAST", 1 << 60)
        return toy.train()


CRITERIA = [
    Principled(window=3),
    Principled(window=2, beta1=0.3, beta2=0.4),
    Principled(window=3, uncertainty=False),
    Principled(smooth=False),
    Sensitivity(window=3),
]


@pytest.mark.parametrize("criterion", CRITERIA, ids=repr)
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_a_run_has_the_bits_of_one_whose_passes_are_apart(
    criterion: Criterion, decay: float, compiled: Kernels, passes: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, moments, statistics, masks."""
    training = Training(lr=0.05, weight_decay=decay)
    together = Toy(criterion, training=training).train()
    assert passes == [False] * 2 + [True] * (TOTAL - 2), "the first two say what the optimizer takes alone"
    expected = apart(monkeypatch, Toy(criterion, training=training))
    assert together.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(together[name], value), name


@dataclass(frozen=True)
class ByMatrix(Sensitivity):
    """One matrix at a time."""

    elementwise: ClassVar[bool] = False


@dataclass(frozen=True)
class Latent(Sensitivity):
    """Pruned weights keep a value underneath."""

    latent: ClassVar[bool] = True


@pytest.mark.parametrize(
    ("criterion", "optimizer", "width"),
    [
        (Principled(signed=True), "adamw", WIDTH),
        (Magnitude(), "adamw", WIDTH),
        (Movement(), "adamw", WIDTH),
        (ByMatrix(), "adamw", WIDTH),
        (Latent(), "adamw", WIDTH),
        (Sensitivity(), "adamax", WIDTH),
        (Sensitivity(), "adamw", 7),
    ],
    ids=[
        "no compiled pass",
        "nothing to observe",
        "another",
        "matrices",
        "latent",
        "another optimizer",
        "no whole registers",
    ],
)
def test_apart_they_stay(
    criterion: Criterion,
    optimizer: Literal["adamw", "adamax"],
    width: int,
    compiled: Kernels,
    passes: list[bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    training = Training(lr=0.05, optimizer=optimizer)
    found = Toy(criterion, width, training).train()
    assert not any(passes)
    expected = apart(monkeypatch, Toy(criterion, width, training))
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_who_may_take_the_optimizers_step_along(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Toy(Sensitivity())
    assert toy.optimizer.prunable_step(0.1) is None, "no moments yet"
    toy.train(3)
    step = toy.optimizer.prunable_step(0.1)
    assert step is not None
    assert (step.steps, step.lr, step.weight_decay) == (4, 0.1, 0.1)
    monkeypatch.setattr(FlatOptimizer, "device", torch.device("cuda"))
    assert toy.optimizer.prunable_step(0.1) is None, "CUDA's kernel is another"


@dataclass(frozen=True)
class Doubled(Sensitivity):
    """A plugin that observes every gradient twice."""

    def observe(self, state: State, weight: Tensor, grad: Tensor, step: Step) -> None:
        """As its parent, twice."""
        for _ in range(2):
            super().observe(state, weight, grad, step)


def test_a_plugin_that_observes_in_its_own_way_does_so(compiled: Kernels, passes: list[bool]) -> None:
    Toy(Doubled()).train()
    assert passes == [False] * 2 * TOTAL


def test_without_a_compiler_they_stay_apart(compiled: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = Toy(Principled()).train()
    load.cache_clear()
    monkeypatch.setenv("CC", "")
    found = Toy(Principled()).train()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.parametrize(
    ("code", "otherwise"),
    [
        ("fmaf(a.squared * g[i], g[i], ", "(a.squared * (g[i] * g[i]) + "),
        ("share);\n        first[i]", "share) * 1.0001f;\n        first[i]"),
    ],
    ids=["moments", "statistics"],
)
def test_a_pass_that_rounds_otherwise_is_not_taken(
    code: str,
    otherwise: str,
    compiled: Kernels,
    passes: list[bool],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = tmp_path / "kernels.c"
    source = kernels.SOURCE.read_text()
    assert code in source
    wrong.write_text(source.replace(code, otherwise))
    monkeypatch.setattr(kernels, "SOURCE", wrong)
    load.cache_clear()
    found = load()
    assert found is not None
    assert agree(found)
    assert not agree(found, moving=True)
    passes.clear()
    Toy(Principled()).train()
    assert passes == [False] * TOTAL


def test_a_run_taken_up_goes_on_bitwise(compiled: Kernels) -> None:
    """With other steps apart: a run that is taken up learns anew what the optimizer takes alone."""
    expected = Toy(Principled(window=3)).train()
    first, second = Toy(Principled(window=3)), Toy(Principled(window=3))
    first.train(7)
    second.model.load_state_dict(first.model.state_dict())
    second.pruner.load_state_dict(first.pruner.state_dict())
    second.optimizer.torch.load_state_dict(first.optimizer.torch.state_dict())
    found = second.train(TOTAL - 7)
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert 0 < second.pruner.seconds < 60


def test_the_criterion_is_charged_what_the_optimizer_alone_would_not_take(
    compiled: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that moves by one second whenever it is read: every span measured is one second."""
    toy = Toy(Principled())
    toy.train(2)
    (alone,) = toy.optimizer.alone
    assert 0 < alone < 1, "not that of the first step, which makes the moments"
    toy.optimizer.alone.extend([9, 0.25, 0.25, 0.25, 0])
    before = toy.pruner.seconds
    clock = count()
    monkeypatch.setattr("benchmark.joint.time.perf_counter", lambda: float(next(clock)))
    observe_and_step(toy.pruner, toy.optimizer, 1e-3)
    assert toy.pruner.seconds - before == pytest.approx(0.75)


def test_now_and_then_they_are_taken_apart(
    compiled: Kernels, passes: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joint, "APART", 5)
    Toy(Principled()).train()
    assert passes == [False, False, True, True, False, True, True, True, True, False, True, True]


def test_a_machine_that_was_busy_gives_no_negative_time(compiled: Kernels) -> None:
    toy = Toy(Principled())
    toy.train(2)
    toy.optimizer.alone.extend([1e6] * 5)
    toy.train(1)
    assert toy.pruner.seconds == 0
