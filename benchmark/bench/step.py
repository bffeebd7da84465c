"""What a criterion adds to a training step: a dense step against a step with each criterion, in turns.

All criteria train the same model on the same batch, each through a miniature of a run: one window to warm up, the ramp with a
masking at the end of every window, the final phase with a masking at every step. The ramp gives (a), the cost averaged over a
window with its masking; the final phase gives (b).
"""

from collections.abc import Sequence
from statistics import median

import torch

from benchmark.bench.result import Section, Target
from benchmark.bench.shapes import Shape, shape_for
from benchmark.bench.steps import SPARSITY, NaiveStepper, Stepper
from benchmark.bench.timing import Seconds, Tell, added, interleave, interval
from benchmark.pruning.schedules.cubic import Cubic
from benchmark.suite.spec import DENSE

CRITERIA = ("principled", "sensitivity", "taylor", "magnitude", "movement")
NAIVE_DENSE, NAIVE = "naive loop, dense", "naive loop, principled"
WINDOW = 10
WINDOWS, FINAL_WINDOWS = 9, 3
"""Windows measured in the ramp and in the final phase."""


def measure(device: torch.device, quick: bool, tell: Tell, criteria: Sequence[str] = CRITERIA) -> Section:
    """The section of one shape."""
    shape = shape_for(device, quick)
    ramp, final = (1, 1) if quick else (WINDOWS, FINAL_WINDOWS)
    total = WINDOW * (2 + ramp + final)
    # Masks at multiples of the window from 2 windows on; the final phase begins with a window of its own.
    schedule = Cubic(initial=WINDOW, final=WINDOW * final, window=WINDOW)
    dense = Stepper(shape, device, DENSE, schedule, total)
    candidates: dict[str, Stepper | NaiveStepper] = {DENSE: dense}
    candidates |= {name: Stepper(shape, device, name, schedule, total, beside=dense) for name in criteria}
    candidates[NAIVE_DENSE] = NaiveStepper(shape, device, schedule, total, prunes=False)
    candidates[NAIVE] = NaiveStepper(shape, device, schedule, total)
    times = interleave(candidates, WINDOW * (ramp + final), WINDOW * 2, device, lambda text: tell(f"step: {text}"))
    size = dense.weights.vector.numel()
    return tabulate(shape, size, times, WINDOW * ramp, device)


def tabulate(shape: Shape, size: int, times: Seconds, ramp: int, device: torch.device) -> Section:
    """The section from raw seconds: the first `ramp` rounds are the ramp's, the others the final phase's."""
    windows = {name: ratios(times, name, slice(None, ramp)) for name in times}
    finals = {name: ratios(times, name, slice(ramp, None)) for name in times}
    rows = [
        [
            name,
            *(f"{1000 * seconds:.1f}" for seconds in interval(times[name])),
            _shown(windows[name]),
            _more(windows[name][0], times[_base(name)]),
            _shown(finals[name]),
        ]
        for name in times
    ]
    bounds = (1.03, 1.05) if device.type == "cuda" else (1.02, 1.05)
    targets = [
        Target(
            name="principled, averaged over a window",
            measured=windows["principled"][0],
            bound=bounds[0],
            kind="at most",
        ),
        Target(
            name="principled, masks at every step", measured=finals["principled"][0], bound=bounds[1], kind="at most"
        ),
    ]
    return Section(
        name="step",
        title=f"A training step ({shape.words}, {size / 1e6:.1f} M prunable, sparsity {SPARSITY:g})",
        columns=["step", "median ms", "low", "high", "averaged over a window", "ms more", "masks every step"],
        rows=rows,
        notes=[
            f"Ratios, and what is more (a masking's share included), are to the dense step, the naive principled loop's to the naive "
            f"dense step; in brackets 95 % intervals over windows of {WINDOW} steps; low and high: that of the median.",
            "All but the naive loops take their steps on one model in turns, so that nothing but the criterion differs.",
            "The naive loop: per-parameter updates out of place, torch.cat, kthvalue, AdamW as a loop over parameters.",
        ],
        targets=targets,
        raw={f"{name} seconds": values for name, values in times.items()},
        repetitions=f"{len(times[DENSE])} rounds in turns, {2 * WINDOW} before them not counted",
    )


def ratios(times: Seconds, name: str, phase: slice) -> tuple[float, float, float]:
    """(ratio, low, high) of a candidate to its dense step in one phase."""
    return added(times[_base(name)][phase], times[name][phase], WINDOW)


def _base(name: str) -> str:
    """The dense step that a candidate is held against."""
    return NAIVE_DENSE if name == NAIVE else DENSE


def _more(ratio: float, base: Sequence[float]) -> str:
    """Milliseconds that a ratio of 1 + x adds to its dense step."""
    return f"{1000 * (ratio - 1) * median(base):.1f}"


def _shown(found: tuple[float, float, float]) -> str:
    ratio, low, high = found
    return "1" if low == high == 1 else f"{ratio:.3f} [{low:.3f}, {high:.3f}]"
