"""One step of a smoothed criterion in one pass over memory, for CUDA: a Triton kernel, imported only where Triton is.

`fold` in smoothing.py is its reference: the same formula by torch's operations, equal within the rounding of fp32. That one goes over
memory four to eight times, this one once: 16 bytes a weight, and 28 or 36 where a window closes.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from criteria.common import smoothing
from criteria.common.smoothing import Fold, Importance, Window

BLOCK = 1024


@triton.jit  # type: ignore[untyped-decorator]
def _fold(  # type: ignore[no-untyped-def]  # Triton reads annotations itself, and knows its own alone
    weight, grad, m, a, u, n, eta, share, share_a, share_u,
    signed: tl.constexpr, first: tl.constexpr, closing: tl.constexpr, spread: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    inside = at < n
    g = tl.load(grad + at, inside)
    found = (tl.load(weight + at, inside) - eta * g) * g
    found = -found if signed else tl.abs(found)
    if closing:
        ended = tl.load(m + at, inside)
        average = tl.load(a + at, inside)
        average += share_a * (ended - average)
        tl.store(a + at, average, inside)
        if spread:
            before = tl.load(u + at, inside)
            tl.store(u + at, before + share_u * (tl.abs(ended - average) - before), inside)
    if not first:
        mean = tl.load(m + at, inside)
        found = mean + share * (found - mean)
    tl.store(m + at, found, inside)


def fold(
    importance: Importance, window: Window, weight: Tensor, grad: Tensor, m: Tensor, averages: list[Tensor]
) -> None:
    """As `smoothing.fold`, which folds a formula of a plugin's own; M, A and U contiguous."""
    if type(importance) is not Importance:
        smoothing.fold(importance, window, weight, grad, m, averages)
        return
    n = m.numel()
    a, u = (*averages, m, m)[:2]  # an address for what is not there
    with torch.cuda.device_of(weight):  # Triton launches on the current device
        _fold[(triton.cdiv(n, BLOCK),)](
            weight.reshape(-1), grad.reshape(-1), m, a, u, n, float(importance.eta), 1 / (window.k + 1), *window.shares,
            signed=importance.signed, first=window.k == 0, closing=window.closing, spread=len(averages) == 2, block=BLOCK,
        )  # fmt: skip


def checked(device: torch.device) -> Fold:
    """`fold`, tried on a few numbers first; RuntimeError where it gives others than the reference."""
    for window in (Window(0, True, (0.15, 0.01)), Window(3, False, (0.15, 0.01))):
        given = torch.linspace(-1, 2, 505, device=device).view(5, 101)
        ours, theirs = given.clone(), given.clone()
        fold(Importance(0.1), window, ours[0], ours[1], ours[2], [ours[3], ours[4]])
        smoothing.fold(Importance(0.1), window, theirs[0], theirs[1], theirs[2], [theirs[3], theirs[4]])
        if not torch.allclose(ours, theirs, rtol=1e-5, atol=1e-6):
            raise RuntimeError("it gives other numbers than torch's operations")
    return fold
