"""Rounds of train, prune a share of what remains, return the kept weights to their early values.

    the run in `rounds` + 1 equal parts; after part i:  r = r_f^(i / rounds), kept weights back to an early step's

Frankle & Carbin 2019, https://arxiv.org/abs/1803.03635 (back to the start); Frankle et al. 2020,
https://arxiv.org/abs/1912.05671 (to an early step); Renda et al. 2020, https://arxiv.org/abs/2003.02389 (against going on).
Two departures keep the budget equal to other schedules': the rounds share one run's steps, and the learning rate goes on
decaying instead of restarting.
"""

from dataclasses import dataclass

from benchmark.pruning.schedules.base import Schedule, require_count, require_length, steps


@dataclass(frozen=True)
class Iterative(Schedule):
    """With the magnitude criterion: iterative magnitude pruning, the lottery ticket procedure."""

    hold = True

    rounds: int = 4
    """How many times weights are pruned; the run is cut into one part more."""
    rewind_to: float = 0.05
    """Where kept weights return to: a share of the run below 1 (0: the pretrained weights), else steps."""
    rewinds: bool = True
    """Off: kept weights go on from where they are (iterative pruning with fine-tuning)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_count("rounds", self.rounds)
        require_length("rewind_to", self.rewind_to)
        if self.rewinds and self.rewind_to < 1 and self.rewind_to * (self.rounds + 1) >= 1:
            raise ValueError(
                f"rewind_to = {self.rewind_to} lies past the first of {self.rounds + 1} equal parts of the run: "
                f"expected a share below 1/{self.rounds + 1}, fewer rounds, or rewinds = false"
            )

    def sparsity(self, step: int, total: int, target: float) -> float:
        done = sum(step >= end for end in self.ends(total))
        return target if done == self.rounds else 1 - (1 - target) ** (done / self.rounds)

    def due(self, step: int, total: int) -> bool:
        return step in self.ends(total)

    def rewind(self, step: int, total: int) -> int | None:
        if not (self.rewinds and self.due(step, total)):
            return None
        return steps(self.rewind_to, total)

    def ends(self, total: int) -> list[int]:
        """The steps after which weights are pruned: the last of each part but the final one."""
        if total <= self.rounds:
            raise ValueError(
                f"a run of {total} steps is too short for {self.rounds} rounds: expected at least {self.rounds + 1}"
            )
        ends = [round(part * total / (self.rounds + 1)) - 1 for part in range(1, self.rounds + 1)]
        if self.rewinds and steps(self.rewind_to, total) > ends[0]:
            raise ValueError(
                f"rewind_to = {self.rewind_to} ({steps(self.rewind_to, total)} steps) lies past the first pruning, "
                f"after {ends[0] + 1} of {total} steps: expected an earlier step, fewer rounds, or rewinds = false"
            )
        return ends
