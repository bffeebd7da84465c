"""Marks of this folder's tests."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark of the tests that need a real browser."""
    config.addinivalue_line("markers", "browser: opens the page in a real headless Chromium through playwright")
