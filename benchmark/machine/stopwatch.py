"""Time spent in one kind of work: by the host's clock on a CPU, by the device's own on CUDA.

A CUDA block ends on the host when its kernels are launched, not when they are done; events recorded among the kernels tell how
long they took, and nothing waits for them but the reading.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

FOLD = 1024
"""Pairs of events kept before they are added up: one synchronisation in so many blocks."""


class Stopwatch:
    """Adds up the seconds of `with stopwatch.running():` blocks."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.total = device, 0.0
        self.pairs: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Times what is done inside."""
        if self.device.type != "cuda":
            started = time.perf_counter()
            yield
            self.total += time.perf_counter() - started
            return
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        yield
        end.record()
        self.pairs.append((start, end))
        if len(self.pairs) == FOLD:
            self._fold()

    @property
    def seconds(self) -> float:
        """All blocks so far."""
        self._fold()
        return self.total

    def _fold(self) -> None:
        if self.pairs:
            self.pairs[-1][1].synchronize()
            self.total += sum(start.elapsed_time(end) for start, end in self.pairs) / 1000
            self.pairs.clear()
