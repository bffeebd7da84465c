"""Linear ramp between a warm-up and a final phase: the same number of weights goes at each masking.

    s(t) = s_i + (s_f - s_i) (t - t_i)/(T - t_i - t_f)

The control for the shape of the ramp.
"""

from dataclasses import dataclass

from benchmark.pruning.schedules.base import Ramp


@dataclass(frozen=True)
class Linear(Ramp):
    """The plainest ramp, and the control for the shape of the others."""

    def climb(self, progress: float, start: float, target: float) -> float:
        return target - (target - start) * (1 - progress)
