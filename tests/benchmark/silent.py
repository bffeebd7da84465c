"""A watcher that shows nothing."""

from benchmark.spec import RunSpec
from benchmark.train import Progress, silent


class Silent:
    """Told of cells, says nothing."""

    def started(self, spec: RunSpec) -> Progress:
        """No progress either."""
        return silent

    def finished(self, spec: RunSpec, score: float, seconds: float) -> None:
        """Nothing."""

    def failed(self, spec: RunSpec, reason: str) -> None:
        """Nothing."""

    def noted(self, spec: RunSpec, text: str) -> None:
        """Nothing."""
