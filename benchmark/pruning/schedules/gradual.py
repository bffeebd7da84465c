"""The default: a cubic ramp in many small maskings, then training at the full sparsity under a mask that stays.

    r(t) = r_f + (1 - r_f) (1 - (t - t_i)/(T - t_i - t_f))^3        r = 1 - sparsity
    window in force = min(window, (T - t_i - t_f) / maskings), at least 1

The ramp is that of `cubic` (Zhu & Gupta 2018, https://arxiv.org/abs/1710.01878). Two things differ. Short runs mask more often, so
that no masking takes a large share of the weights at once: the published recipes have several hundred maskings. And the mask of
the ramp's last step is held for the final phase, about as long as in the published recipes (t_f = 0.4 T), where `cubic` ranks
again after every step up to the last: so every criterion has the same steps to recover in with its weights settled.
"""

from dataclasses import dataclass

from benchmark.pruning.schedules.base import Schedule, phases, require_count, require_phases
from benchmark.pruning.schedules.cubic import climb


@dataclass(frozen=True)
class Gradual(Schedule):
    """Weights may regrow between the maskings of the ramp; from its end on what is pruned stays zero."""

    initial: float = 0.1
    """Length of the warm-up without pruning: a share of the run below 1, steps from 1 on."""
    final: float = 0.4
    """Length of the final phase under the held mask: a share of the run below 1, steps from 1 on."""
    window: int = 10
    """Steps between maskings of the ramp at most."""
    maskings: int = 50
    """Maskings of the ramp at least, where it has as many steps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_phases(self.initial, self.final)
        for name in ("window", "maskings"):
            require_count(name, getattr(self, name))

    def sparsity(self, step: int, total: int, target: float) -> float:
        first, last = phases(self.initial, self.final, total)
        if step >= min(last, total - 1):
            return target
        return climb((step - first) / (last - first), 0.0, target) if step > first else 0.0

    def due(self, step: int, total: int) -> bool:
        first, last = phases(self.initial, self.final, total)
        end, pace = min(last, total - 1), max(1, min(self.window, (last - first) // self.maskings))
        return step == end or (first < step < end and (end - step) % pace == 0)

    def holds(self, step: int, total: int) -> bool:
        return step > phases(self.initial, self.final, total)[1]
