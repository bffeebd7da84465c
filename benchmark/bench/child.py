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


def call(kind: str, threads: int | None = None, **arguments: Any) -> Found:
    """Run a child process and return its answer."""
    return collect(start(kind, threads, **arguments))


def start(kind: str, threads: int | None = None, **arguments: Any) -> "subprocess.Popen[str]":
    """Start a child process, with `threads` CPU threads or as many as this one."""
    limits = {} if threads is None else {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [sys.executable, "-P", "-m", "benchmark.bench.child", kind, json.dumps(arguments)]
    # An empty part would be the current folder.
    places = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment = {**os.environ, **limits, "PYTHONPATH": os.pathsep.join(places)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def collect(child: "subprocess.Popen[str]") -> Found:
    """A child's answer; PrunebenchError with the end of its output if it failed."""
    output, errors = child.communicate()
    if child.returncode:
        raise PrunebenchError(f"a measuring process failed ({child.returncode}): {errors.strip()[-500:]}")
    found: Found = json.loads(output.splitlines()[-1])
    return found


def peak(device: str, criterion: str, shape: dict[str, Any], steps: int) -> Found:
    """Peak bytes of a short run, and the number of prunable weights."""
    import torch

    from benchmark.bench.stepper import Shape, Stepper
    from benchmark.machine.environment import peak_bytes, prepare_device, reset_peak
    from benchmark.pruning.schedules.cubic import Cubic

    place = torch.device(device)
    prepare_device(place)
    reset_peak(place)
    step = Stepper(Shape(**shape), place, criterion, Cubic(initial=10, final=max(1, steps - 21), window=10), steps)
    for _ in range(steps):
        step()
    step.pruner.finish()
    return {"bytes": peak_bytes(place), "weights": step.pruner.weights.vector.numel()}


def cells(specs: list[dict[str, Any]], device: str, without: Sequence[str] = ()) -> Found:
    """Seconds of cells, one after the other, `without` some CPU speed-ups: wall clock, and processor time of the main thread."""
    from benchmark.bench.cell import ready
    from benchmark.suite.spec import RunSpec
    from benchmark.training import cpu
    from benchmark.training.run import Options, run

    ready()
    for name in without:
        del cpu.WAYS[name]
    seconds, busy = 0.0, time.thread_time()
    for spec in specs:
        seconds += run(RunSpec.model_validate(spec), Options(device=device)).record.cost.total_seconds
    return {"seconds": seconds, "busy": time.thread_time() - busy}


def naive(spec: dict[str, Any], device: str, precision: str = "ours") -> Found:
    """Seconds and score of a naive cell, in a process that the harness has not configured but for `precision` (or `published`)."""
    import torch

    from benchmark.bench.cell import opened, ready
    from benchmark.bench.naive import run_naive
    from benchmark.machine.environment import autocast, prepare_device
    from benchmark.suite.spec import RunSpec

    ready()
    wanted = RunSpec.model_validate(spec)
    place = torch.device(device)
    if precision == "ours":
        prepare_device(place)
    with autocast(place) if precision == "ours" else nullcontext():
        found = run_naive(wanted, opened(wanted), place)
    return {"score": found.score, "seconds": found.seconds, "evaluations": found.evaluations, **found.parts}


KINDS: dict[str, Callable[..., Found]] = {"memory": peak, "cells": cells, "naive": naive}


def main() -> None:
    """Run the measurement that the command line names."""
    kind, arguments = sys.argv[1], json.loads(sys.argv[2])
    print(json.dumps(KINDS[kind](**arguments)))


if __name__ == "__main__":
    main()
