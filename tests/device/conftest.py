"""Devices that the tests run on: the CPU always, CUDA where there is one.

PRUNEBENCH_DEVICE_TESTS=cpu lets the CPU stand in where a device is compared with it: a rehearsal, in which nothing can differ.
"""

import os

import pytest
import torch

CUDA = torch.cuda.is_available()


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not CUDA, reason="no CUDA device here"))])
def device(request: pytest.FixtureRequest) -> torch.device:
    """A device on which what must hold anywhere is tested."""
    return torch.device(request.param)


@pytest.fixture
def accelerator() -> torch.device:
    """A device that is compared with the CPU."""
    if os.environ.get("PRUNEBENCH_DEVICE_TESTS") == "cpu":
        return torch.device("cpu")
    if not CUDA:
        pytest.skip("no CUDA device here")
    return torch.device("cuda")
