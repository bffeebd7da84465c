"""Stands in for the pruner in a dense run (the null object pattern)."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from benchmark.pruning.flat import PrunableWeights


class Dense:
    """Has the methods of a Pruner, and never prunes."""

    seconds = 0.0
    reached = True

    def __init__(self, weights: PrunableWeights) -> None:
        self.weights = weights

    def observe(self, lr: float, finite: bool | None = None) -> None:
        """Does nothing."""

    def prune(self) -> None:
        """Does nothing."""

    def finish(self) -> None:
        """Does nothing."""

    def measure(self) -> float:
        """Sparsity of a dense model."""
        return 0.0

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The model is evaluated as it is."""
        yield

    def state_dict(self) -> dict[str, Tensor]:
        """There is no state."""
        return {}

    def load_state_dict(self, saved: dict[str, Tensor]) -> None:
        """There is no state."""
