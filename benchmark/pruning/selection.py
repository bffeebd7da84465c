"""Exact selection: keep all but the k lowest scores, ties by position. Never a full sort.

On a CPU a sample brackets the k-th lowest value and introselect finds it; on a GPU a radix selection over the float bits does, in
four passes of eight bits with no host synchronisation. Both give the same mask, bit for bit.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SAMPLE = 1 << 16
"""Scores that are sorted to bracket the k-th on a CPU."""
BLOCK = 1 << 18
"""Scores that are looked at together on a CPU: 1 MiB."""
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
    if scores.is_cuda:
        return _keep_above(scores, _radix_kth(scores, k), k)
    return torch.from_numpy(_keep_host(scores.contiguous().numpy(), k))


def count_true(mask: Tensor) -> int:
    """How many entries of `mask` (bool) hold; on a CPU by numpy, which counts bytes in registers."""
    return int(np.count_nonzero(mask.numpy()) if mask.device.type == "cpu" else torch.count_nonzero(mask))


def _keep_host(values: NDArray[np.float32], k: int) -> NDArray[np.bool_]:
    """`keep_highest` on a CPU, k from 1: a sorted sample brackets the k-th lowest value, introselect finds it among what lies between.

    Beside introselect over all values it needs no temporary vector of floats, and it does not mind ties: with most scores equal (the
    zeros of pruned weights), numpy's partition takes forty times as long as with none.
    """
    if len(values) <= SAMPLE:
        return _keep_above_host(values, _introselect(values, k), k)
    low, high = _bracket(values, k)
    keep, inside, between = _look(values, low, high)
    left = k - (len(values) - int(np.count_nonzero(keep)))  # so many of those above `low` go
    if 0 < left <= len(between):
        keep[inside] = _keep_above_host(between, _introselect(between, left), left)
        return keep
    # One that many scores share: zeros of pruned weights.
    if left <= 0 < k - np.count_nonzero(values < low):
        return _keep_above_host(values, low, k)
    if low < high and 0 < left - len(between) <= np.count_nonzero(values == high):
        return _keep_above_host(values, high, k)
    # The sample spoke for other values: they are not in a random order.
    return _keep_above_host(values, _introselect(values, k), k)


def _bracket(values: NDArray[np.float32], k: int) -> tuple[float, float]:
    """Two values between which the k-th lowest is likely to lie: four standard deviations of its place in a sample on either side."""
    sample = np.sort(values[:: len(values) // SAMPLE])
    share, last = k / len(values), len(sample) - 1
    margin = 4 * math.sqrt(len(sample) * share * (1 - share)) + 1
    low = sample[max(0, math.floor(share * last - margin))]
    high = sample[min(last, math.ceil(share * last + margin))]
    return float(low), float(high)


def _look(
    values: NDArray[np.float32], low: float, high: float
) -> tuple[NDArray[np.bool_], NDArray[np.intp], NDArray[np.float32]]:
    """Which `values` [n] lie above `low`; positions and values of those that lie below `high` too. In blocks that fit the cache."""
    keep = np.empty(len(values), np.bool_)
    places, between = [], []
    for start in range(0, len(values), BLOCK):
        block = values[start : start + BLOCK]
        above = np.greater(block, low, out=keep[start : start + BLOCK])
        # By positions: numpy takes three times as long by a mask that is nearly empty.
        inside = np.flatnonzero(np.logical_and(above, block < high))
        places.append(start + inside)
        between.append(block[inside])
    return keep, np.concatenate(places), np.concatenate(between)


def _introselect(values: NDArray[np.float32], k: int) -> float:
    """The k-th lowest value (k from 1), by numpy."""
    return float(np.partition(values, k - 1)[k - 1])


def _radix_kth(scores: Tensor, k: int) -> Tensor:
    """The k-th lowest value (k from 1) as a 0-d tensor: its key's four digits are fixed from the highest down."""
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
    """How often each of 0 to 255 occurs (int64 [256]) in `digits` (int32), all else left out.

    On CUDA `histc` counts integers in integers and waits for nothing, as `bincount` would. Its last bin includes its upper end.
    """
    if digits.is_cuda:
        return torch.histc(digits, bins=BINS, min=0, max=BINS - 1).to(torch.int64)
    return torch.bincount(digits[(digits >= 0) & (digits < BINS)], minlength=BINS)


def _sortable(scores: Tensor) -> Tensor:
    """int32 keys in the order of the floats: the magnitude's bits with the float's sign, so that -0.0 equals 0.0."""
    bits = scores.view(torch.int32)
    return torch.where(bits >= 0, bits, -(bits & MAGNITUDE))


def _from_sortable(key: Tensor) -> Tensor:
    """The float whose key this is."""
    return torch.where(key >= 0, key, -key | ~MAGNITUDE).view(torch.float32)


def _keep_above(scores: Tensor, threshold: Tensor, k: int) -> Tensor:
    """Everything above the k-th value, and of its ties all but the first few; no synchronisation."""
    keep = scores > threshold
    tied = scores == threshold
    strictly_below = scores.numel() - keep.sum() - tied.sum()
    return keep | (tied & (tied.cumsum(0, dtype=torch.int32) > k - strictly_below))


def _keep_above_host(values: NDArray[np.float32], threshold: float, k: int) -> NDArray[np.bool_]:
    """As `_keep_above`; on a CPU it is cheaper to look at the ties alone."""
    keep = values > threshold
    surplus = len(keep) - int(np.count_nonzero(keep)) - k
    if surplus:
        tied = np.flatnonzero(values == threshold)
        keep[tied[len(tied) - surplus :]] = True
    return keep
