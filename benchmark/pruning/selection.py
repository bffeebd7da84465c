"""Exact selection: keep all but the k lowest scores, ties broken by position, without sorting.

On a CPU introselect finds the k-th lowest value; on a GPU a radix selection over the float bits does, in
four passes of eight bits with no host synchronisation. Both give the same mask, bit for bit. Many vectors of one length are a
matrix's rows there, selected from at once.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

DIGIT = 8
BINS = 1 << DIGIT
MAGNITUDE = (1 << 31) - 1
"""A float's bits but for its sign."""


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
    return _keep_above(rows, rows.kthvalue(k, dim=1, keepdim=True).values, k)


def count_true(mask: Tensor) -> int:
    """How many entries of `mask` (bool) are True; on a CPU by numpy, which is faster."""
    return int(np.count_nonzero(mask.numpy()) if mask.device.type == "cpu" else torch.count_nonzero(mask))


def _kth_host(values: NDArray[np.float32], k: int) -> float:
    """The k-th lowest value (k from 1), by numpy's introselect.

    Zeros are counted separately: many pruned weights have that score, and introselect is twenty times slower on so many ties.
    """
    zeros = len(values) - int(np.count_nonzero(values))
    if zeros:
        below = int(np.count_nonzero(values < 0))
        if below < k <= below + zeros:
            return 0.0
        values, k = (values[values < 0], k) if k <= below else (values[values > 0], k - below - zeros)
    return float(np.partition(values, k - 1)[k - 1])


def _radix_kth(scores: Tensor, k: int) -> Tensor:
    """The k-th lowest value (k from 1) as a 0-d tensor, by radix selection: the four digits of its key, highest first."""
    keys = _sortable(scores)
    prefix = torch.full((), -BINS // 2, dtype=torch.int32, device=scores.device)  # the first digit carries the sign
    left = torch.full((), k, dtype=torch.int64, device=scores.device)
    for shift in (24, 16, 8, 0):
        # Keys that agree with the prefix have the coming digit left, from 0; int32 wraps, but no other key into that range.
        counts = _histogram((keys >> shift).sub_(prefix))
        below = counts.cumsum(0)
        digit = (below < left).sum()
        left = left - (below - counts).gather(0, digit.view(1)).squeeze(0)  # indexing by a tensor would wait for it
        prefix = prefix + digit.to(torch.int32)
        if shift:
            prefix = prefix << DIGIT
    return _from_sortable(prefix)


def _histogram(digits: Tensor) -> Tensor:
    """How often each of 0 to 255 occurs (int64 [256]) in `digits` (int32); other values are ignored.

    On CUDA `histc` is exact for integers and, unlike `bincount`, does not wait for the GPU. Its last bin includes its upper end.
    """
    if digits.device.type == "cpu":
        return torch.bincount(digits[(digits >= 0) & (digits < BINS)], minlength=BINS)
    return torch.histc(digits, bins=BINS, min=0, max=BINS - 1).to(torch.int64)


def _sortable(scores: Tensor) -> Tensor:
    """int32 keys in the order of the floats: the magnitude's bits with the float's sign, so that -0.0 equals 0.0."""
    bits = scores.view(torch.int32)
    return torch.where(bits >= 0, bits, -(bits & MAGNITUDE))


def _from_sortable(key: Tensor) -> Tensor:
    """The float whose key this is."""
    return torch.where(key >= 0, key, -key | ~MAGNITUDE).view(torch.float32)


def _keep_above(scores: Tensor, threshold: Tensor, k: int) -> Tensor:
    """Keep everything above the k-th value of a vector or of each row, and of its ties all but the first few, without waiting for the
    GPU."""
    keep = scores > threshold
    tied = scores == threshold
    strictly_below = scores.shape[-1] - keep.sum(-1, keepdim=True) - tied.sum(-1, keepdim=True)
    return keep | (tied & (tied.cumsum(-1, dtype=torch.int32) > k - strictly_below))


def _keep_above_host(values: NDArray[np.float32], threshold: float, k: int) -> NDArray[np.bool_]:
    """As `_keep_above`, on a CPU, where it is cheaper to look at the ties alone."""
    keep = values > threshold
    surplus = len(keep) - int(np.count_nonzero(keep)) - k
    if surplus:
        tied = np.flatnonzero(values == threshold)
        keep[tied[len(tied) - surplus :]] = True
    return keep
