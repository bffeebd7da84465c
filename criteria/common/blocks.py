"""Walks long vectors in blocks that stay in the processor's cache, so that several small operations cost one pass.

A step of a smoothed criterion is six operations on six vectors. On whole vectors of ten million weights each would travel
to main memory and back; on blocks the temporaries never leave the cache, and no temporary of the model's size is needed.
An accelerator prefers one launch over whole vectors, so there the block is everything.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch
from torch import Tensor

_lent: ContextVar[Tensor | None] = ContextVar("lent", default=None)

BLOCK = 1 << 19
"""Elements a block on the CPU: 2 MiB of fp32, measured best; smaller ones lose time waiting for threads on a busy machine."""


def blocks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield matching flat views of `tensors` (all of one shape), block by block, preceded by a scratch of that length.

    Writing to a yielded view writes to its tensor, which must then be contiguous; others may be copied to be read.
    """
    first = tensors[0]
    size = BLOCK if first.device.type == "cpu" else max(first.numel(), 1)
    scratch = torch.empty(min(size, first.numel()), dtype=torch.float32, device=first.device)
    flat = [tensor.reshape(-1) for tensor in tensors]
    for start in range(0, first.numel(), size):
        views = [vector[start : start + size] for vector in flat]
        yield scratch[: views[0].numel()], *views


@contextmanager
def lending(spare: Tensor) -> Iterator[None]:
    """Within, the first `fresh` vector of its shape is `spare`, whose content nobody needs, and not new memory; zeros afterwards."""
    token = _lent.set(spare)
    try:
        yield
    finally:
        if _lent.get() is not spare:
            spare.zero_()
        _lent.reset(token)


def fresh(shape: Sequence[int], device: torch.device) -> Tensor:
    """An uninitialised fp32 tensor, contiguous: for vectors of the model's size.

    On a CPU its memory is numpy's, which asks for huge pages. With small ones, a new vector's page faults take several times as
    long as the product that fills it, and every pass over it waits for address translation.
    """
    if (spare := _lent.get()) is not None and spare.shape == torch.Size(shape) and spare.device == device:
        _lent.set(None)
        return spare
    if device.type != "cpu":
        return torch.empty(tuple(shape), device=device)
    return torch.from_numpy(np.empty(tuple(shape), np.float32))
