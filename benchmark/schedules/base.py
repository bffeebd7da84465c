"""What a sparsity schedule is: how much is pruned at each step, and when masks are recomputed."""

from abc import ABC, abstractmethod
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule(ABC):
    """A configured schedule; steps count from 0, `total` is the number of optimizer steps planned.

    `due` is asked after every optimizer step; the harness always applies one last exact mask after the final step.
    """

    @abstractmethod
    def sparsity(self, step: int, total: int, target: float) -> float:
        """The sparsity in [0, target] in force after step `step`."""

    @abstractmethod
    def due(self, step: int, total: int) -> bool:
        """Whether masks are recomputed after step `step`."""

    def rewind(self, step: int, total: int) -> int | None:
        """After step `step`: the earlier step to whose weights the kept ones return; None for all but rewinding schedules."""
        return None


def steps(amount: float, total: int) -> int:
    """A length given as a share of the run (below 1) or in steps (1 and above), in whole steps."""
    return round(amount * total) if amount < 1 else round(amount)
