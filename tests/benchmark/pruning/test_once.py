"""Pruning without training: the masks and weights of `Pruner` where both do the same, in less memory, and in half precision."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from benchmark.pruning.calibrate import calibrator
from benchmark.pruning.once import Once
from benchmark.pruning.pruner import Pruner
from criteria import sparsegpt
from criteria.base import Criterion, State
from tests.benchmark.pruning.test_released_loops import RUNS, samples
from tests.benchmark.pruning.two_blocks import model_of, traces
from tests.benchmark.toys import Blocks, Steps, data, loss_of, snapshot, weight_of, zeros

BATCHES = [data(seed=1), data(count=3, seed=2)]
SCOPES = [("global", 0.5), ("layer", 0.5), ("row", 0.25), ("erk", 0.5), ("2:4", 0.5), ("block[2,2]", 0.5)]
WITHOUT_STEPS = ("random", "magnitude", "wanda", "sparsegpt", "fisher", "obert[block=4]", "grasp")


def batches(count: int) -> list[dict[str, Tensor]]:
    return BATCHES[:count]


def once(model: nn.Module, criterion: str, scope: str, sparsity: float, by_block: bool = True) -> Once:
    pruner = Once(model, registry.configure("criteria", criterion), sparsity=sparsity, scope=scope, by_block=by_block)
    pruner.prune(loss_of, batches)
    return pruner


SAME = [
    (criterion, scope, sparsity)
    for criterion in WITHOUT_STEPS
    for scope, sparsity in SCOPES
    if not criterion.startswith(("obert", "fisher")) or scope in ("global", "block[2,2]")
]
"""Gradients of single examples are taken block by block where the scope allows it: tested on their own below."""


@pytest.mark.parametrize("conv", [False, True])
@pytest.mark.parametrize(("criterion", "scope", "sparsity"), SAME)
def test_the_pruner_of_a_training_run_does_the_same(
    criterion: str, scope: str, sparsity: float, conv: bool, device: torch.device
) -> None:
    """One masking of untrained weights."""
    ours, theirs = Blocks(conv=conv).to(device), Blocks(conv=conv).to(device)
    once(ours, criterion, scope, sparsity)
    pruner = Pruner(theirs, registry.configure("criteria", criterion), Steps(), sparsity=sparsity, total=1, scope=scope)
    pruner.calibrate = calibrator(theirs, loss_of, batches, by_block=True)
    pruner.prune()
    pruner.finish()
    torch.testing.assert_close(snapshot(ours), snapshot(theirs))
    assert torch.equal(snapshot(ours) == 0, snapshot(theirs) == 0)


@pytest.mark.parametrize(("run", "criterion", "scope", "sparsity"), RUNS)
def test_the_released_loops_are_met_here_too(
    run: str, criterion: str, scope: str, sparsity: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparsegpt, "COLUMNS", 4)
    for by_block in (True, False):
        model = model_of(traces()["weights"])
        plugin = registry.configure("criteria", criterion)
        pruner = Once(model, plugin, sparsity=sparsity, scope=scope, by_block=by_block)
        pruner.prune(lambda m, b: m(b["x"]).mean(), samples)
        same = [
            torch.allclose(model.get_parameter(name), theirs, rtol=1e-4, atol=1e-4)
            for name, theirs in traces()["runs"][run].items()
        ]
        assert all(same) == by_block
        assert all(same[:3])
        dense = model_of(traces()["weights"])
        if not by_block:  # the same as a pruner that is shown all inputs before it prunes
            other = Pruner(dense, plugin, Steps(), sparsity=sparsity, total=1, scope=scope)
            other.calibrate = calibrator(dense, lambda m, b: m(b["x"]).mean(), samples, by_block=False)
            other.prune()
            other.finish()
            torch.testing.assert_close(snapshot(model), snapshot(dense))


@pytest.mark.parametrize("criterion", ["taylor", "gradient", "sensitivity", "principled"])
def test_criteria_that_watch_steps_see_the_gradients_of_calibration_batches(
    criterion: str, device: torch.device
) -> None:
    ours, theirs = Blocks().to(device), Blocks().to(device)
    once(ours, criterion, "layer", 0.5)
    plugin = registry.configure("criteria", criterion)
    pruner = Pruner(theirs, plugin, Steps(), sparsity=0.5, total=3, scope="layer")
    for batch in BATCHES:
        theirs.zero_grad()
        loss_of(theirs, batch).backward()
        pruner.observe(0.0)
        pruner.steps_taken += 1
    pruner.steps_taken, pruner.steps_observed = 0, 1  # as if all of it were one step
    pruner.prune()
    pruner.settle()
    assert torch.equal(snapshot(ours), snapshot(theirs))


@dataclass(frozen=True)
class Watcher(Criterion):
    """Notes how many matrices it holds statistics of, and the gradients that it is shown."""

    elementwise: ClassVar[bool] = False

    alive: list[int] = field(default_factory=list, compare=False)
    most: list[int] = field(default_factory=list, compare=False)
    seen: list[Tensor] = field(default_factory=list, compare=False)

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        self.alive.append(1)
        self.most.append(sum(self.alive))
        return {"seen": torch.zeros(())}

    def score(self, state: State, weight: Tensor) -> Tensor:
        self.alive.pop()
        return weight.abs()


@dataclass(frozen=True)
class InputsWatcher(Watcher):
    def observe_inputs(self, state: State, weight: Tensor, inputs: Tensor) -> None:
        state["seen"] += 1


@dataclass(frozen=True)
class ExampleWatcher(Watcher):
    def observe_example(self, state: State, weight: Tensor, grad: Tensor) -> None:
        self.seen.append(grad.clone())


@pytest.mark.parametrize("by_block", [True, False])
def test_statistics_are_held_for_one_block_at_a_time(by_block: bool) -> None:
    for criterion, scope, most in ((Watcher(), "layer", 1), (InputsWatcher(), "layer", 1 if by_block else 2)):
        Once(Blocks(), criterion, sparsity=0.5, scope=scope, by_block=by_block).prune(loss_of, batches)
        assert max(criterion.most) == most
    whole = InputsWatcher()
    Once(Blocks(), whole, sparsity=0.5, scope="global").prune(loss_of, batches)
    assert max(whole.most) == 2


def test_examples_of_a_later_block_see_the_earlier_one_pruned() -> None:
    criterion, model = ExampleWatcher(), Blocks()
    Once(model, criterion, sparsity=0.5, scope="layer").prune(loss_of, batches)
    assert max(criterion.most) == 1
    dense = Blocks()
    dense.blocks[0].load_state_dict(model.blocks[0].state_dict())
    later = criterion.seen[len(criterion.seen) // 2 :]
    examples = [{k: v[i : i + 1] for k, v in batch.items()} for batch in BATCHES for i in range(len(batch["x"]))]
    assert len(later) == len(examples)
    for grad, example in zip(later, examples, strict=True):
        expected = torch.autograd.grad(loss_of(dense, example), weight_of(dense, 1))[0]
        torch.testing.assert_close(grad, expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("criterion", ["magnitude", "wanda", "sparsegpt", "taylor"])
@pytest.mark.parametrize("conv", [False, True])
def test_half_precision_stays_and_the_count_is_exact(criterion: str, dtype: torch.dtype, conv: bool) -> None:
    model = Blocks(conv=conv).to(dtype)

    def loss(module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        error: Tensor = module(batch["x"].to(dtype)).float() - batch["y"]
        return error.square().mean()

    pruner = Once(model, registry.configure("criteria", criterion), sparsity=0.5, scope="layer")
    pruner.prune(loss, batches)
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    assert zeros(model) == 32
    assert pruner.measure() == 0.5
    assert pruner.scheduled == 0.5


def test_nothing_but_the_pruned_weights_is_left_behind() -> None:
    for training in (True, False):
        model = Blocks().train(training)
        head = model.head.weight.detach().clone()
        random = torch.get_rng_state()
        pruner = once(model, "sparsegpt", "layer", 0.5)
        assert model.training == training
        assert torch.equal(model.head.weight, head)
        assert all(parameter.grad is None for parameter in model.parameters())
        assert torch.equal(torch.get_rng_state(), random)
        assert not pruner._states
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
        assert pruner.seconds > 0


@pytest.mark.parametrize("trained", [True, False], ids=["while it trains", "once"])
@pytest.mark.parametrize(("whole", "block"), [(True, True), (True, False), (False, True), (False, False)])
def test_every_module_ends_in_the_mode_that_it_was_in(trained: bool, whole: bool, block: bool) -> None:
    """A block whose dropout someone has switched off went on with dropout after the first masking."""
    model = Blocks().train(whole)
    model.blocks[0].train(block)
    before = {name: module.training for name, module in model.named_modules()}
    if trained:
        pruner = Pruner(model, registry.configure("criteria", "wanda"), Steps(), sparsity=0.5, total=1)
        calibrator(model, loss_of, batches, by_block=True)(pruner)
    else:
        once(model, "wanda", "row", 0.25)
    assert {name: module.training for name, module in model.named_modules()} == before


@pytest.mark.parametrize("criterion", ["movement", "soft_movement", "soft_movement[rule=matched]", "l0"])
def test_criteria_that_learn_in_training_are_refused(criterion: str) -> None:
    with pytest.raises(PrunebenchError, match="learns what to keep in training"):
        once(Blocks(), criterion, "layer", 0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sparsity": 1.0}, "expected a share of the weights"),
        ({"scope": "rows"}, "unknown scope 'rows'"),
        ({"scope": "3:5", "sparsity": 0.4}, "does not divide a matrix"),
        ({"seed": -1}, "seed -1: expected a whole number"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PrunebenchError, match=message):
        Once(Blocks(), registry.configure("criteria", "magnitude"), **({"sparsity": 0.5} | changes))


@dataclass(frozen=True)
class Infinite(Criterion):
    def score(self, state: State, weight: Tensor) -> Tensor:
        return weight / 0


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_scores_that_are_not_finite_are_told_with_their_matrix(scope: str) -> None:
    with pytest.raises(PrunebenchError, match=r"Infinite gave .*not finite in blocks\.0\.weight"):
        Once(Blocks(), Infinite(), sparsity=0.5, scope=scope).prune(loss_of, batches)
