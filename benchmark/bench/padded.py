"""A prepared task whose every batch is padded to `max_length`, evaluation included: what the published loops feed the model."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.nn import functional as F

from tasks.base import Batch
from tasks.pipeline.batching import Rows
from tasks.pipeline.features import Features
from tasks.pipeline.prepared import PreparedTask


def padded(prepared: PreparedTask[Any], size: int) -> PreparedTask[Any]:
    """A copy that shares data and checkpoint: batches padded to the task's max_length, evaluated `size` rows at a time in order."""
    made = copy.copy(prepared)
    length = prepared.setting.max_length

    def collate(features: Features, rows: Rows) -> Batch:
        return lengthened(prepared.collate(features, rows), length, dict(prepared.pads))

    made.collate = collate  # type: ignore[method-assign]
    made.evaluation_batches = lambda split: made.batches(split, size, None)  # type: ignore[method-assign]
    return made


def shuffled(prepared: PreparedTask[Any], size: int, seed: int) -> Iterator[Batch]:
    """Training batches for ever, rows in random order, nothing grouped; the last of an epoch may be short."""
    features, generator = prepared.features("train"), np.random.default_rng(seed)
    while True:
        order = generator.permutation(len(features))
        for start in range(0, len(order), size):
            yield prepared.collate(features, order[start : start + size])


def lengthened(batch: Batch, length: int, pads: dict[str, int]) -> Batch:
    """The batch with its token columns [rows, width] filled up to `length` columns."""
    columns = {**pads, "attention_mask": 0}
    return {
        name: F.pad(tensor, (0, length - tensor.shape[1]), value=columns[name]) if name in columns else tensor
        for name, tensor in batch.items()
    }
