"""Backward pass of one batch, whole or in parts, in one process or several. The gradient is that of the whole batch's mean loss.

    grad = sum_p n_p grad(loss_p) / sum_p n_p        loss_p the mean over the n_p decisions of part p

A part counts by its number of decisions (tokens, examples), as in one mean over all of them. Dropout draws other masks in parts
than for the whole batch.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from benchmark.machine import parallel
from benchmark.machine.environment import autocast
from benchmark.training.optimizer import FlatOptimizer
from criteria.regularizers.base import Forward, Regularizer
from tasks.base import Batch


def backward(
    forward: Forward, regularizer: Regularizer, model: nn.Module, batch: Batch, optimizer: FlatOptimizer, parts: int = 1
) -> Tensor:
    """Put the batch's gradients into the optimizer's flat vectors; returns the mean loss, detached."""

    def loss_of(piece: Batch) -> tuple[Tensor, int]:
        with autocast(optimizer.device):
            losses, logits = forward(model, piece)
            if not losses.numel():  # no word of the batch was tokenized, and the mean of nothing is nan
                return logits.sum() + losses.sum(), 0
            return regularizer.loss(losses, logits, model, piece), losses.numel()

    if parts == 1 and parallel.size() == 1:
        loss, _ = loss_of(batch)
        loss.backward()
        return loss.detach()
    total = torch.zeros(2, device=optimizer.device)  # sum of losses, decisions
    for piece in split(parallel.own(batch), parts):
        loss, decisions = loss_of(piece)
        (loss * decisions).backward()
        total[0] += loss.detach() * decisions
        total[1] += decisions
    parallel.add_up([total, *(flat.grad for flat in optimizer.flats)])
    decided = total[1].clamp(min=1)
    for flat in optimizer.flats:
        flat.grad.div_(decided)
    return total[0] / decided


def split(batch: Batch, parts: int) -> Iterator[Batch]:
    """At most `parts` pieces of about equally many rows; none for an empty batch."""
    rows = len(next(iter(batch.values())))
    size = max(1, -(-rows // parts))
    for start in range(0, rows, size):
        yield {name: tensor[start : start + size] for name, tensor in batch.items()}
