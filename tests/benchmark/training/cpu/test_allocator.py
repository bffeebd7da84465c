"""Freed memory stays with the process: what a step frees, the next one takes without asking the system."""

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from benchmark.training.cpu.allocator import keep_freed_memory
if sys.argv[1] == "kept" and not keep_freed_memory():
    raise SystemExit("unsupported")
torch.ones(25_000_000)                      # as activations are: 100 MB, freed
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    torch.ones(5_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=False)
    if "unsupported" in done.stderr:
        pytest.skip("the C library is not glibc")
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="page faults are counted on Linux")
def test_memory_is_asked_for_once() -> None:
    given_back, kept = faults("given back"), faults("kept")
    assert kept < 100
    assert given_back == 0 or kept < given_back / 5
