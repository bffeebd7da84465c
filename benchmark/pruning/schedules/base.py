"""What a sparsity schedule is: how much is pruned at each step, and when masks are recomputed."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from criteria.common.options import require_types


@dataclass(frozen=True)
class Schedule(ABC):
    """A configured schedule; steps count from 0, `total` is the number of optimizer steps planned.

    `due` is asked after every optimizer step; the harness always applies one last exact mask after the final step:
    freshly ranked, or, where the mask is held, the mask in force.
    """

    hold: ClassVar[bool] = False
    """Between maskings the mask in force is applied again after every step, without ranking; else weights may regrow.

    Where this holds for a part of the run only, override `holds`.
    """

    def __post_init__(self) -> None:
        """ValueError where an option is not of its type; a subclass that checks more calls this first."""
        require_types(self)

    @abstractmethod
    def sparsity(self, step: int, total: int, target: float) -> float:
        """The sparsity in [0, target] that a masking after step `step` leaves; the target itself at step total - 1."""

    @abstractmethod
    def due(self, step: int, total: int) -> bool:
        """Whether masks are recomputed after step `step`."""

    def holds(self, step: int, total: int) -> bool:
        """Whether the mask in force is applied again after step `step`, where no masking is due."""
        return self.hold

    def rewind(self, step: int, total: int) -> int | None:
        """After masking at `step`: kept weights return to their values after so many optimizer steps (0: the initial ones).

        None in all but rewinding schedules. Which weights to remember is known beforehand: ask about every step.
        """
        return None


@dataclass(frozen=True)
class Ramp(Schedule):
    """The published two-phase form, whatever the shape of the ramp: with t_i = initial, t_f = final, T = total,

        t <= t_i            nothing is masked
        t_i < t <= T - t_f  sparsity climbs by `climb`((t - t_i)/(T - t_i - t_f)); masks at multiples of `window`
        t >  T - t_f        sparsity is the target; masks at multiples of `final_every`

    t counts from 0, as published. Two additions: the last step always masks, and at the target, also where t_f = 0.
    """

    initial: float = 0.1
    """Length of the warm-up without pruning: a share of the run below 1, steps from 1 on."""
    final: float = 0.3
    """Length of the final phase at the target sparsity: a share of the run below 1, steps from 1 on."""
    window: int = 10
    """Steps between maskings while the sparsity climbs."""
    final_every: int = 1
    """Steps between maskings in the final phase (published: 1); equal to `window` it keeps one pace throughout."""
    start: float = 0.0
    """Sparsity from which the ramp climbs, where it is below the target."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_phases(self.initial, self.final)
        for name in ("window", "final_every"):
            require_count(name, getattr(self, name))
        if not 0 <= self.start < 1:
            raise ValueError(f"start = {self.start!r}: expected a sparsity in [0, 1)")

    @abstractmethod
    def climb(self, progress: float, start: float, target: float) -> float:
        """The sparsity at `progress` in (0, 1] of the ramp from `start` to `target`."""

    def sparsity(self, step: int, total: int, target: float) -> float:
        first, last = phases(self.initial, self.final, total)
        if step >= min(last, total - 1):
            return target
        if step <= first:
            return 0.0
        return self.climb((step - first) / (last - first), min(self.start, target), target)

    def due(self, step: int, total: int) -> bool:
        first, last = phases(self.initial, self.final, total)
        if step == total - 1:
            return True
        return step > first and step % (self.window if step <= last else self.final_every) == 0


def phases(initial: float, final: float, total: int) -> tuple[int, int]:
    """The last steps of the warm-up, t_i, and of the ramp, T - t_f; ValueError where the run is too short."""
    first, last = steps(initial, total), total - steps(final, total)
    if first >= last:
        raise ValueError(
            f"a run of {total} steps leaves no ramp between initial = {initial} and final = {final} "
            f"({first} and {total - last} steps): expected them to sum to less than the run"
        )
    return first, last


def steps(amount: float, total: int) -> int:
    """A length given as a share of the run (below 1) or in steps (1 and above), in whole steps."""
    return round(amount * total) if amount < 1 else round(amount)


def require_length(name: str, value: float) -> None:
    """ValueError unless `value` is a share of the run or a number of steps: not negative."""
    if not value >= 0:
        raise ValueError(f"{name} = {value!r}: expected a share of the run in [0, 1), or a number of steps from 1 on")


def require_phases(initial: float, final: float) -> None:
    """ValueError unless both are lengths that leave a ramp between them."""
    for name, value in (("initial", initial), ("final", final)):
        require_length(name, value)
    if initial < 1 and final < 1 and initial + final >= 1:
        raise ValueError(f"initial = {initial} and final = {final} leave no ramp between them: expected a sum below 1")


def require_count(name: str, value: int) -> None:
    """ValueError unless the whole number `value` is at least 1."""
    if value < 1:
        raise ValueError(f"{name} = {value!r}: expected a whole number from 1 on")
