"""AlphaPruning: blocks whose weights have heavier-tailed spectra, which is taken for better trained ones, are pruned less.

    l_1 <= ... <= l_N                                   the eigenvalues of W W'
    alpha(i) = 1 + n / sum_{j >= i} ln(l_j / l_i)       Hill's estimate of the exponent of the tail from l_i on; n = N - i + 1
    D(i)     = max_{j >= i} |1 - (l_j / l_i)^(1 - alpha(i)) - (j - i) / n|           how far the tail is from that power law
    alpha_W  = alpha(i) at the smallest D(i) of all log10(0.95 p) <= l_i <= 1.5 p

    alpha_b  = mean of the alpha_W of block b's matrices
    s_b      = eta (1 - tau + 2 tau (alpha_b - min(alpha)) / (max(alpha) - min(alpha)))

where p is the lower edge of the fullest of 100 bins of log10 l. All matrices of a block have its sparsity s_b, and eta is such that
the mean over blocks, weighed by their sizes, is the sparsity asked for. No data is looked at.

This is how the released code finds alpha ("alpha_peak") and s_b. The logarithm in the lower bound of l_i is that code's too, so that
hardly any l_i is excluded. tau is 0.3 where a scope does not say it, which is the code's default; its examples take 0.2 to 0.5.
Departures: eigenvalues that are 0 but for rounding are left out; a matrix without a tail, or a sparsity at which a block would be
pruned whole, is refused.

Reference: Lu et al., AlphaPruning: Using Heavy-Tailed Self Regularization Theory for Improved Layer-wise Pruning of Large Language
Models, NeurIPS 2024, https://arxiv.org/abs/2410.10912
"""

from collections.abc import Sequence
from math import inf
from statistics import fmean

import torch
from torch import Tensor, nn

from benchmark.errors import PrunebenchError
from benchmark.pruning.blockwise import blocks_of_matrices, spread_over_matrices
from benchmark.pruning.prunable import Matrix

TAU = 0.3
"""The default tau: blocks' shares lie from 1 - tau to 1 + tau before they are scaled to the sparsity asked for."""
BINS = 100


def alpha_sparsities(model: nn.Module, matrices: Sequence[Matrix], sparsity: float, tau: float = TAU) -> list[float]:
    """The sparsity of each matrix of the dense `model`.

    PrunebenchError where a block's would not lie in [0, 1), or a matrix has no power law.
    """
    blocks = blocks_of_matrices(model, matrices)
    alphas = [fmean(alpha_of(matrices[i]) for i in block.places) for block in blocks]
    shares = allocate(alphas, [block.size for block in blocks], sparsity, tau)
    advice = f"which a tau smaller than {tau:g} gives (scope 'alphapruning[tau=t]')"
    return spread_over_matrices(blocks, shares, "alphapruning", sparsity, advice)


def alpha_of(matrix: Matrix) -> float:
    """alpha_W of one matrix; PrunebenchError where its eigenvalues have no tail."""
    weight = matrix.data.double()
    if not weight.isfinite().all():
        raise _no_tail(matrix, "it holds weights that are not finite")
    found = eigenvalues(weight)
    if len(found) < 2:
        raise _no_tail(matrix, f"of its {min(weight.shape)} eigenvalues {len(found) or 'none'} are above 0")
    alpha = tail_exponent(found) if found[-1] - found[0] > _rounding(found) else inf
    if alpha == inf:
        raise _no_tail(matrix, "its largest eigenvalues are all the same")
    return alpha


def eigenvalues(weight: Tensor) -> Tensor:
    """Those of W W' (or W'W, which has the same) that are above 0, ascending, of `weight` [out, in] in fp64."""
    narrow = weight if weight.shape[0] <= weight.shape[1] else weight.T
    found: Tensor = torch.linalg.eigvalsh(narrow @ narrow.T).cpu()
    return found[found > _rounding(found)]


def tail_exponent(found: Tensor) -> float:
    """alpha of eigenvalues [N] above 0 in ascending order, which are not all the same."""
    logs = found.log10()
    counts = torch.histc(logs, BINS, float(logs[0]), float(logs[-1]))
    peak = 10 ** torch.linspace(float(logs[0]), float(logs[-1]), BINS + 1, dtype=logs.dtype)[counts.argmax()]
    fits = [_fit(found[i:]) for i in range(len(found) - 1) if (0.95 * peak).log10() <= found[i] <= 1.5 * peak]
    return min(fits)[1]


def _fit(tail: Tensor) -> tuple[float, float]:
    """D and alpha of `tail` [n], ascending."""
    n, ratios = len(tail), tail / tail[0]
    alpha = 1 + n / ratios.log().sum()
    empirical = torch.arange(n, dtype=tail.dtype) / n
    return float((1 - ratios ** (1 - alpha) - empirical).abs().max()), float(alpha)


def allocate(alphas: Sequence[float], sizes: Sequence[int], sparsity: float, tau: float = TAU) -> list[float]:
    """s_b of every block, from alpha_b and its number of weights; the same for all where no block's tail is heavier than another's."""
    low, high = min(alphas), max(alphas)
    shares = [1 - tau + 2 * tau * (alpha - low) / (high - low) if high > low else 1.0 for alpha in alphas]
    eta = sparsity * sum(sizes) / sum(share * size for share, size in zip(shares, sizes, strict=True))
    return [eta * share for share in shares]


def _rounding(found: Tensor) -> float:
    """How far rounding may move eigenvalues, which are given in ascending order."""
    return float(found[-1]) * len(found) * torch.finfo(found.dtype).eps


def _no_tail(matrix: Matrix, why: str) -> PrunebenchError:
    return PrunebenchError(
        f"scope 'alphapruning' fits a power law to the spectrum of {matrix.name}, which has none: {why}"
    )
