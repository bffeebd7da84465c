"""What the whole process shares and a plugin's code could change: random states, torch's settings, the working folder."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def random_states() -> dict[str, object]:
    """The state of each global generator, by a name for it."""
    kind, keys, *place = np.random.get_state(legacy=True)
    return {
        "torch's random state": hash(torch.random.get_rng_state().numpy().tobytes()),
        "numpy's random state": (kind, hash(np.asarray(keys).tobytes()), *place),
        "Python's random state": hash(random.getstate()),
    }


def settings() -> dict[str, object]:
    """What is set for the whole process, by a name for it."""
    return {
        "torch's default dtype": torch.get_default_dtype(),
        "torch's number of threads": torch.get_num_threads(),
        "whether gradients are kept": torch.is_grad_enabled(),
        "whether algorithms are deterministic": torch.are_deterministic_algorithms_enabled(),
        "the precision of matrix products": torch.get_float32_matmul_precision(),
        "the working folder": os.getcwd(),  # noqa: PTH109 - a text, as it is compared
    }


@contextmanager
def put_back() -> Iterator[None]:
    """Afterwards random states and settings are what they were before."""
    numbers, others, folder = np.random.get_state(), random.getstate(), os.getcwd()  # noqa: PTH109
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    deterministic, kind = torch.are_deterministic_algorithms_enabled(), torch.get_default_dtype()
    with torch.random.fork_rng(devices=[]), torch.set_grad_enabled(torch.is_grad_enabled()):
        try:
            yield
        finally:
            np.random.set_state(numbers)
            random.setstate(others)
            torch.set_default_dtype(kind)
            torch.use_deterministic_algorithms(deterministic)
            torch.set_float32_matmul_precision(precision)
            torch.set_num_threads(threads)
            os.chdir(folder)
