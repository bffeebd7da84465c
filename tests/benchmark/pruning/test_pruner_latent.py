"""Weights with a value underneath; looking on without disturbing; and what a resumed run needs."""

import copy
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from benchmark.pruning import pruner as pruner_module
from benchmark.pruning.masks import Shapes
from benchmark.pruning.prunable import find_prunable
from benchmark.pruning.pruner import Pruner, stacks_of
from benchmark.pruning.schedules.base import Schedule
from benchmark.pruning.schedules.constant import Constant
from benchmark.pruning.schedules.cubic import Cubic
from benchmark.pruning.schedules.iterative import Iterative
from criteria.base import Criterion
from criteria.l0 import L0
from criteria.magnitude import Magnitude
from criteria.movement import Movement
from criteria.principled import Principled
from criteria.random import Random
from criteria.sensitivity import Sensitivity
from criteria.soft_movement import SoftMovement
from tests.benchmark.toys import (
    Blocks,
    LastGradient,
    Seldom,
    Steps,
    data,
    loss_of,
    one_matrix,
    pushed,
    snapshot,
    step,
    zeros,
)

# Latent weights.


def test_movement_trains_through_its_mask(device: torch.device) -> None:
    """Forward at theta m; a pruned weight gets no gradient, but its score moves and brings it back with its latent value."""
    model = one_matrix([[1.0, -2.0], [3.0, 0.5]]).to(device)
    pruner = Pruner(model, Movement(score_lr=1.0), Steps(), sparsity=0.5, total=2)
    # S = -theta g = [[1, -1], [-2, 3]]: the second row's first and the first row's second go.
    assert pushed(model, pruner, [[-1, -0.5], [2 / 3, -6]]) == [[1.1, 0], [0, 1.1]]
    assert pruner.weights.vector.tolist() == pytest.approx([1.1, -1.95, 3 - 0.2 / 3, 1.1])
    # Gradients at the masked weights; the pruned ones do not move, their scores do: S = [[1, 1.925], [-2, 0.8]].
    assert pushed(model, pruner, [[0, 1.5], [0, 2]]) == [[1.1, -1.95], [0, 0]]
    assert pruner.weights.vector.tolist() == pytest.approx([1.1, -1.95, 3 - 0.2 / 3, 0.9])
    pruner.finish()
    assert zeros(model) == 2


def test_any_optimizer_over_the_parameters_moves_latent_weights(device: torch.device) -> None:
    """The flat vector and the model's parameters are the same to the optimizer, bit for bit."""
    results = []
    for flat in (False, True):
        model = Blocks().to(device)
        pruner = Pruner(model, Movement(), Cubic(window=2), sparsity=0.6, total=10)
        known = {id(p) for p in pruner.weights.parameters}
        rest = [p for p in model.parameters() if id(p) not in known]
        moved = [*rest, pruner.weights.vector] if flat else list(model.parameters())
        optimizer = torch.optim.SGD(moved, lr=0.1, momentum=0.9)
        for at in range(10):
            model.zero_grad(set_to_none=False)
            loss_of(model, data(seed=at)).backward()
            pruner.observe(0.1)
            optimizer.step()
            pruner.prune()
        pruner.finish()
        results.append(snapshot(model))
    assert torch.equal(*results)


@pytest.mark.parametrize("criterion", [Movement(), L0(score_lr=0.5), SoftMovement(score_lr=0.5)])
def test_after_the_end_nothing_is_gated_twice(criterion: Criterion, device: torch.device) -> None:
    """Soft gates lie between 0 and 1: applied again at each look they would shrink the weights."""
    model = Blocks().to(device)
    pruner = Pruner(model, criterion, Cubic(window=2), sparsity=0.5, total=10)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    for at in range(10):
        step(model, pruner, optimizer, data(seed=at))
    with pruner.evaluating():
        expected = snapshot(model)
    pruner.finish()
    final = snapshot(model)
    if criterion.exact:
        assert torch.equal(final, expected)
    with pruner.evaluating():
        assert torch.equal(snapshot(model), final)
    assert torch.equal(snapshot(model), final)
    assert pruner.measure() == zeros(model) / 64


def test_the_first_forward_sees_the_gates_too(device: torch.device) -> None:
    model = Blocks().to(device)
    before = snapshot(model)
    pruner = Pruner(model, L0(), Steps(), sparsity=0.5, total=5)
    gates = pruner.gates(training=True)
    assert gates.min() < 1
    assert not torch.equal(snapshot(model), before)
    shown = torch.cat([matrix.parameter.flatten() for matrix in find_prunable(model)])
    assert torch.equal(shown, pruner.weights.vector * gates)


