"""What tests of several tasks share: a model, and a hub that gives one row."""

from collections.abc import Callable
from typing import Any

import datasets
import pytest


@pytest.fixture(scope="session")
def bert(model: Callable[[str], str]) -> str:
    """The folder of a tiny random BERT."""
    return model("bert")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the hub is asked for, call by call: the arguments and options of `load_dataset`."""
    calls: list[Any] = []

    def load(*args: Any, **options: Any) -> list[dict[str, int]]:
        calls.append((args, options))
        return [{"label": 1}]

    monkeypatch.setattr(datasets, "load_dataset", load)
    return calls
