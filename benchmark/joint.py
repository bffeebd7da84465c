"""`pruner.observe` and `optimizer.step`, in one pass over memory where a criterion offers that: the same results, bit for bit.

Both read every prunable weight and its gradient, and on a CPU reading is what they wait for: done while the optimizer is there,
observing takes less than half as long.
"""

import math
import time
from functools import cache

import torch

from benchmark.dense import Dense
from benchmark.optimizer import FlatOptimizer
from benchmark.pruner import Pruner
from criteria.kernels import REGISTER, AdamW, Kernels, load_for

APART = 100
"""Of so many steps the first two are taken apart, to know what the optimizer takes alone."""


def observe_and_step(pruner: Pruner | Dense, optimizer: FlatOptimizer, lr: float) -> None:
    """Both at learning rate `lr`. What they take together beyond the least that the optimizer took alone is the criterion's time."""
    if isinstance(pruner, Pruner) and pruner.taken % APART > 1 and optimizer.alone < math.inf:
        began = time.perf_counter()
        if _together(pruner, optimizer, lr):
            pruner.watch.add(time.perf_counter() - began - optimizer.alone)
            return
    pruner.observe(lr)
    began = time.perf_counter()
    optimizer.step(lr)
    optimizer.alone = min(optimizer.alone, time.perf_counter() - began)


def _together(pruner: Pruner, optimizer: FlatOptimizer, lr: float) -> bool:
    """One pass for the prunable weights, the other weights' step after it; False, with nothing done, where there is no such pass."""
    criterion, vector, adamw = pruner.criterion, pruner.weights.vector.data, optimizer.prunable_step(lr)
    if adamw is None or criterion.latent or not criterion.elementwise:
        return False
    kernels = load_for(vector)
    if kernels is None or not moves_as_torch(kernels):
        return False
    if not criterion.observe_and_move(pruner.states[0], vector, pruner.weights.collect(), pruner.step(lr), adamw):
        return False
    optimizer.step(lr, moved=True)
    return True


@cache
def moves_as_torch(kernels: Kernels) -> bool:
    """Whether a few steps of AdamW by `kernels` give the bits of torch's on this processor."""
    start, *grads = torch.randn(6, 300 * REGISTER, generator=torch.Generator().manual_seed(0))
    ours, theirs = (torch.stack([start, *torch.zeros(3, len(start))]) for _ in range(2))
    for steps, grad in enumerate(grads, 1):
        (weight, first, second, mean), numbers = ours, (steps, 0.1 / steps, (0.9, 0.999), 1e-8, 0.1)
        kernels.observe([mean], weight, grad, 0.0, 1.0, None, AdamW(first, second, *numbers))
        weight, first, second, _ = theirs
        AdamW(first, second, *numbers).by_torch(weight, grad)
    return torch.equal(ours[:3], theirs[:3])
