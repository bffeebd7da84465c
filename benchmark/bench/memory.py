"""Peak memory of a pruned run beyond the dense run's, per prunable weight; every run in a process of its own."""

from dataclasses import asdict
from statistics import median

import torch

from benchmark.bench.child import call
from benchmark.bench.result import Section, Target
from benchmark.bench.shapes import shape_for
from benchmark.bench.timing import Tell
from benchmark.suite.spec import DENSE

CRITERIA = ("principled", "sensitivity", "taylor", "magnitude", "movement")
STEPS = 32
"""A warm-up of 11 steps, a ramp of 10, a final phase of 11 that masks at every step."""


def measure(device: torch.device, quick: bool, tell: Tell) -> Section:
    """The section of one shape."""
    shape, repeats = shape_for(device, quick), 1 if quick else 3
    peaks: dict[str, list[float]] = {name: [] for name in ((DENSE, "principled") if quick else (DENSE, *CRITERIA))}
    weights = 0.0
    for turn in range(repeats):
        for name, values in peaks.items():
            tell(f"memory: {name}, {turn + 1} of {repeats}")
            found = call("memory", device=device.type, criterion=name, shape=asdict(shape), steps=STEPS)
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
        notes=[f"Peak of {what} over {STEPS} steps, maskings at every one of the last ten included."],
        targets=[Target(name=name, measured=extra["principled"], bound=16, kind="at most", unit="B/weight")],
        raw={f"{name} bytes": values for name, values in peaks.items()} | {"prunable weights": [weights]},
        repetitions=f"{repeats} runs of each, a process each",
    )
