"""What is measured in a process of its own: peak memory, tasks opened with nothing in memory, several cells at once, naive cells.

python -m benchmark.bench.child KIND '{"argument": ...}'        prints one line of JSON
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmark.errors import PrunebenchError

Found = dict[str, float]

ROOT = Path(__file__).resolve().parents[2]


def call(kind: str, threads: int | None = None, **arguments: Any) -> Found:
    """What a child measures."""
    return collect(start(kind, threads, **arguments))


def start(kind: str, threads: int | None = None, **arguments: Any) -> "subprocess.Popen[str]":
    """A child at work; `threads` of a kernel, or as many as here."""
    limits = {} if threads is None else {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [sys.executable, "-P", "-m", "benchmark.bench.child", kind, json.dumps(arguments)]
    places = [
        str(ROOT),
        *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)),
    ]  # an empty part is the current folder
    environment = {**os.environ, **limits, "PYTHONPATH": os.pathsep.join(places)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def collect(child: "subprocess.Popen[str]") -> Found:
    """A child's answer; PrunebenchError with its last words where it failed."""
    output, errors = child.communicate()
    if child.returncode:
        raise PrunebenchError(f"a measuring process failed ({child.returncode}): {errors.strip()[-500:]}")
    found: Found = json.loads(output.splitlines()[-1])
    return found


def collect_all(children: "Sequence[subprocess.Popen[str]]") -> list[Found]:
    """The answers of children that run together; where one fails, the others are ended too."""
    try:
        return [collect(child) for child in children]
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
                child.communicate()


def peak(device: str, criterion: str, shape: dict[str, Any], steps: int) -> Found:
    """Peak bytes of a miniature of a run, and the weights that may be pruned."""
    import torch

    from benchmark.bench.shapes import Shape
    from benchmark.bench.steps import Stepper
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


def open_(spec: dict[str, Any], cache: str) -> Found:
    """Seconds to read and tokenize a task; imports do not count."""
    import transformers  # noqa: F401 - imported before the clock starts

    from benchmark.suite.spec import RunSpec
    from benchmark.training.run import Options, open_task

    started = time.perf_counter()
    open_task(RunSpec.model_validate(spec), Options(cache=Path(cache)))
    return {"seconds": time.perf_counter() - started}


def cells(specs: list[dict[str, Any]], device: str) -> Found:
    """Seconds that cells take, one after the other, in this process, starting up included in `all`."""
    from benchmark.bench.cells import ready
    from benchmark.suite.spec import RunSpec
    from benchmark.training.run import Options, run

    ready()
    seconds = [run(RunSpec.model_validate(spec), Options(device=device)).record.cost.total_seconds for spec in specs]
    return {"seconds": sum(seconds), "cells": len(seconds)}


def naive(spec: dict[str, Any], device: str) -> Found:
    """Seconds and score of a naive cell, in memory as the system gives it: nothing of the harness has set up this process."""
    import torch

    from benchmark.bench.cells import opened, ready
    from benchmark.bench.naive_cell import run_naive
    from benchmark.suite.spec import RunSpec

    ready()
    wanted = RunSpec.model_validate(spec)
    found = run_naive(wanted, opened(wanted), torch.device(device))
    return {"score": found.score, "seconds": found.seconds, "evaluations": found.evaluations, **found.parts}


KINDS: dict[str, Callable[..., Found]] = {"memory": peak, "open": open_, "cells": cells, "naive": naive}


def main() -> None:
    """Measure what the command line asks for."""
    kind, arguments = sys.argv[1], json.loads(sys.argv[2])
    print(json.dumps(KINDS[kind](**arguments)))


if __name__ == "__main__":
    main()
