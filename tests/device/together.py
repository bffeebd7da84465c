"""What it would bring to train several cells of one task and seed as one batched model (torch.func), and how equal it would be.

python -m tests.device.together [STEPS [DATA MODEL]]        in the project's root; PROBE_DEVICE and PROBE_QUICK as `run` sets them

Six cells, three criteria at two sparsities, are trained one after the other and then together: parameters stacked, one forward and
backward pass over all, the same dropout; clipping, criterion, optimizer and mask stay each cell's own. Nothing of the harness uses
this: docs/speed.md says why.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from benchmark.machine.environment import autocast, seed_everything
from benchmark.pruning.dense import Dense
from benchmark.pruning.pruner import Pruner
from benchmark.suite.spec import RunSpec
from benchmark.training.optimizer import FlatOptimizer, rate
from benchmark.training.prefetch import prefetched
from benchmark.training.run import Options, make_pruner, open_task
from benchmark.training.train import stream
from benchmark.training.unread_masks import always_make_masks
from tasks.base import Batch, Prepared
from tests.device.probe import CUDA, DEVICE, QUICK, wait

ROWS = [(name, sparsity) for name in ("magnitude", "principled[window=5]", "taylor") for sparsity in (0.5, 0.8)]


class Cell:
    """One cell's model, pruner and optimizer; torch's own layers everywhere, for the harness's on a CPU cannot be batched."""

    def __init__(self, spec: RunSpec, prepared: Prepared, steps: int) -> None:
        self.spec, self.steps, self.taken = spec, steps, 0
        self.model = prepared.build(0).to(DEVICE).train()
        always_make_masks(self.model)
        self.pruner: Pruner | Dense = make_pruner(self.model, spec, steps)
        self.optimizer = FlatOptimizer(self.model, self.pruner.weights, spec.training)

    def step(self) -> None:
        """What follows a backward pass."""
        lr = rate(self.taken, self.steps, self.spec.training)
        self.optimizer.clip(self.spec.training.clip)
        self.pruner.observe(lr, finite=True)
        self.optimizer.step(lr)
        self.pruner.prune()
        self.optimizer.zero_grad()
        self.taken += 1


def one_after_the_other(cells: list[Cell], prepared: Prepared) -> None:
    """Train the cells as the harness does."""
    for cell in cells:
        for batch in batches(cell, prepared):
            loss_of(prepared, cell.model, batch).backward()
            cell.step()


def at_once(cells: list[Cell], prepared: Prepared, skeleton: nn.Module) -> None:
    """Train the cells by one forward and backward pass a step, through `skeleton`."""
    buffers, each = dict(skeleton.named_buffers()), [dict(cell.model.named_parameters()) for cell in cells]

    def loss(weights: dict[str, Tensor], batch: Batch) -> Tensor:
        model: Any = partial(_called, skeleton, weights | buffers)
        return loss_of(prepared, model, batch)

    for batch in batches(cells[0], prepared):
        stacked = {name: torch.stack([own[name].detach() for own in each]) for name in each[0]}
        gradients = vmap(grad_and_value(partial(loss, batch=batch)), randomness="same")(stacked)[0]
        for at, cell in enumerate(cells):
            for name, parameter in each[at].items():
                assert parameter.grad is not None
                parameter.grad.copy_(gradients[name][at])
            cell.step()


def _called(skeleton: nn.Module, tensors: dict[str, Tensor], **inputs: Tensor) -> Any:
    return functional_call(skeleton, tensors, (), inputs)


def loss_of(prepared: Prepared, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """The mean loss, in the device's precision."""
    with autocast(DEVICE):
        return prepared.forward(model, batch)[0].mean()


def batches(cell: Cell, prepared: Prepared) -> Iterator[Batch]:
    """The run's batches, with the generators that dropout draws from seeded anew."""
    seed_everything(0)
    return prefetched(stream(prepared, cell.spec, 0, cell.steps), DEVICE, prepared.pads)


def clock() -> float:
    """Seconds of the processor, which other work on the machine hardly changes; of the clock where there is a device."""
    if not CUDA:
        return time.process_time()
    wait()
    return time.perf_counter()


def main(steps: str = "100", data: str = "mini", model: str = "mini") -> None:
    """Print how far apart the two ways end, and how long they take."""
    total, lr = 4 if QUICK else int(steps), 1e-3 if model == "mini" else 5e-5
    training = {"steps": total, "batch_size": 16, "lr": lr, "max_length": 48, "eval_examples": 300}
    asked = {"task": "glue/sst2", "data": data, "model": model, "schedule": "cubic[window=5]", "training": training}
    specs = [RunSpec.model_validate({"criterion": name, "sparsity": sparsity} | asked) for name, sparsity in ROWS]
    prepared = open_task(specs[0], Options())
    apart, together = ([Cell(spec, prepared, total) for spec in specs] for _ in range(2))
    times = [clock()]
    one_after_the_other(apart, prepared)
    times.append(clock())
    at_once(together, prepared, Cell(specs[0], prepared, total).model)
    times.append(clock())
    for (name, sparsity), one, other in zip(ROWS, apart, together, strict=True):
        scores, weights, zeros = [], [], []
        for cell in (one, other):
            cell.pruner.finish()
            scores.append(prepared.evaluate(cell.model, "reported").metrics[prepared.metric])
            weights.append(torch.cat([parameter.detach().flatten() for parameter in cell.model.parameters()]))
            zeros.append(cell.pruner.weights.vector == 0)
        gap, differ = (weights[0] - weights[1]).abs().max(), int((zeros[0] != zeros[1]).sum())
        found = f"{differ} weights are zero in one alone, largest difference {gap:.1e}, scores {scores[0]:.2f}, {scores[1]:.2f}"
        print(f"{name} {sparsity}: {found}")
    print(
        f"{len(ROWS)} cells of {total} steps: one after the other {times[1] - times[0]:.1f} s, together {times[2] - times[1]:.1f} s"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
