"""Useful work of a cell, and the rate of matrix products it is held against.

    training    6 w T + 12 h sum_i l_i^2 per layer        w linear weights, T real tokens, l_i real lengths, h hidden size
    teacher     2 w T +  4 h sum_i l_i^2                  (a forward without a backward)
    evaluation  2 w T +  4 h sum_i l_i^2

Two floating-point operations a multiply-add; QK' and PV are 2 h l^2 operations each; a backward costs twice its forward. Padding,
embeddings, norms, dropout, optimizer and criterion count as nothing: useful is what the mathematics of the layers asks for.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmark.bench.timing import seconds_of
from benchmark.pruning.prunable import find_prunable
from benchmark.training.cpu.linear import fastest_library, product

SIDE = {"cpu": 2048, "cuda": 8192}
"""Rows and columns of the matrices whose product is timed."""

TRAIN, FORWARD = 3, 1


@dataclass(frozen=True)
class Work:
    """What a model costs: prunable linear weights, layers and width of its attention."""

    weights: int
    layers: int
    hidden: int

    @classmethod
    def of(cls, model: nn.Module) -> "Work":
        """Read off a model: its linear weights in the blocks, and its configuration."""
        config: Any = model.config
        weights = sum(matrix.parameter.numel() for matrix in find_prunable(model))
        return cls(weights, config.num_hidden_layers, config.hidden_size)

    def flops(self, lengths: NDArray[np.int64], passes: int) -> float:
        """Operations of `passes` forwards' worth over sequences of these real lengths."""
        real = np.asarray(lengths, np.float64)
        return float(passes * (2 * self.weights * real.sum() + 4 * self.hidden * self.layers * (real**2).sum()))


def joined(lengths: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
    """All of them one after the other."""
    return np.concatenate([np.zeros(0, np.int64), *lengths])


Rates = dict[str, list[float]]
"""Operations per second of a large matrix product, once a round, by the library that multiplies."""


def matmul_rates(device: torch.device, rounds: int = 5, side: int | None = None) -> Rates:
    """Of torch.mm in fp32 (TF32 where the device is allowed it); of oneDNN too where linear layers multiply by it."""
    n = side or SIDE[device.type]
    a, b = (torch.randn(n, n, device=device) for _ in range(2))
    out = torch.empty(n, n, device=device)
    ways: dict[str, Callable[[], object]] = {"torch": lambda: torch.mm(a, b, out=out)}
    if device.type == "cpu" and fastest_library() == "oneDNN":
        ways["oneDNN"] = lambda: product(a, b)
    seconds = {name: [seconds_of(way, device) for _ in range(1 + rounds)] for name, way in ways.items()}
    return {name: [2 * n**3 / each for each in warm] for name, (_, *warm) in seconds.items()}
