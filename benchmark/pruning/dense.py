"""Dense: the null object in the pruner's place."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from benchmark.pruning.flat import PrunableWeights


class Dense:
    """The null object: a model that is never pruned, with the same questions answered."""

    seconds = 0.0
    scheduled = 0.0
    reached = True

    def __init__(self, weights: PrunableWeights) -> None:
        self.weights = weights

    def observe(self, lr: float, finite: bool | None = None) -> None:
        """Nothing to watch."""

    def prune(self) -> None:
        """Nothing to prune."""

    def finish(self) -> None:
        """Nothing to settle."""

    def measure(self) -> float:
        """Nothing is pruned."""
        return 0.0

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The model as it is."""
        yield

    def state_dict(self) -> dict[str, Tensor]:
        """Nothing to resume."""
        return {}

    def load_state_dict(self, saved: dict[str, Tensor]) -> None:
        """Nothing to take back."""
