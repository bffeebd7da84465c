"""What owl.py and alphapruning.py share: both look at the dense model and give each Transformer block a sparsity of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from benchmark.errors import PrunebenchError
from benchmark.pruning.prunable import Matrix
from benchmark.pruning.walk import outermost


@dataclass(frozen=True)
class Held:
    """A block's name, the places of its matrices in the list of all, and how many weights they have together."""

    name: str
    places: list[int]
    size: int


def held_by_blocks(model: nn.Module, matrices: Sequence[Matrix]) -> list[Held]:
    """The blocks of `model` that hold some of `matrices`."""
    found = []
    for block in outermost(model):
        places = [i for i, matrix in enumerate(matrices) if block.holds(matrix.name)]
        if places:
            found.append(Held(block.name, places, sum(matrices[i].parameter.numel() for i in places)))
    return found


def of_matrices(
    blocks: Sequence[Held], shares: Sequence[float], scope: str, sparsity: float, advice: str
) -> list[float]:
    """The sparsity of every matrix, where each of `blocks` has its one of `shares`.

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
