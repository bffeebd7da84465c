"""Dropout on a CPU for a third of its price: random bits in bulk, sixteen for each entry.

torch asks its generator once for every entry, on one thread: an eighth of a training step of a small encoder. Here one 64-bit draw
decides four entries, an entry going where its 16 bits fall below p 2^16. So p is rounded to a multiple of 2^-16; what stays is
scaled by the rounded share, so that the mean is kept exactly. Draws come from torch's own generator: seeds and checkpoints hold as
ever, only the sequence is another. Attention with dropout, which torch too computes step by step on a CPU, is written out.

    with cheap_dropout(model, device):
        loss = ...                  # functions are replaced, not modules

On CUDA, where torch fuses both, nothing is changed, nor where no module of the model drops anything.
"""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

LEVELS = 1 << 16
"""Values of the bits that decide one entry."""
DRAWN = 4
"""Entries that one 64-bit draw decides."""
FULL = -(1 << 63)
"""`random_` from here on draws all 64 bits."""


def cheap_dropout(model: nn.Module, device: torch.device) -> AbstractContextManager[Any]:
    """A context in which training `model` on a CPU drops entries as said above."""
    drops = device.type == "cpu" and any(isinstance(module, nn.Dropout) and module.p > 0 for module in model.modules())
    return _Cheap() if drops else nullcontext()


class _Cheap(TorchFunctionMode):
    """Takes the calls of two functions, lets all others pass."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        ours = _OURS.get(func)
        return (ours or func)(*args, **(kwargs or {}))


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """As torch.nn.functional.dropout."""
    if not training or inplace or not _ours(input, p):
        return functional.dropout(input, p, training, inplace)
    return input * kept(input.shape, p)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """As torch.nn.functional.scaled_dot_product_attention; a row that may attend to nothing attends to everything alike."""
    if enable_gqa or not _ours(query, dropout_p):
        return functional.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    scores = (query * (scale or 1 / math.sqrt(query.shape[-1]))) @ key.transpose(-2, -1)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, torch.finfo(scores.dtype).min)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return dropout(scores.softmax(-1), dropout_p) @ value


def kept(shape: torch.Size, p: float) -> Tensor:
    """What dropout multiplies by: fp32 of `shape`, 0 for a share `p` of the entries, 1 / (1 - p) for the others."""
    lost, count = round(p * LEVELS), shape.numel()
    drawn = torch.empty(-(-count // DRAWN), dtype=torch.int64).random_(FULL, None)
    bits = drawn.view(torch.int16)[:count].view(shape)
    factors = torch.empty(shape)  # compared straight into fp32: a third of the time of a mask and its conversion
    torch.ge(bits, lost - LEVELS // 2, out=factors)
    return factors.mul_(LEVELS / (LEVELS - lost))


def _ours(tensor: Tensor, p: float) -> bool:
    """Whether there is something to drop, and it is as the fast way expects it."""
    return tensor.device.type == "cpu" and tensor.dtype == torch.float32 and 0 < round(p * LEVELS) < LEVELS


_OURS: dict[Any, Callable[..., Tensor]] = {
    functional.dropout: dropout,
    functional.scaled_dot_product_attention: attention,
}
