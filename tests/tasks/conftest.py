"""The models that tests of several tasks share."""

from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def bert(model: Callable[[str], str]) -> str:
    """The folder of a tiny random BERT."""
    return model("bert")
