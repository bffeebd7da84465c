"""Dropout on a CPU at a third of the cost: random bits are drawn in bulk, sixteen for each entry.

torch draws one random number for every entry, on one thread. Here one 64-bit draw decides four entries; an entry is dropped if
its 16 bits are below p 2^16. So p is rounded to a multiple of 2^-16; what stays is scaled by the rounded share, so that the mean
is kept exactly. Draws come from torch's own generator, so seeds and checkpoints hold; only the sequence is another.

    draw_in_bulk(model)         # its nn.Dropout modules, and its attention where the library lets one choose it

Dropout that a model computes in any other way stays torch's: as correct, only slower.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

LEVELS = 1 << 16
"""Values of the bits that decide one entry."""
DRAWN = 4
"""Entries that one 64-bit draw decides."""
FULL = -(1 << 63)
"""`random_` from here on draws all 64 bits."""
ATTENTION = "dropout_in_bulk"
"""Name of our attention in the registry of transformers."""


class BulkDropout(nn.Dropout):
    """An nn.Dropout that draws its random bits in bulk."""

    def forward(self, input: Tensor) -> Tensor:
        """Zeroes a share p of `input`'s entries in training."""
        if not self.training or self.inplace or not _takes(input, self.p):
            return super().forward(input)
        return input * kept(input.shape, self.p)


def draw_in_bulk(model: nn.Module) -> None:
    """Change the dropout of `model`, which lies on a CPU, in place."""
    for module in model.modules():
        if type(module) is nn.Dropout and module.p > 0:
            module.__class__ = BulkDropout
    if getattr(getattr(model, "config", None), "_attn_implementation", None) == "sdpa":
        from transformers import AttentionInterface, AttentionMaskInterface
        from transformers.masking_utils import sdpa_mask

        AttentionInterface.register(ATTENTION, attention)
        AttentionMaskInterface.register(ATTENTION, sdpa_mask)
        any_model: Any = model
        any_model.set_attn_implementation(ATTENTION)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """softmax(Q K^T scale + mask) V with dropout, as the library calls it: [batch, heads, length, width] -> [batch, length, ...].

    torch computes it step by step too on a CPU once there is dropout. Without dropout, or where a model asks for more (causal
    attention without a mask, grouped heads, a position bias), it is the library's call of torch's own.
    """
    plain = key.shape == value.shape and query.shape[1] == key.shape[1] and others.get("position_bias") is None
    causal = attention_mask is None and others.get("is_causal", getattr(module, "is_causal", False)) is not False
    if causal or not plain or not _takes(query, dropout):
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **others)  # type: ignore[no-any-return]
    scores = (query * (scaling or 1 / math.sqrt(query.shape[-1]))) @ key.transpose(-2, -1)
    if attention_mask is not None and attention_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    elif attention_mask is not None:
        scores = scores + attention_mask
    probabilities = scores.softmax(-1)
    heads = (probabilities * kept(probabilities.shape, dropout)) @ value
    return heads.transpose(1, 2).contiguous(), None


def kept(shape: torch.Size, p: float) -> Tensor:
    """What dropout multiplies by: fp32 of `shape`, 0 for a share `p` of the entries, 1 / (1 - p) for the others."""
    lost, count = round(p * LEVELS), shape.numel()
    drawn = torch.empty(-(-count // DRAWN), dtype=torch.int64).random_(FULL, None)
    bits = drawn.view(torch.int16)[:count].view(shape)
    factors = torch.empty(shape)  # compared straight into fp32: a third of the time of a mask and its conversion
    torch.ge(bits, lost - LEVELS // 2, out=factors)
    return factors.mul_(LEVELS / (LEVELS - lost))


def _takes(tensor: Tensor, p: float) -> bool:
    """Whether `tensor` is fp32 on a CPU and something is to be dropped."""
    return tensor.device.type == "cpu" and tensor.dtype == torch.float32 and 0 < round(p * LEVELS) < LEVELS
