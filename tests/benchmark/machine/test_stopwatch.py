"""The stopwatch: the host's clock, and a device's events without waiting for them."""

import time

import pytest
import torch

from benchmark.machine import stopwatch
from benchmark.machine.stopwatch import Stopwatch


def test_on_a_cpu_blocks_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 2.0, 10.0, 13.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    watch = Stopwatch(torch.device("cpu"))
    for _ in range(2):
        with watch.running():
            pass
    assert watch.seconds == 5.0


class Event:
    """A device event: recorded at the next whole millisecond of the device's own time."""

    now = 0.0
    waits = 0

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing

    def record(self, stream: object) -> None:
        assert stream == "that of cuda:1"
        Event.now += 1
        self.at = Event.now

    def elapsed_time(self, end: "Event") -> float:
        return end.at - self.at

    def synchronize(self) -> None:
        Event.waits += 1


def test_on_cuda_the_device_tells_and_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"that of {device}")
    monkeypatch.setattr(stopwatch, "FOLD", 4)
    watch = Stopwatch(torch.device("cuda:1"))
    for _ in range(3):
        with watch.running():
            pass
    assert Event.waits == 0
    for _ in range(2):
        with watch.running():
            pass
    assert Event.waits == 1
    assert watch.seconds == pytest.approx(0.005)
    assert watch.seconds == pytest.approx(0.005)
    assert Event.waits == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_on_a_real_device() -> None:
    watch = Stopwatch(torch.device("cuda"))
    x = torch.randn(4096, 4096, device="cuda")
    with watch.running():
        for _ in range(20):
            x = x @ x / 64
    assert watch.seconds > 20 * 1e-4
