"""A device that is compared with the CPU; `device`, the devices that a test runs on, is in tests/conftest.py.

PRUNEBENCH_DEVICE_TESTS=cpu lets the CPU stand in where a device is compared with it: a rehearsal, in which nothing can differ.
"""

import os

import pytest
import torch

CUDA = torch.cuda.is_available()


@pytest.fixture
def accelerator() -> torch.device:
    """A device that is compared with the CPU."""
    if os.environ.get("PRUNEBENCH_DEVICE_TESTS") == "cpu":
        return torch.device("cpu")
    if not CUDA:
        pytest.skip("no CUDA device here")
    return torch.device("cuda")
