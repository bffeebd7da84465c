"""What the project's own bench does not say of a device: its ceilings, the parts of a step, and scores beside another board's.

probe.py machine | step | tracing | tokens DATA MODEL [TASK ...] | compare REFERENCE BOARD

in the project's root; PROBE_DEVICE and PROBE_QUICK as `run` sets them
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch

QUICK = bool(os.environ.get("PROBE_QUICK"))
DEVICE = torch.device(os.environ.get("PROBE_DEVICE", "cuda"))
CUDA = DEVICE.type == "cuda"
NEEDED = (
    "torch", "triton", "transformers", "tokenizers", "datasets", "evaluate", "seqeval", "sacrebleu", "rouge_score", "nltk", "typer",
    "pydantic", "msgspec", "yaml", "rich", "numpy", "sklearn", "matplotlib", "safetensors", "pytest", "hypothesis",
)  # fmt: skip


def wait() -> None:
    """Until the device has done everything."""
    if CUDA:
        torch.cuda.synchronize()


def timed(work: Callable[[], object], repeats: int = 20) -> float:
    """Median milliseconds, each call waited for."""
    taken = []
    for turn in range(3 + (2 if QUICK else repeats)):
        wait()
        began = time.perf_counter()
        work()
        wait()
        if turn >= 3:
            taken.append(1000 * (time.perf_counter() - began))
    return median(taken)


def machine() -> None:
    """Versions, what is missing, bytes a second of a copy, products a second, microseconds to launch and to make a batch."""
    from benchmark.suite.spec import RunSpec
    from benchmark.training.prefetch import widened
    from benchmark.training.run import Options, open_task

    for name in NEEDED:
        try:
            print(f"{name:14} {getattr(importlib.import_module(name), '__version__', '')}")
        except ImportError as error:
            print(f"{name:14} MISSING: {error}")
    print(torch.cuda.get_device_properties(0) if CUDA else "no CUDA device")
    size = 1 << 20 if QUICK else 1 << 30
    source = torch.randn(size // 4, device=DEVICE)
    target = torch.empty_like(source)
    print(f"copy: {2 * size / timed(lambda: target.copy_(source)) / 1e6:.0f} GB/s read and written")
    side = 128 if QUICK else 8192
    for dtype in (torch.bfloat16, torch.float32):
        x, y = (torch.randn(side, side, device=DEVICE, dtype=dtype) for _ in range(2))
        ms = timed(partial(torch.mm, x, y), 10)
        print(f"product of {side} x {side}, {dtype}: {2 * side**3 / ms / 1e9:.1f} TFLOP/s")
    one = torch.zeros(1, device=DEVICE)
    began = time.perf_counter()
    for _ in range(3000):
        one.add_(1)
    print(f"launching takes the host {1e6 * (time.perf_counter() - began) / 3000:.1f} us")
    for task, rows in (("glue/sst2", 32), ("conll2003", 16), ("squad", 16)):
        prepared = open_task(RunSpec(task=task), Options())
        ready = (widened(batch, prepared.pads) for batch in prepared.batches("train", rows, seed=0))
        ms = timed(partial(next, ready))
        print(f"a batch of {rows} rows of {task} takes the host {1000 * ms:.0f} us")


def step() -> None:
    """Milliseconds of each part of a step, each waited for; of a whole step; and how long the host is busy with it."""
    from benchmark.bench.stepper import BERT_BASE, MINILM, TINY, Stepper, loss_of
    from benchmark.pruning.schedules.cubic import Cubic
    from benchmark.training.compiled import compile_steps

    rounds = 2 if QUICK else 30
    names = ["dense", "principled", "magnitude", "movement", "soft_movement", "l0"] + ["principled, compiled"] * CUDA
    for shape in (TINY,) if QUICK else (BERT_BASE, MINILM):
        for name in names:
            criterion, compiled = name.removesuffix(", compiled"), name.endswith("compiled")
            stepper = Stepper(shape, DEVICE, criterion, Cubic(initial=10, final=100, window=10), 400)
            if compiled:
                compile_steps(stepper.model)
            for _ in range(2 if QUICK else 22):
                stepper()
            wait()
            began = time.perf_counter()
            for _ in range(rounds):
                stepper()
            host = 1000 * (time.perf_counter() - began) / rounds
            wait()
            whole = 1000 * (time.perf_counter() - began) / rounds
            parts: dict[str, list[float]] = {}
            for _ in range(rounds):
                loss = _part(parts, "forward", partial(loss_of, stepper.model, stepper.batch))
                _part(parts, "backward", loss.backward)
                _part(parts, "clip", partial(stepper.optimizer.clip, 1.0))
                _part(parts, "observe", partial(stepper.pruner.observe, 1e-4, finite=True))
                _part(parts, "optimizer", partial(stepper.optimizer.step, 1e-4))
                _part(parts, "prune", stepper.pruner.prune)
                _part(parts, "zero", stepper.optimizer.zero_grad)
            found = ", ".join(
                f"{label} {median(values):.3f} (mean {mean(values):.3f})" for label, values in parts.items()
            )
            print(
                f"{shape.words}, {name}: {whole:.2f} ms, the host through after {host:.2f}; alone: {found}", flush=True
            )


def _part(parts: dict[str, list[float]], label: str, work: Callable[[], Any]) -> Any:
    wait()
    began = time.perf_counter()
    found = work()
    wait()
    parts.setdefault(label, []).append(1000 * (time.perf_counter() - began))
    return found


def tracing() -> None:
    """Processor seconds until a compiled model has taken its first step, without kernels: what every cell pays under --compile."""
    from dataclasses import replace

    from benchmark.bench.stepper import BERT_BASE, MINILM, TINY, batch, build, loss_of
    from benchmark.training import compiled
    from benchmark.training.unread_masks import always_make_masks

    compiled.BACKEND, compiled.OPTIONS = "aot_eager", {}
    for shape in (TINY,) if QUICK else (MINILM, BERT_BASE):
        small, taken = replace(shape, batch=2, length=16, vocabulary=300), []
        model = build(small, DEVICE)
        always_make_masks(model)
        compiled.compile_steps(model)
        for turn in range(2):
            began = time.process_time()
            loss_of(model, batch(replace(small, length=16 + 8 * turn), DEVICE)).backward()
            wait()
            taken.append(time.process_time() - began)
        print(f"{shape.name}: {taken[0]:.1f} s, the second step {taken[1]:.2f} s")


def tokens(data: str, model: str, *names: str) -> None:
    """Seconds, and processor seconds, to open tasks for the first time, which reads and tokenizes, and from what that left on disk."""
    from tempfile import TemporaryDirectory

    from benchmark.suite.spec import RunSpec, Training
    from benchmark.training.run import Options, open_task
    from tasks.pipeline import cache, prepared

    for task in names or ("glue/sst2", "glue/qnli", "squad"):
        length = 384 if task == "squad" and model != "mini" else 128
        spec = RunSpec(task=task, data=data, model=model, training=Training(max_length=length))
        with TemporaryDirectory() as folder:
            for turn in ("first", "again"):
                began, busy = time.perf_counter(), time.process_time()
                opened = open_task(spec, Options(cache=Path(folder)))
                taken = f"{time.perf_counter() - began:.1f} s, {time.process_time() - busy:.1f} s of the processor"
                print(f"{task}, {opened.rows}, {turn}: {taken}")
                cache._features.values.clear()
                prepared._reads.values.clear()


def compare(reference: str, board: str) -> None:
    """Scores of the records in BOARD beside those of the same cells in REFERENCE, row by row, and what cells cost."""
    here, there = _records(board), _records(reference)
    both = sorted(here.keys() & there.keys())
    print(
        f"{len(here)} cells here, {len(both)} of them in the reference; {len(there.keys() - here.keys())} of it are not here"
    )
    rows: dict[tuple[str, ...], list[tuple[float, float]]] = {}
    tasks: dict[str, list[Any]] = {}
    for each in both:
        spec = here[each]["spec"]
        key = tuple(str(spec.get(name, "")) for name in ("task", "criterion", "regularizer", "sparsity"))
        rows.setdefault(key, []).append((_score(here[each]), _score(there[each])))
    for record in here.values():
        tasks.setdefault(record["spec"]["task"], []).append(record["cost"])
    gaps = [mine - theirs for pairs in rows.values() for mine, theirs in pairs]
    if gaps:
        print(f"score here - reference: mean {mean(gaps):+.2f}, mean of the absolute {mean(map(abs, gaps)):.2f}, "
              f"largest {max(gaps, key=abs):+.2f}")  # fmt: skip
    for key, pairs in sorted(rows.items()):
        mine, theirs = mean(x for x, _ in pairs), mean(y for _, y in pairs)
        print(
            f"  {' '.join(key):60} here {mine:6.2f}  reference {theirs:6.2f}  {mine - theirs:+6.2f}  ({len(pairs)} seeds)"
        )
    for task, costs in sorted(tasks.items()):
        seconds, steps, peaks = (
            [cost[name] for cost in costs] for name in ("total_seconds", "step_seconds", "peak_bytes")
        )
        print(
            f"  cost of {task}: cell {median(seconds):.2f} s, step {1000 * median(steps):.2f} ms, peak {max(peaks) / 2**20:.0f} MiB"
        )


def _records(folder: str) -> dict[str, Any]:
    read = (json.loads(path.read_text()) for path in sorted(Path(folder).glob("records/*.json")))
    return {record["id"]: record for record in read if "metrics" in record}


def _score(record: Any) -> float:
    return float(record["metrics"][record["metric"]])


if __name__ == "__main__":
    stages: dict[str, Callable[..., None]] = {one.__name__: one for one in (machine, step, tracing, tokens, compare)}
    stages[sys.argv[1]](*sys.argv[2:])
