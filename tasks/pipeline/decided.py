"""Picks the positions of a batch that are predicted (a word's first token, a target's tokens) without a GPU counting them.

The column `decisions` [batch], which stays on the CPU, says how many each row has.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from tasks.base import Batch

DECISIONS = "decisions"
"""The column that stays on the CPU."""


def moved(batch: Mapping[str, Tensor], move: Callable[[Tensor], Tensor]) -> Batch:
    """The batch with `move` applied to every column but the one that stays."""
    return {name: tensor if name == DECISIONS else move(tensor) for name, tensor in batch.items()}


def picked(batch: Mapping[str, Tensor], decided: Tensor, values: Tensor) -> Tensor:
    """`values` [batch, length, ...] where `decided` [batch, length] holds, row after row: [decisions, ...].

    Indexing by a mask, as on a CPU, would wait for a device to count.
    """
    if not is_counted(batch):
        return values[decided]
    count = int(batch[DECISIONS].sum())
    return values.flatten(0, 1)[_first(decided.flatten(), count)]


def is_counted(batch: Mapping[str, Tensor]) -> bool:
    """Whether the batch lies on a device, and its decisions are counted on the CPU."""
    return DECISIONS in batch and batch["input_ids"].device.type != "cpu"


def positions(batch: Mapping[str, Tensor], decided: Tensor) -> Tensor:
    """Of every row the positions [batch, most] where `decided` [batch, length] holds, filled up with others where they are fewer."""
    return _first(decided, int(batch[DECISIONS].max()))


def _first(decided: Tensor, count: int) -> Tensor:
    """Positions along the last dimension, those that are decided first, `count` of them."""
    return decided.logical_not().to(torch.uint8).argsort(dim=-1, stable=True)[..., :count]
