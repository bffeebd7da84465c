"""Exact selection: keep all but the k lowest scores, ties broken by position, without sorting.

On a CPU introselect finds the k-th lowest value. On a GPU a radix selection over the bits of the floats does, in three passes (11, 11
and 10 bits) that never wait for the device. Both give the same mask, bit for bit. Vectors of one length are stacked as the rows of a
matrix there, and handled together.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BINS = 1 << 11
"""Bins that scores are counted into, in each of the passes on a GPU: 11 bits of a float."""
LOWEST = -(1 << 31)
"""The key below those of all floats; as 32 bits, the float -0.0."""
INFINITE = 0x7F80_0000
"""The key of infinity: the bits of a positive float are its key."""
MOST = 1 << 30
"""Scores that are counted in 32 bits; of a model of billions, ranked as one, more may be alike than these can say."""


def keep_highest(scores: Tensor, k: int) -> Tensor:
    """Mask (bool, like `scores` [n] fp32, finite) that is False for exactly the `k` lowest; among equals the first go."""
    n = scores.numel()
    if not 0 <= k <= n:
        raise ValueError(f"k must lie in [0, {n}], found {k}")
    if k == 0:
        return torch.ones(n, dtype=torch.bool, device=scores.device)
    if scores.device.type != "cpu":
        return _keep_above(scores, _radix_kth(scores, k), k)
    values = scores.contiguous().numpy()
    return torch.from_numpy(_keep_above_host(values, _kth_host(values, k), k))


def keep_highest_rows(rows: Tensor, k: int) -> Tensor:
    """`keep_highest` of each of `rows` [rows, n], in a dozen operations for all of them: for a GPU, where each row has a block of
    threads that looks for its k-th value."""
    if k == 0:
        return torch.ones_like(rows, dtype=torch.bool)
    if torch.are_deterministic_algorithms_enabled():  # torch before 2.10 then refuses kthvalue on CUDA
        return _keep_above(rows, rows.sort(dim=1).values[:, k - 1 : k], k)
    return _keep_above(rows, rows.kthvalue(k, dim=1, keepdim=True).values, k)


def _kth_host(values: NDArray[np.float32], k: int) -> float:
    """The k-th lowest value (k from 1), by numpy's introselect.

    Zeros are counted separately: many pruned weights have that score, and introselect is twenty times slower on so many ties.
    """
    zeros = int(np.count_nonzero(values == 0))  # counting in a mask is quicker than counting floats
    if zeros:
        below = int(np.count_nonzero(values < 0))
        if below < k <= below + zeros:
            return 0.0
        values, k = (values[values < 0], k) if k <= below else (values[values > 0], k - below - zeros)
    return float(np.partition(values, k - 1)[k - 1])


def _radix_kth(scores: Tensor, k: int) -> Tensor:
    """The k-th lowest value (k from 1) as a 0-d tensor, by radix selection: the three digits of its key, highest first.

    A digit divides the keys that are left into bins. The scores are counted into them by the floats of the bins' first keys; lower
    scores fall into the first bin and higher ones into the last, so that counts are of all scores, and no score needs a key.
    """
    numbers = torch.arange(BINS, device=scores.device)
    first = torch.full((), LOWEST, dtype=torch.int64, device=scores.device)
    for shift in (21, 10, 0):
        edges = _float_of(first + (numbers << shift))
        counts = _histogram(torch.bucketize(scores, edges[1:], right=True, out_int32=True))
        first = first + ((counts.cumsum(0) < k).sum() << shift)
    return _float_of(first)


def _histogram(bins: Tensor) -> Tensor:
    """How often each of 0 to BINS - 1 occurs (int64) in `bins` (int32). On CUDA `bincount` would wait, and `histc` is exact, but torch
    before 2.8 refuses it where deterministic algorithms are asked for."""
    if bins.device.type == "cpu" or torch.are_deterministic_algorithms_enabled():
        return torch.bincount(bins, minlength=BINS)
    first, *others = (torch.histc(part, bins=BINS, min=0, max=BINS).to(torch.int64) for part in bins.split(MOST))
    return sum(others, first)


def _float_of(keys: Tensor) -> Tensor:
    """The floats (fp32) of int64 keys, which count all floats from zero in their order; infinite beyond the largest."""
    keys = keys.clamp(-INFINITE, INFINITE)
    return torch.where(keys >= 0, keys, LOWEST - keys).to(torch.int32).view(torch.float32)


def _keep_above(scores: Tensor, threshold: Tensor, k: int) -> Tensor:
    """Keep everything above the k-th value of a vector or of each row, and of its ties all but the first few, without waiting for the
    GPU."""
    keep = scores > threshold
    tied = scores == threshold
    strictly_below = scores.shape[-1] - keep.sum(-1, keepdim=True) - tied.sum(-1, keepdim=True)
    counting = torch.int32 if scores.shape[-1] <= MOST else torch.int64
    return keep | (tied & (tied.cumsum(-1, dtype=counting) > k - strictly_below))


def _keep_above_host(values: NDArray[np.float32], threshold: float, k: int) -> NDArray[np.bool_]:
    """As `_keep_above`, on a CPU, where it is cheaper to look at the ties alone."""
    keep = values > threshold
    surplus = len(keep) - int(np.count_nonzero(keep)) - k
    if surplus:
        tied = np.flatnonzero(values == threshold)
        keep[tied[len(tied) - surplus :]] = True
    return keep
