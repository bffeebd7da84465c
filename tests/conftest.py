"""Fixtures and settings of all tests: the shared folder of real data, where it is at hand; property tests without deadline."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("patient", deadline=None, max_examples=50)  # the machine may be busy
settings.load_profile("patient")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and models beside the checkout (or $PRUNEBENCH_SHARED); skips where there is none."""
    folder = Path(os.environ.get("PRUNEBENCH_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip("no shared real data beside this checkout (set PRUNEBENCH_SHARED)")
    return folder
