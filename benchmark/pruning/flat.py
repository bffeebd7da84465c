"""Flat storage: all prunable weights in one fp32 vector, their gradients in another. Every parameter is a view of the vector.

Optimizer, criterion and mask work on the vector, so that a step takes a handful of kernels instead of hundreds, and nothing is
concatenated before ranking. The arithmetic is elementwise, so the results are those of a loop over parameters (up to the last
bit: vectorized and scalar code may round differently).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmark.errors import PrunebenchError
from benchmark.pruning.prunable import Matrix
from criteria.common.blocks import fresh


class Flat:
    """Parameters laid out one after the other in a single vector.

    `vector` [n] is an nn.Parameter for the optimizer, `vector.grad` [n] collects the gradients that backward writes into the
    parameters' own `.grad`, which are views of it.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = list(parameters)
        self.sizes = [parameter.numel() for parameter in self.parameters]
        size, device = [sum(self.sizes)], self.parameters[0].device
        parts = [parameter.detach().reshape(-1).float() for parameter in self.parameters]
        self.vector = nn.Parameter(torch.cat(parts, out=fresh(size, device)))
        self.vector.grad = fresh(size, device).zero_()
        self.point_at(self.vector.data)
        for parameter, part in zip(self.parameters, self.parts(self.vector.grad), strict=True):
            parameter.grad = part.view_as(parameter)

    @property
    def grad(self) -> Tensor:
        """Gradients [n], in the order of `vector`."""
        assert self.vector.grad is not None
        return self.vector.grad

    def parts(self, vector: Tensor) -> tuple[Tensor, ...]:
        """`vector` [n] cut into one flat view per parameter."""
        return torch.split(vector, self.sizes)

    def point_at(self, vector: Tensor) -> None:
        """Make every parameter a view of `vector` [n]: the weights that the next forward uses."""
        for parameter, part in zip(self.parameters, self.parts(vector), strict=True):
            parameter.data = part.view(parameter.shape)

    def collect(self) -> Tensor:
        """Gradients [n], including those of parameters whose `.grad` was replaced by another tensor; None counts as zero."""
        for parameter, part in zip(self.parameters, self.parts(self.grad), strict=True):
            if parameter.grad is not None and parameter.grad.data_ptr() == part.data_ptr():
                continue
            if parameter.grad is None:
                part.zero_()
            else:
                part.copy_(parameter.grad.reshape(-1))
            parameter.grad = part.view_as(parameter)
        return self.grad


class PrunableWeights(Flat):
    """The prunable matrices of a model, flat; scores and masks have the layout of `vector`. PrunebenchError if one is not fp32."""

    def __init__(self, matrices: Sequence[Matrix]) -> None:
        for matrix in matrices:
            if matrix.parameter.dtype != torch.float32:
                raise PrunebenchError(
                    f"{matrix.name} is {matrix.parameter.dtype}; expected float32: load the model so (bf16 autocast is fine)"
                )
        super().__init__([matrix.parameter for matrix in matrices])
        self.matrices = list(matrices)
        self.shapes = [matrix.shape for matrix in matrices]

    def views(self, vector: Tensor) -> list[Tensor]:
        """`vector` [n] as one [out, in] view per matrix."""
        return [matrix.view(part) for matrix, part in zip(self.matrices, self.parts(vector), strict=True)]
