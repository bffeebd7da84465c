"""Measures the time spent on one kind of work: with the clock on a CPU, with CUDA events on a GPU.

The host only launches kernels and does not wait for them, so its clock would measure too little. Events among the kernels measure
how long those took, and only reading the total waits for the GPU.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

FOLD = 1024
"""Pairs of events that are kept before they are added up, which waits for the GPU."""


class Stopwatch:
    """Adds up the seconds of `with stopwatch.running():` blocks."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.total = device, 0.0
        self.pairs: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Add the time spent within."""
        if self.device.type != "cuda":
            started = time.perf_counter()
            yield
            self.total += time.perf_counter() - started
            return
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        stream = torch.cuda.current_stream(self.device)  # of the model's GPU, which need not be the current one
        start.record(stream)
        yield
        end.record(stream)
        self.pairs.append((start, end))
        if len(self.pairs) == FOLD:
            self._fold()

    @property
    def seconds(self) -> float:
        """Total of all blocks so far."""
        self._fold()
        return self.total

    def _fold(self) -> None:
        if self.pairs:
            self.pairs[-1][1].synchronize()
            self.total += sum(start.elapsed_time(end) for start, end in self.pairs) / 1000
            self.pairs.clear()
