"""Moves batches to the GPU one step ahead, from pinned memory on a stream of their own, padded to a multiple of eight columns.

Tensor cores want multiples of eight, and fewer widths mean fewer compiled graphs. The added columns are masked like all padding,
so losses stay the same up to rounding. On a CPU batches pass unchanged, because narrower ones are faster there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

import torch
from torch.nn import functional as F

from tasks.base import Batch
from tasks.pipeline.decided import moved

T = TypeVar("T")

MULTIPLE = 8


def prefetched(batches: Iterable[Batch], device: torch.device, pads: Mapping[str, int]) -> Iterator[Batch]:
    """The batches, in their order, on `device`; `pads` are the task's."""
    if device.type != "cuda":
        yield from batches
        return
    stream = torch.cuda.Stream(device)

    def send(batch: Batch) -> Batch:
        pinned = moved(widened(batch, pads), torch.Tensor.pin_memory)
        with torch.cuda.stream(stream):
            return moved(pinned, lambda tensor: tensor.to(device, non_blocking=True))

    for batch in one_ahead(batches, send):
        current = torch.cuda.current_stream(device)
        current.wait_stream(stream)
        for tensor in batch.values():
            if tensor.is_cuda:
                tensor.record_stream(current)  # allocated on the other stream
        yield batch


def one_ahead(items: Iterable[T], send: Callable[[T], T]) -> Iterator[T]:
    """Yield `send(item)` for every item; the next item is sent before the current one is yielded."""
    waiting: list[T] = []
    for item in items:
        waiting.append(send(item))
        if len(waiting) == 2:
            yield waiting.pop(0)
    yield from waiting


def widened(batch: Batch, pads: Mapping[str, int]) -> Batch:
    """Pad columns [rows, width] to the next multiple of MULTIPLE, each with the padding value in `pads`, or zeros.

    The value matters: a decoder with a classifier finds the last token by the padding id, not by `attention_mask`.
    """
    return {name: _filled(tensor, pads.get(name, 0)) for name, tensor in batch.items()}


def _filled(tensor: torch.Tensor, pad: int) -> torch.Tensor:
    missing = -tensor.shape[1] % MULTIPLE if tensor.dim() == 2 else 0
    return F.pad(tensor, (0, missing), value=pad) if missing else tensor
