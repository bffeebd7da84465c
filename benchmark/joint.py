"""`pruner.observe` and `optimizer.step`, in one pass over memory where a criterion offers that: the same results, bit for bit.

Both read every prunable weight and its gradient, and on a CPU reading is what they wait for: done while the optimizer is there,
observing takes less than half as long.
"""

import time
from statistics import median

from benchmark.dense import Dense
from benchmark.optimizer import FlatOptimizer
from benchmark.pruner import Pruner

APART = 20
"""One step in so many, and the first two, are taken apart, to know what the optimizer takes alone."""


def observe_and_step(pruner: Pruner | Dense, optimizer: FlatOptimizer, lr: float) -> None:
    """Both at learning rate `lr`. What they take together beyond what the optimizer lately took alone is the criterion's time."""
    if isinstance(pruner, Pruner) and optimizer.alone and pruner.taken % APART != APART - 1:
        began = time.perf_counter()
        if _together(pruner, optimizer, lr):
            pruner.watch.add(time.perf_counter() - began - median(optimizer.alone))
            return
    pruner.observe(lr)
    first, began = not optimizer.torch.state, time.perf_counter()
    optimizer.step(lr)
    if not first:  # which has to make its moments
        optimizer.alone.append(time.perf_counter() - began)


def _together(pruner: Pruner, optimizer: FlatOptimizer, lr: float) -> bool:
    """One pass for the prunable weights, the other weights' step after it; False, with nothing done, where there is no such pass."""
    criterion, adamw = pruner.criterion, optimizer.prunable_step(lr)
    if adamw is None or criterion.latent or not criterion.elementwise or not criterion.overrides("observe_and_move"):
        return False
    vector, grad = pruner.weights.vector.data, pruner.weights.collect()
    if not criterion.observe_and_move(pruner.states[0], vector, grad, pruner.step(lr), adamw):
        return False
    optimizer.step(lr, moved=True)
    return True
