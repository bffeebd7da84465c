"""Measures what a criterion adds to a training step: time, peak memory, and a profile of a pruned step.

For time, all criteria train the same model on the same batch in turns, each in a short run: one window to warm up, a ramp with a new
mask at the end of every window, and a final phase with a new mask at every step. The ramp gives the cost averaged over a window; the
final phase that of masks at every step. For memory, every run has its own process.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

import torch

from benchmark.bench.child import call
from benchmark.bench.naive import NaiveStepper
from benchmark.bench.result import Section, Target
from benchmark.bench.stepper import SPARSITY, Shape, Stepper, shape_for, sized
from benchmark.bench.timing import Seconds, Tell, added, interleave, interval
from benchmark.machine.atomic import write_text
from benchmark.pruning.schedules.cubic import Cubic
from benchmark.suite.spec import DENSE

CRITERIA = ("principled", "sensitivity", "taylor", "magnitude", "movement")
NAIVE_DENSE, NAIVE = "naive loop, dense", "naive loop, principled"
WINDOW = 10
WINDOWS, FINAL_WINDOWS = 9, 3
"""Windows measured in the ramp and in the final phase."""
MEMORY_STEPS = 32
"""Steps of a run whose peak is measured: a warm-up of 11, a ramp of 10, a final phase of 11 that masks at every step."""
PROFILED = 5
"""Steps that are profiled."""
PROFILE_ROWS = 30
"""Operators that a profile lists."""


def measure_time(device: torch.device, quick: bool, tell: Tell, criteria: Sequence[str] = CRITERIA) -> Section:
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
    """The section from raw seconds; the first `ramp` rounds are of the ramp, the others of the final phase."""
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
    bounds = (1.03, 1.05) if device.type == "cuda" else (1.05, 1.08)
    targets = [
        Target(name=f"principled, {said}", measured=measured["principled"][0], bound=bound, kind="at most")
        for said, measured, bound in (
            ("averaged over a window", windows, bounds[0]),
            ("masks at every step", finals, bounds[1]),
        )
        if "principled" in measured
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
    """The dense step that a candidate is compared with."""
    return NAIVE_DENSE if name == NAIVE else DENSE


def _more(ratio: float, base: Sequence[float]) -> str:
    """Milliseconds that a ratio of 1 + x adds to its dense step."""
    return f"{1000 * (ratio - 1) * median(base):.1f}"


def _shown(found: tuple[float, float, float]) -> str:
    ratio, low, high = found
    return "1" if low == high == 1 else f"{ratio:.3f} [{low:.3f}, {high:.3f}]"


def measure_memory(device: torch.device, quick: bool, tell: Tell) -> Section:
    """The section of one shape."""
    shape, repeats = shape_for(device, quick), 1 if quick else 3
    peaks: dict[str, list[float]] = {name: [] for name in ((DENSE, "principled") if quick else (DENSE, *CRITERIA))}
    weights = 0.0
    for turn in range(repeats):
        for name, values in peaks.items():
            tell(f"memory: {name}, {turn + 1} of {repeats}")
            found = call("memory", device=device.type, criterion=name, shape=asdict(shape), steps=MEMORY_STEPS)
            values.append(found["bytes"])
            weights = found["weights"]
    dense = median(peaks[DENSE])
    extra = {name: (median(values) - dense) / weights for name, values in peaks.items()}
    rows = [[name, f"{median(values) / 2**20:.0f}", f"{extra[name]:.1f}"] for name, values in peaks.items()]
    what = "CUDA allocations" if device.type == "cuda" else "resident memory of the process"
    name = "principled beyond dense"
    return Section(
        name="memory",
        title=f"Peak memory ({shape.words}, {weights / 1e6:.1f} M prunable)",
        columns=["run", "peak MiB", "bytes a weight beyond dense"],
        rows=rows,
        notes=[f"Peak of {what} over {MEMORY_STEPS} steps, maskings at every one of the last ten included."],
        targets=[Target(name=name, measured=extra["principled"], bound=16, kind="at most", unit="B/weight")],
        raw={f"{name} bytes": values for name, values in peaks.items()} | {"prunable weights": [weights]},
        repetitions=f"{repeats} runs of each, a process each",
    )


def write_profile(device: torch.device, quick: bool, criterion: str, path: Path, batch: str | None = None) -> Path:
    """Profile steps of the final phase, where every step masks, and write the top operators to `path`.

    `batch` is ROWSxLENGTH, by default the shape's own; PrunebenchError for anything else.
    """
    from torch.profiler import ProfilerActivity, profile  # a second of imports, for those who profile

    warm = 12
    total = warm + PROFILED + 2
    shape = sized(shape_for(device, quick), batch)
    step = Stepper(shape, device, criterion, Cubic(initial=1, final=total - 3), total)
    for _ in range(warm):
        step()
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda")
    with profile(activities=activities) as seen:
        for _ in range(PROFILED):
            step()
    order = "self_cuda_time_total" if device.type == "cuda" else "self_cpu_time_total"
    table = seen.key_averages().table(sort_by=order, row_limit=PROFILE_ROWS, max_name_column_width=50)
    write_text(path, f"{shape.words}: {PROFILED} steps with {criterion}, masks at every step, on {device}\n\n{table}\n")
    return path
