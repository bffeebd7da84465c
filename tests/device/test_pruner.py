"""The pruner on every device: the CPU's statistics and masks, no wait between maskings, and the memory that is promised."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
import torch
from torch import Tensor, nn

from benchmark.plugins import registry
from benchmark.pruning.flat import PrunableWeights
from benchmark.pruning.prunable import find_prunable
from benchmark.pruning.pruner import Pruner
from benchmark.pruning.schedules.cubic import Cubic
from benchmark.suite.spec import Training
from benchmark.training.optimizer import FlatOptimizer

CRITERIA = (
    "magnitude",
    "random",
    "gradient",
    "taylor",
    "sensitivity",
    "principled",
    "principled[signed=true]",
    "movement",
    "movement[score_optimizer=adam]",
    "soft_movement",
    "soft_movement[rule=matched]",
)
"""Those that neither calibrate nor draw on the device."""


@contextmanager
def unsynchronised(device: torch.device) -> Iterator[None]:
    """Whatever waits for the device inside raises."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def net(device: torch.device, width: int = 64) -> nn.Module:
    """Three matrices in blocks and a head, the same everywhere."""
    model = nn.Module()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sides = ((width, 4 * width), (4 * width, width), (width, 4 * width))
        model.blocks = nn.ModuleList([nn.Linear(*pair) for pair in sides])
        model.head = nn.Linear(4 * width, 2)
    return model.to(device)


def driven(criterion: str, device: torch.device, silent: bool = False) -> tuple[Pruner, PrunableWeights]:
    """The pruner and its weights after 24 steps with the same made-up gradients everywhere."""
    model, steps = net(device), 24
    weights = PrunableWeights(find_prunable(model))
    schedule = Cubic(initial=4, final=6, window=5)
    pruner = Pruner(
        model, registry.configure("criteria", criterion), schedule, sparsity=0.7, total=steps, weights=weights
    )
    optimizer = FlatOptimizer(model, weights, Training())
    generator = torch.Generator().manual_seed(1)
    for index in range(steps):
        gradients = [torch.randn(p.shape, generator=generator).to(device) for p in model.parameters()]
        with unsynchronised(device) if silent and index > 1 else nullcontext():
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                assert parameter.grad is not None
                parameter.grad.copy_(gradient)
            optimizer.clip(1.0)
            pruner.observe(0.01, finite=True)
            optimizer.step(0.01)
            pruner.prune()
            optimizer.zero_grad()
    return pruner, weights


def statistics(pruner: Pruner) -> dict[str, Tensor]:
    """The criterion's statistics: those of one number a weight in the order of the flat vector, counters as they are."""
    found = {}
    for name, first in pruner.states[0].items() if pruner.states else ():
        all_of_it = [state[name] for state in pruner.states]
        found[name] = (
            pruner.flattened(all_of_it) if sum(part.numel() for part in all_of_it) == len(pruner.mask) else first
        )
    return found


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_same_statistics_and_masks_as_on_the_cpu(criterion: str, accelerator: torch.device) -> None:
    """But for a few weights: of two whose scores are equal up to rounding the other one may go, and then both move otherwise."""
    (host, there), (device, here) = driven(criterion, torch.device("cpu")), driven(criterion, accelerator)
    pairs = {name: (statistics(device)[name], value, 1e-6) for name, value in statistics(host).items()}
    pairs |= {"weights": (here.vector.detach(), there.vector.detach(), 1e-5), "mask": (device.mask, host.mask, 0.0)}
    for name, (found, expected, least) in pairs.items():
        alike = torch.isclose(found.cpu().double(), expected.double(), rtol=1e-4, atol=least)
        assert alike.double().mean() >= 0.999, f"{int((~alike).sum())} of {alike.numel()} of {name} differ"
    assert int((~device.mask).sum()) == int((~host.mask).sum()) or not device.criterion.exact


@pytest.mark.parametrize("criterion", CRITERIA)
def test_steps_and_maskings_wait_for_nothing(criterion: str, device: torch.device) -> None:
    pruner, weights = driven(criterion, device, silent=True)
    assert pruner.steps_taken == 24
    assert torch.isfinite(weights.vector).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="memory of a GPU")
def test_observing_and_masking_take_little_memory() -> None:
    """Beyond weights, gradients and the optimizer: 16 bytes a weight at rest, as the bench's bound.

    While a mask is made, the old one (1), the statistics (12), two masks (2), and equal scores and their running count in 32 bits (8).
    """
    device = torch.device("cuda")
    model = nn.Module()
    model.blocks = nn.ModuleList([nn.Linear(4096, 4096, bias=False) for _ in range(4)])
    model = model.to(device)
    weights = PrunableWeights(find_prunable(model))
    optimizer, n = FlatOptimizer(model, weights, Training()), weights.vector.numel()
    weights.grad.normal_()
    optimizer.step(0.01)
    before = torch.cuda.memory_allocated()
    schedule = Cubic(initial=1, final=12, window=2)
    pruner = Pruner(
        model, registry.configure("criteria", "principled"), schedule, sparsity=0.7, total=16, weights=weights
    )
    rest = (torch.cuda.memory_allocated() - before) / n
    torch.cuda.reset_peak_memory_stats()
    for _ in range(8):
        weights.grad.normal_()
        pruner.observe(0.01, finite=True)
        pruner.prune()
    peak = (torch.cuda.max_memory_allocated() - before) / n
    assert rest <= 16, f"{rest:.1f} bytes a weight"
    assert peak <= 24, f"{peak:.1f} bytes a weight"
