"""Comparable times: candidates take turns in one process, so that a busy machine slows all of them alike.

In a round every candidate works once, odd rounds in reverse order, so that a drift of the machine's speed favours none.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray

Seconds = dict[str, list[float]]
"""Raw times of every candidate, one per round."""

Tell = Callable[[str], None]
"""Called with messages about progress."""

RESAMPLES = 2000


def quiet(_: str) -> None:
    """Ignores messages."""


def wait(device: torch.device) -> None:
    """Wait until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Seconds that `work` takes, including its kernels on the device."""
    wait(device)
    started = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - started


def interleave(
    candidates: Mapping[str, Callable[[], object]], rounds: int, warm: int, device: torch.device, tell: Tell = quiet
) -> Seconds:
    """Times of `rounds` rounds, after `warm` rounds that do not count."""
    times: Seconds = {name: [] for name in candidates}
    told = time.monotonic()
    for turn in range(warm + rounds):
        names = list(candidates) if turn % 2 == 0 else list(candidates)[::-1]
        for name in names:
            taken = seconds_of(candidates[name], device)
            if turn >= warm:
                times[name].append(taken)
        if time.monotonic() - told > 10:
            told = time.monotonic()
            tell(f"round {turn + 1} of {warm + rounds}")
    return times


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """(median, low, high): a 95 % interval of the median from the order statistics; the extremes where values are few."""
    ordered, n = sorted(values), len(values)
    skip = max(0, math.floor((n - 1.96 * math.sqrt(n)) / 2))
    return median(ordered), ordered[skip], ordered[n - 1 - skip]


def added(base: Sequence[float], other: Sequence[float], window: int) -> tuple[float, float, float]:
    """(ratio, low, high) of `other` to `base`, averaged over windows of `window` rounds.

    Paired by round: the differences of each position in the window have a median over the windows, so that one disturbed step
    does not decide, and a step that is dear by nature (a masking) counts with its share. The 95 % interval resamples windows.
    """
    count = len(base) // window * window
    if not count:
        raise ValueError(f"{len(base)} rounds make no window of {window}")
    differences = (np.asarray(other[:count]) - np.asarray(base[:count])).reshape(-1, window)
    scale = median(base)

    def ratio(rows: NDArray[np.intp]) -> float:
        return float(1 + np.median(differences[rows], axis=0).mean() / scale)

    windows = len(differences)
    draws = np.random.default_rng(0).integers(windows, size=(RESAMPLES, windows))
    low, high = np.quantile([ratio(rows) for rows in draws], (0.025, 0.975))
    return ratio(np.arange(windows)), float(low), float(high)
