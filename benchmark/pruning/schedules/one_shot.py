"""All weights at once at one step, the mask held while the rest of the run recovers.

    s(t) = 0 before `at` steps, s_f from there on

Han et al. 2015, https://arxiv.org/abs/1506.02626 (train, prune, retrain); at the start it is pruning at initialisation
(SNIP, Lee et al. 2019, https://arxiv.org/abs/1810.02340).
"""

from dataclasses import dataclass

from benchmark.pruning.schedules.base import Schedule, require_length, steps


@dataclass(frozen=True)
class OneShot(Schedule):
    """Masks once and keeps that mask: what is pruned stays zero."""

    hold = True

    at: float = 0.5
    """When to prune: a share of the run below 1 (0: after the first step), else steps (all of them: no recovery)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_length("at", self.at)

    def sparsity(self, step: int, total: int, target: float) -> float:
        return target if step >= self.moment(total) else 0.0

    def due(self, step: int, total: int) -> bool:
        return step == self.moment(total)

    def moment(self, total: int) -> int:
        """The step after which to prune: the first at the earliest, so that a criterion has seen a gradient."""
        taken = max(1, steps(self.at, total))
        if taken > total:
            raise ValueError(
                f"at = {self.at} steps is past the end of a run of {total} steps: expected {total} at most"
            )
        return taken - 1
