"""Embeddings whose gradient is added in place, row by row, on a CPU.

Autograd's own backward makes a zero tensor of the whole table at every step (47 MB for BERT's vocabulary at width 384), fills in
the few rows that a batch uses, and adds all of it to `.grad`: three passes over fresh memory, several times the arithmetic. Where
`.grad` is a view of a flat vector that stays, those rows can be added there. The sums run in the same order, so that the bits are
the same. On CUDA, where such additions would race, nothing is changed.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class InPlaceEmbedding(nn.Embedding):
    """An nn.Embedding in all but its backward: parameters, state dict and forward are the same."""

    def forward(self, input: Tensor) -> Tensor:
        """Rows of the table; where there is no gradient to add to (an evaluation, a copy), the plain lookup."""
        if not torch.is_grad_enabled() or not self.weight.requires_grad or self.weight.grad is None:
            return super().forward(input)
        rows: Tensor = _Rows.apply(self.weight, input, self.padding_idx)
        return rows


class _Rows(torch.autograd.Function):
    """weight[ids]; the gradient goes straight into `weight.grad`."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, ids: Tensor, padding: int | None) -> Tensor:
        ctx.weight, ctx.padding = weight, padding
        ctx.save_for_backward(ids)
        return nn.functional.embedding(ids, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, None]:
        (ids,) = ctx.saved_tensors
        ids, rows = ids.reshape(-1), grad.reshape(-1, grad.shape[-1])
        if ctx.padding is not None:
            real = ids != ctx.padding
            ids, rows = ids[real], rows[real]
        ctx.weight.grad.index_add_(0, ids, rows)
        return None, None, None


def add_in_place(model: nn.Module) -> None:
    """Let the plain embeddings of `model` add their gradients in place; on a CPU, where every `.grad` is there to stay."""
    for module in model.modules():
        plain = type(module) is nn.Embedding and not module.sparse and not module.scale_grad_by_freq
        if plain and module.max_norm is None and module.weight.device.type == "cpu":
            module.__class__ = InPlaceEmbedding
