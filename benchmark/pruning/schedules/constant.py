"""The target sparsity from the first step on, a new mask every `window` steps.

    s(t) = s_f

The forward pass never sees more weights than the target leaves: how far the choice of weights carries without a ramp.
"""

from dataclasses import dataclass

from benchmark.pruning.schedules.base import Schedule, require_count


@dataclass(frozen=True)
class Constant(Schedule):
    """Masks after the first step, when a criterion has seen one gradient, and every `window` steps thereafter."""

    hold = True

    window: int = 10
    """Steps between maskings; longer than the run masks once, as one_shot[at=0] does."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_count("window", self.window)

    def sparsity(self, step: int, total: int, target: float) -> float:
        return target

    def due(self, step: int, total: int) -> bool:
        return step % self.window == 0
