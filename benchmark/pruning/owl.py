"""Outlier-weighed layerwise sparsity: blocks in which more of Wanda's scores stand out are pruned less.

    A_ij   = |W_ij| norm2(X_j)                X [tokens, in] what the dense model feeds the layer
    D_b    = share of the A of block b's matrices that are above M mean(A)
    keep_b = (1 - s) + 2 lambda (z_b - mean(z))         z_b = (D_b - min(D)) / (max(D) - min(D))

All matrices of a block have its sparsity 1 - keep_b, and the mean over blocks weighs them by their sizes, so that s is met.

Departures: M = 5 and lambda = 0.08 are fixed (the released code's example; its defaults are 3 and 0.08). Where a block would be
pruned by less than nothing or whole, the released code prunes 1 % of it or all, and misses s; here that is refused.

Reference: Yin et al., Outlier Weighed Layerwise Sparsity (OWL), ICML 2024 (2023), https://arxiv.org/abs/2310.05175
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmark.pruning.blockwise import blocks_of_matrices, spread_over_matrices
from benchmark.pruning.calibrate import Loss, show_inputs
from benchmark.pruning.prunable import Matrix
from benchmark.pruning.walk import Batch
from criteria.wanda import Wanda

M = 5.0
"""A score stands out from so many times the mean of its block."""
LAMBDA = 0.08
"""A block's sparsity differs from another's by at most twice this."""


def owl_sparsities(
    model: nn.Module, matrices: Sequence[Matrix], loss: Loss, batches: Sequence[Batch], sparsity: float
) -> list[float]:
    """The sparsity of each matrix of the dense `model`; PrunebenchError where a block's would not lie in [0, 1)."""
    blocks = blocks_of_matrices(model, matrices)
    wanda, generator = Wanda(), torch.Generator()
    fed = [(matrix.name, wanda.init(matrix.data, generator), matrix.data) for matrix in matrices]
    show_inputs(wanda, fed, model, loss, batches)

    def scores(i: int) -> Tensor:
        _, state, weight = fed[i]
        return wanda.score(state, weight.float()).flatten()

    outliers = [outlier_share(torch.cat([scores(i) for i in block.places])) for block in blocks]
    shares = allocate(outliers, [block.size for block in blocks], sparsity)
    return spread_over_matrices(
        blocks, shares, "owl", sparsity, f"which every sparsity from {2 * LAMBDA:g} to {1 - 2 * LAMBDA:g} gives"
    )


def outlier_share(scores: Tensor) -> float:
    """D of a block: the share of its `scores` [n] above M times their mean."""
    return float((scores > M * scores.mean()).float().mean())


def allocate(outliers: Sequence[float], sizes: Sequence[int], sparsity: float) -> list[float]:
    """1 - keep_b of every block, from D_b; the same for all where no block has more outliers than another."""
    low, high = min(outliers), max(outliers)
    z = [(found - low) / (high - low) if high > low else 0.0 for found in outliers]
    mean = sum(one * size for one, size in zip(z, sizes, strict=True)) / sum(sizes)
    return [sparsity - 2 * LAMBDA * (one - mean) for one in z]