@pytest.mark.parametrize("rule", ["threshold", "matched"])
def test_stacks_of_matrices_fare_as_each_of_them(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU: five matrices of three shapes, two of them stored [in, out]."""
    results = []
    for device in ("cpu", "meta"):
        monkeypatch.setattr(pruner_module, "stacks_of", partial(_stacks_for, torch.device(device)))
        model = nn.Module()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            pairs = [nn.Linear(16, 8), nn.Linear(8, 16), nn.Linear(16, 8), Conv1D(8, 16), Conv1D(16, 16)]
        model.blocks = nn.ModuleList(pairs)
        criterion = SoftMovement(rule=rule, score_lr=0.5, final_threshold=0.5)
        pruner = Pruner(model, criterion, Cubic(window=2), sparsity=0.5, total=8)
        assert len(pruner.states) == (5 if device == "cpu" else 3)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
        for at in range(8):
            draws = torch.Generator().manual_seed(at)
            for parameter in model.parameters():
                parameter.grad = torch.randn(parameter.shape, generator=draws)
            pruner.observe(0.05)
            optimizer.step()
            pruner.prune()
        pruner.finish()
        assert 0.1 < pruner.measure() < 0.9
        results.append((pruner.mask, snapshot(model)))
    (masks, weights), (stacked_masks, stacked_weights) = results
    assert torch.equal(stacked_masks, masks)
    torch.testing.assert_close(stacked_weights, weights)


def _stacks_for(device: torch.device, criterion: Criterion, shapes: Shapes, _: torch.device) -> list[list[int]]:
    return stacks_of(criterion, shapes, device)


# Looking on.


CRITERIA: dict[str, Callable[[], Criterion]] = {
    "magnitude": Magnitude,
    "sensitivity": lambda: Sensitivity(window=2),
    "principled": lambda: Principled(window=2),
    "random": Random,
    "movement": lambda: Movement(score_optimizer="adam"),
    "l0": L0,
    "soft_movement": SoftMovement,
}


@pytest.mark.parametrize("name", CRITERIA)
def test_evaluating_leaves_training_undisturbed(name: str, device: torch.device) -> None:
    """Weights at each look are as the mask has them; with looks or without, the run is the same bit for bit."""
    results = []
    for looks in (False, True):
        model = Blocks().to(device)
        pruner = Pruner(model, CRITERIA[name](), Seldom(every=3), sparsity=0.5, total=8)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
        for at in range(8):
            step(model, pruner, optimizer, data(seed=at))
            if looks:
                before = snapshot(model)
                with pruner.evaluating():
                    assert at < 2 or not pruner.criterion.exact or zeros(model) == 32
                    loss_of(model, data())
                assert torch.equal(snapshot(model), before)
        pruner.finish()
        results.append(snapshot(model))
    assert torch.equal(*results)


@pytest.mark.parametrize("schedule", [Cubic(window=2), Constant(window=3), Iterative(rounds=2)])
@pytest.mark.parametrize("name", CRITERIA)
def test_a_restored_run_has_the_same_future(name: str, schedule: Schedule, device: torch.device) -> None:
    model, other = Blocks().to(device), Blocks(seed=9).to(device)
    pruner, optimizer = start(model, CRITERIA[name](), schedule)
    for at in range(7):
        step(model, pruner, optimizer, data(seed=at))
    resumed, again = start(other, CRITERIA[name](), schedule)
    other.load_state_dict(model.state_dict())
    resumed.load_state_dict({key: value.clone() for key, value in pruner.state_dict().items()})
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for at in range(7, 12):
        assert step(model, pruner, optimizer, data(seed=at)) == step(other, resumed, again, data(seed=at))
    pruner.finish()
    resumed.finish()
    assert torch.equal(snapshot(model), snapshot(other))
    assert resumed.last_masking == pruner.last_masking


def start(model: nn.Module, criterion: Criterion, schedule: Schedule) -> tuple[Pruner, torch.optim.Optimizer]:
    pruner = Pruner(model, criterion, schedule, sparsity=0.5, total=12)
    return pruner, torch.optim.AdamW(model.parameters(), lr=0.05)


def test_statistics_that_appear_later_are_restored_too(device: torch.device) -> None:
    model = one_matrix([[1.0, 2.0]]).to(device)
    pruner = Pruner(model, LastGradient(), Seldom(), sparsity=0.5, total=4)
    pushed(model, pruner, [[3, 4]])
    fresh = Pruner(one_matrix([[1.0, 2.0]]).to(device), LastGradient(), Seldom(), sparsity=0.5, total=4)
    fresh.load_state_dict(pruner.state_dict())
    assert fresh.scores().tolist() == [3.0, 4.0]
