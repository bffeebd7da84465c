"""How cost grows: a step with the model's size and with the input's length; cells an hour with the number of cells at once."""

import os
import time
from dataclasses import replace
from statistics import median

import numpy as np
import torch

from benchmark.bench.cells import Place
from benchmark.bench.child import collect_all, start
from benchmark.bench.flops import TRAIN, Work, matmul_rates
from benchmark.bench.result import Section, Target
from benchmark.bench.shapes import MINILM, TINY, Shape
from benchmark.bench.steps import Stepper
from benchmark.bench.timing import Tell, added, interleave
from benchmark.pruning.schedules.cubic import Cubic
from benchmark.suite.spec import DENSE

WIDTHS = ((2, 128, 2), (4, 256, 4), (6, 384, 12), (12, 384, 12), (12, 768, 12))
"""Layers, hidden sizes and heads: BERT's small family, MiniLM, BERT-base."""
LENGTHS = (16, 32, 64, 128)
ROUNDS = 15
CELLS = 4
"""Cells that each number of processes shares."""


def measure(device: torch.device, quick: bool, tell: Tell) -> Section:
    """Dense and principled steps over sizes and lengths."""
    sizes = [
        replace(MINILM, name="size", layers=layers, hidden=hidden, heads=heads) for layers, hidden, heads in WIDTHS
    ]
    shapes = [*sizes, *(replace(MINILM, name="length", length=length) for length in LENGTHS)]
    rows: list[list[str]] = []
    rates = matmul_rates(device, side=128 if quick else None)
    raw: dict[str, list[float]] = {f"matrix product FLOP/s, {name}": values for name, values in rates.items()}
    fastest = max(median(values) for values in rates.values())
    for shape in [replace(TINY, name="size"), replace(TINY, name="length", length=8)] if quick else shapes:
        tell(f"scaling: {shape.words}")
        size, times = _step(shape, device, 1 if quick else ROUNDS)
        dense, pruned = times[DENSE], times["principled"]
        work = Work(size, shape.layers, shape.hidden).flops(np.full(shape.batch, shape.length), TRAIN)
        rows.append(
            [shape.name, f"{shape.layers} x {shape.hidden}", str(shape.length), f"{size / 1e6:.1f}",
             f"{1000 * median(dense):.1f}", f"{1000 * median(pruned):.1f}", f"{added(dense, pruned, 1)[0]:.3f}",
             f"{100 * work / median(dense) / fastest:.0f} %"]
        )  # fmt: skip
        raw |= {
            f"{shape.name} {shape.layers} x {shape.hidden} x {shape.length} {name} seconds": t
            for name, t in times.items()
        }
    return Section(
        name="scaling",
        title=f"How a step grows with model and length (batch {MINILM.batch})",
        columns=[
            "by",
            "layers x hidden",
            "length",
            "M prunable",
            "dense ms",
            "principled ms",
            "ratio",
            "of the matrix rate",
        ],
        rows=rows,
        notes=[
            "Medians, the ratio's of the differences within a round; principled between maskings. The criterion's cost goes with the "
            "weights, the step's also with the tokens.",
            f"Of the matrix rate: useful operations of the dense step per second against a large matrix product, {fastest / 1e9:.1f} "
            "GFLOP/s by the library that multiplies fastest here.",
        ],
        raw=raw,
        repetitions=f"{1 if quick else ROUNDS} rounds in turns",
    )


def _step(shape: Shape, device: torch.device, rounds: int) -> tuple[int, dict[str, list[float]]]:
    total = 10 * (rounds + 10)
    schedule = Cubic(initial=total - 20, final=10)
    dense = Stepper(shape, device, DENSE, schedule, total)
    pruned = Stepper(shape, device, "principled", schedule, total, beside=dense)
    return dense.weights.vector.numel(), interleave({DENSE: dense, "principled": pruned}, rounds, 2, device)


def at_once(device: torch.device, quick: bool, tell: Tell, place: Place) -> Section:
    """Cells an hour with one, two, ... processes on this device, each with its share of the cores."""
    counts = (1, 2) if device.type == "cpu" or quick else (1, 2, 4, 8)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cell, total = place.cells[-1], 2 if quick else CELLS
    specs = [place.spec(cell).model_copy(update={"seed": seed}).model_dump(mode="json") for seed in range(total)]
    rates, rows, raw = {}, [], {}
    for jobs in counts:
        tell(f"cells at once: {total} of {cell.task} by {jobs}")
        threads = max(1, cores // jobs)
        started = time.perf_counter()
        children = [start("cells", threads, specs=specs[at::jobs], device=device.type) for at in range(jobs)]
        busy = [found["seconds"] for found in collect_all(children)]
        wall = time.perf_counter() - started
        rates[jobs] = 3600 * total / wall
        rows.append([str(jobs), str(threads), f"{wall:.1f}", f"{rates[jobs]:.0f}", f"{rates[jobs] / rates[1]:.2f}"])
        raw[f"{jobs} at once seconds (wall, then each process's cells)"] = [wall, *busy]
    gain = rates[counts[-1]] / rates[1]
    targets = []
    if device.type == "cuda":
        targets = [Target(name=f"{counts[-1]} cells at once", measured=gain, bound=3, kind="at least")]
    return Section(
        name="at_once",
        title=f"Cells an hour with cells at once ({cell.task}, {place.steps} steps)",
        columns=["at once", "threads each", "seconds", "cells an hour", "times one"],
        rows=rows,
        notes=["Start-up of the processes is included, once a process."],
        targets=targets,
        raw=raw,
        repetitions=f"{total} cells for each number of processes, once",
    )
