"""Transformer blocks and their prunable matrices, for what prunes block by block or gives each block a sparsity of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from benchmark.errors import PrunebenchError
from benchmark.pruning.prunable import Matrix
from benchmark.pruning.walk import outermost


@dataclass(frozen=True)
class BlockMatrices:
    """A block's name, the places of its matrices in the list of all, and how many weights they have together."""

    name: str
    places: list[int]
    size: int


def blocks_of_matrices(model: nn.Module, matrices: Sequence[Matrix]) -> list[BlockMatrices]:
    """The blocks of `model` that hold some of `matrices`, in the order of the modules."""
    found = []
    for block in outermost(model):
        places = [i for i, matrix in enumerate(matrices) if block.holds(matrix.name)]
        if places:
            found.append(BlockMatrices(block.name, places, sum(matrices[i].parameter.numel() for i in places)))
    return found


def spread_over_matrices(
    blocks: Sequence[BlockMatrices], shares: Sequence[float], scope: str, sparsity: float, advice: str
) -> list[float]:
    """The sparsity of every matrix: `shares[i]` for those in `blocks[i]`.

    PrunebenchError, which ends in `advice`, where a share is not in [0, 1).
    """
    found = [0.0] * sum(len(block.places) for block in blocks)
    for block, share in zip(blocks, shares, strict=True):
        if not 0 <= share < 1:
            raise PrunebenchError(
                f"scope '{scope}' would prune {share:.3f} of {block.name} at sparsity {sparsity:g}: expected a share in [0, 1) of "
                f"every block, {advice}"
            )
        for i in block.places:
            found[i] = share
    return found
