"""2:4 matrices compressed for a GPU's sparse tensor cores, which multiply by half the weights. torch compresses and multiplies, in
fp16 and on CUDA alone.

Reference: Mishra et al., Accelerating Sparse Deep Neural Networks, 2021, https://arxiv.org/abs/2104.08378
"""

import torch
from torch import nn

from benchmark.errors import PrunebenchError
from benchmark.pruning.prunable import Matrix, find_prunable

SCOPE = "2:4"


def require_cuda(device: torch.device) -> None:
    """PrunebenchError for any other device."""
    if device.type != "cuda":
        raise PrunebenchError(
            f"2:4 weights are compressed on a CUDA device alone, and this would run on {device.type}: run it on a machine with an "
            "NVIDIA GPU (Ampere or later), or leave --semi-structured out"
        )


def convert(model: nn.Module) -> None:
    """Change `model`, which lies on CUDA, in place: all of it to fp16, and its prunable matrices to torch's compressed 2:4 tensors.

    For inference only. PrunebenchError for what is not 2:4, or what torch cannot compress; the model is then half changed.
    """
    from torch.sparse import to_sparse_semi_structured

    require_cuda(next(model.parameters()).device)
    model.half()
    for matrix in find_prunable(model):
        require_pattern(matrix)
        owner, _, name = matrix.name.rpartition(".")
        try:
            compressed = to_sparse_semi_structured(matrix.parameter.detach().contiguous())
        except RuntimeError as error:
            raise PrunebenchError(f"{matrix.name} cannot be compressed: {error}") from error
        setattr(model.get_submodule(owner), name, nn.Parameter(compressed, requires_grad=False))


def require_pattern(matrix: Matrix) -> None:
    """PrunebenchError unless at most two of every four neighbouring inputs are non-zero, in a layer that stores them so."""
    if matrix.transposed:
        raise PrunebenchError(
            f"{matrix.name} is stored as [in, out]: torch multiplies by compressed weights of [out, in] alone"
        )
    out, inputs = matrix.shape
    if inputs % 4 or (matrix.parameter != 0).view(out, -1, 4).sum(-1).amax() > 2:
        raise PrunebenchError(f"{matrix.name} is not 2:4: prune with scope '{SCOPE}' to the end")
