"""Cubic ramp between a warm-up and a final phase: fast at first, slow towards the target.

    r(t) = r_f + (r_i - r_f) (1 - (t - t_i)/(T - t_i - t_f))^3        r = 1 - sparsity

Zhu & Gupta 2018, "To prune, or not to prune", https://arxiv.org/abs/1710.01878; in the two-phase form of the published
PLATON (Zhang et al. 2022) and PINS (Ren & Zhu 2023) code: masks every `window` steps of the ramp, every step after it.
"""

from dataclasses import dataclass

from benchmark.pruning.schedules.base import Ramp


@dataclass(frozen=True)
class Cubic(Ramp):
    """The published schedule; `final_every` equal to `window` keeps one pace throughout."""

    def climb(self, progress: float, start: float, target: float) -> float:
        return climb(progress, start, target)


def climb(progress: float, start: float, target: float) -> float:
    """The sparsity at `progress` in [0, 1] of a cubic ramp from `start` to `target`."""
    return target - (target - start) * (1 - progress) ** 3
