"""Multiplies weights by gates; where the gates are a mask, at the speed of memory.

A mask times a float is the float's bits times 0 or 1. As integers that is one vector instruction per register and exact for every
value: what is pruned becomes +0.0 (never -0.0, whose sign would survive in a compressed file), whatever it was. `masked_fill_`
on a CPU takes one branch an entry, and a mask has no pattern that a processor could foresee: some ten times as long.
"""

import torch
from torch import Tensor

from criteria.blocks import blocks
from criteria.kernels import load_for


def gate(vector: Tensor, gates: Tensor, out: Tensor) -> Tensor:
    """`vector` [n] times `gates` [n] (bool, or fp32) into `out` [n], which may be `vector` itself; all contiguous."""
    if gates.dtype != torch.bool:
        return torch.mul(vector, gates, out=out)
    bits = (vector.view(torch.int32), gates.view(torch.uint8), out.view(torch.int32))
    if vector.device.type != "cpu":
        torch.mul(bits[0], bits[1], out=bits[2])
        return out
    kernels = load_for(vector)
    if kernels is not None:
        kernels.gate(vector, gates, out)
        return out
    # A CPU makes the mask's int32 copy before it multiplies: a block of it stays in the cache.
    for _, value, kept, target in blocks(*bits):
        torch.mul(value, kept, out=target)
    return out
