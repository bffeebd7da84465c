"""Linear layers on AMD processors: oneDNN multiplies matrices there, at twice the speed of torch's own choice.

torch multiplies fp32 matrices on a CPU with MKL, which does not use AVX-512 on processors of other makers than Intel. oneDNN, which
torch includes and uses for other types, asks the processor what it can do. Both compute in fp32 but sum in different orders, so
results differ in the last bits, as between any two processors. A record says which library multiplied ("products").

    multiply_by_onednn(model)       # classes of layers change; parameters and state dict stay

Products below SMALLEST stay torch's, and all of a tiny model: there a call of oneDNN costs more than it saves. So do other types
than fp32 (diagnostics compute in double precision), other processors and GPUs.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.machine.environment import cpu_name, is_tiny

SMALLEST = 1 << 24
"""Multiplications of a product from which oneDNN is used: measured, 128 x 384 x 384 gains and 128 x 256 x 256 hardly."""


@cache
def fastest_library() -> str:
    """Which library multiplies large fp32 matrices fastest on this machine's CPU: 'torch', as torch itself does, or 'oneDNN'."""
    both = torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()
    held_back = "AMD" in cpu_name() and "AVX512" in torch.backends.cpu.get_cpu_capability()
    return "oneDNN" if both and held_back and hasattr(torch.ops.mkldnn, "_linear_pointwise") else "torch"


def multiply_by_onednn(model: nn.Module) -> None:
    """Make the linear layers of `model`, which is on a CPU, use oneDNN from now on if that is faster."""
    if fastest_library() != "oneDNN" or is_tiny(model):
        return
    for module in model.modules():
        kind: Any = type(module)
        if kind is nn.Linear:
            module.__class__ = FastLinear
        elif kind.__name__ == "Conv1D":
            module.__class__ = _fast(kind)


def library(model: nn.Module) -> str:
    """Which library multiplies in the linear layers of `model` where that is worthwhile: 'torch' or 'oneDNN'."""
    return "oneDNN" if any(isinstance(module, _ByOneDNN) for module in model.modules()) else "torch"


class _ByOneDNN:
    """What the changed classes have in common."""


class FastLinear(_ByOneDNN, nn.Linear):
    """An nn.Linear whose product oneDNN computes."""

    def forward(self, input: Tensor) -> Tensor:
        """input [..., in] W^T + b, W [out, in]."""
        if not worthwhile(input, self.weight):
            return super().forward(input)
        return product(input.reshape(-1, self.in_features), self.weight, self.bias).view(*input.shape[:-1], -1)


@cache
def _fast(conv1d: Any) -> type[nn.Module]:
    """As FastLinear, for the library's Conv1D (GPT-2), whose weight is stored [in, out]."""

    class Conv1D(_ByOneDNN, conv1d):
        def forward(self, x: Tensor) -> Tensor:
            if not worthwhile(x, self.weight):
                return super().forward(x)  # type: ignore[no-any-return]
            return product(x.reshape(-1, x.shape[-1]), self.weight.t(), self.bias).view(*x.shape[:-1], -1)

    return Conv1D


def worthwhile(input: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN should multiply `input` [..., in] by `weight`."""
    large = input.numel() * weight.numel() >= SMALLEST * input.shape[-1]
    return large and input.dtype == weight.dtype == torch.float32 and input.device.type == "cpu"


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """a b^T + bias by oneDNN: a [m, k], b [n, k], bias [n]; differentiable, any number of times."""
    result: Tensor = _Product.apply(a, b, bias)
    return result


class _Product(torch.autograd.Function):
    """Its gradients are products of the same kind."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(a, b)
        result: Tensor = torch.ops.mkldnn._linear_pointwise(_dense(a), _dense(b), bias, "none", [], "")
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        a, b = ctx.saved_tensors
        for_a, for_b, for_bias = ctx.needs_input_grad
        grad_a = product(grad, b.t()) if for_a else None
        grad_b = None
        if for_b:  # as its weight is stored, so that adding it up goes straight through memory
            grad_b = product(grad.t(), a.t()) if b.is_contiguous() else product(a.t(), grad.t()).t()
        return grad_a, grad_b, grad.sum(0) if for_bias else None


def _dense(matrix: Tensor) -> Tensor:
    """`matrix`, copied if its rows or columns have gaps: oneDNN has no fast code for those (an encoder's first tokens, say)."""
    return matrix if matrix.is_contiguous() or matrix.t().is_contiguous() else matrix.contiguous()
