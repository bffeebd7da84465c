"""Measurements that need their own process: peak memory, whole cells, naive cells.

python -m benchmark.bench.child KIND '{"argument": ...}'        prints one line of JSON
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from benchmark.errors import PrunebenchError

Found = dict[str, float]

ROOT = Path(__file__).resolve().parents[2]


def call(kind: str, **arguments: Any) -> Found:
    """The answer of a child process; PrunebenchError with the end of its output if it failed."""
    command = [sys.executable, "-P", "-m", "benchmark.bench.child", kind, json.dumps(arguments)]
    # An empty part would be the current folder.
    places = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise PrunebenchError(f"a measuring process failed ({done.returncode}): {done.stderr.strip()[-500:]}")
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found


def peak(device: str, criterion: str, shape: dict[str, Any], steps: int) -> Found:
    """Peak bytes of a short run, and the number of prunable weights."""
    import torch

    from benchmark.bench.stepper import Shape, Stepper
    from benchmark.machine.environment import peak_bytes, reset_peak
    from benchmark.pruning.schedules.cubic import Cubic

    place = torch.device(device)
    reset_peak(place)
    step = Stepper(Shape(**shape), place, criterion, Cubic(initial=10, final=max(1, steps - 21), window=10), steps)
    for _ in range(steps):
        step()
    step.pruner.finish()
    return {"bytes": peak_bytes(place), "weights": step.pruner.weights.vector.numel()}


def cell(spec: dict[str, Any], device: str, without: Sequence[str] = ()) -> Found:
    """Seconds of a cell `without` some CPU speed-ups: wall clock, and processor time of the main thread."""
    from benchmark.bench.cell import ready
    from benchmark.suite.spec import RunSpec
    from benchmark.training import cpu
    from benchmark.training.run import Options, run

    ready()
    for name in without:
        del cpu.WAYS[name]
    busy = time.thread_time()
    cost = run(RunSpec.model_validate(spec), Options(device=device)).record.cost
    return {"seconds": cost.total_seconds, "busy": time.thread_time() - busy}


def naive(spec: dict[str, Any], device: str, precision: str = "ours") -> Found:
    """Seconds and score of a naive cell, at the harness's precision (`ours`) or in fp32 (`published`)."""
    import torch

    from benchmark.bench.cell import opened, ready
    from benchmark.bench.naive import run_naive
    from benchmark.machine.environment import autocast
    from benchmark.suite.spec import RunSpec

    ready()
    wanted = RunSpec.model_validate(spec)
    place = torch.device(device)
    with autocast(place) if precision == "ours" else nullcontext():
        found = run_naive(wanted, opened(wanted), place)
    return {"score": found.score, "seconds": found.seconds, "evaluations": found.evaluations, **found.parts}


KINDS: dict[str, Callable[..., Found]] = {"memory": peak, "cell": cell, "naive": naive}


def main() -> None:
    """Run the measurement that the command line names."""
    kind, arguments = sys.argv[1], json.loads(sys.argv[2])
    print(json.dumps(KINDS[kind](**arguments)))


if __name__ == "__main__":
    main()
