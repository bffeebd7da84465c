"""Where the time of a pruned step goes: torch's profiler over a few steps, as a table of operators."""

from pathlib import Path

import torch

from benchmark.bench.shapes import shape_for, sized
from benchmark.bench.steps import Stepper
from benchmark.machine.atomic import write_text
from benchmark.machine.environment import prepare_device
from benchmark.pruning.schedules.cubic import Cubic

STEPS = 5
ROWS = 30


def write_profile(device: torch.device, quick: bool, criterion: str, path: Path, batch: str | None = None) -> Path:
    """Profile steps of the final phase, where every step masks, and write the top operators to `path`.

    `batch` is ROWSxLENGTH, by default the shape's own; PrunebenchError for anything else.
    """
    from torch.profiler import ProfilerActivity, profile

    warm = 12
    total = warm + STEPS + 2
    prepare_device(device)
    shape = sized(shape_for(device, quick), batch)
    step = Stepper(shape, device, criterion, Cubic(initial=1, final=total - 3), total)
    for _ in range(warm):
        step()
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda")
    with profile(activities=activities) as seen:
        for _ in range(STEPS):
            step()
    order = "self_cuda_time_total" if device.type == "cuda" else "self_cpu_time_total"
    table = seen.key_averages().table(sort_by=order, row_limit=ROWS, max_name_column_width=50)
    write_text(path, f"{shape.words}: {STEPS} steps with {criterion}, masks at every step, on {device}\n\n{table}\n")
    return path
