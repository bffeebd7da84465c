"""Exponential ramp between a warm-up and a final phase: the same share of the remaining weights goes at each masking.

    r(t) = r_i (r_f / r_i)^((t - t_i)/(T - t_i - t_f))        r = 1 - sparsity

The continuous form of iterative pruning at a fixed rate (Han et al. 2015, https://arxiv.org/abs/1506.02626).
"""

from dataclasses import dataclass
from math import pow

from benchmark.pruning.schedules.base import Ramp


@dataclass(frozen=True)
class Exponential(Ramp):
    """Half of the ramp removes 50 % on the way to 0.75 and 90 % on the way to 0.99."""

    def climb(self, progress: float, start: float, target: float) -> float:
        density = pow(1.0 - start, 1.0 - progress) * pow(1.0 - target, progress)
        return min(max(1 - density, start), target)  # rounding must not leave the ramp's ends
