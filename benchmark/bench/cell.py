"""A whole cell of the harness against the naive one: same task, model, steps and sparsity, in turns (ours, naive, ours)."""

from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.bench.cells import Cell, Place, opened
from benchmark.bench.flops import FORWARD, TRAIN, Work, joined, matmul_rate
from benchmark.bench.naive_cell import EVERY, NaiveCell, run_naive
from benchmark.bench.result import Section, Target
from benchmark.bench.timing import Tell
from benchmark.run import Options, run
from benchmark.spec import RunSpec
from benchmark.train import moments, stream
from tasks.base import Prepared

SHARE = 0.70


@dataclass(frozen=True)
class Ours:
    """Runs of one cell by the harness: seconds of each, the score (the same every time), useful operations."""

    seconds: list[float]
    score: float
    flops: float


def measure(device: torch.device, quick: bool, tell: Tell, place: Place) -> tuple[Section, Section]:
    """Two sections: ours against naive, and the useful share of the machine's matrix rate."""
    rates: list[float] = []
    found: list[tuple[Cell, Ours, NaiveCell]] = []
    side = 128 if quick else None
    for cell in place.cells:
        spec = place.spec(cell)
        tell(f"cell: {spec.cell}, {place.steps} steps: ours")
        rates += matmul_rate(device, side=side)
        first = run_ours(spec, device)
        tell(f"cell: ours {first.seconds[0]:.1f} s, now naive")
        naive = run_naive(spec, opened(spec), device)
        tell(f"cell: naive {naive.seconds:.1f} s, now ours again")
        second = run_ours(spec, device)
        rates += matmul_rate(device, side=side)
        found.append((cell, Ours(first.seconds + second.seconds, second.score, second.flops), naive))
    return compared(found, place, device), shares(found, rates, device)


def run_ours(spec: RunSpec, device: torch.device) -> Ours:
    """One run by the harness; reading and tokenizing are done before."""
    prepared = opened(spec)
    result = run(spec, Options(device=device.type))
    metric = result.record.metrics[result.record.metric]
    return Ours([result.record.cost.total_seconds], metric, useful(spec, prepared, Work.of(result.model)))


def useful(spec: RunSpec, prepared: Prepared, work: Work) -> float:
    """Operations of the cell's training, its teacher's forwards and its one evaluation."""
    total = spec.training.total(prepared.rows["train"])
    steps = [batch["attention_mask"].sum(1).numpy() for batch in stream(prepared, spec, 0, total)]
    taught = steps[_first_teacher(spec, total) :]
    evaluated: NDArray[np.int64] = prepared.features("reported").lengths()  # type: ignore[attr-defined]
    return work.flops(joined(steps), TRAIN) + work.flops(joined(taught), FORWARD) + work.flops(evaluated, FORWARD)


def _first_teacher(spec: RunSpec, total: int) -> int:
    """The step from which a teacher is asked: after the first checkpoint, or never."""
    if not spec.regularizer.startswith("self_regularization"):
        return total
    return min(moments(total, spec.training.checkpoints))


def compared(found: list[tuple[Cell, Ours, NaiveCell]], place: Place, device: torch.device) -> Section:
    """Ours against naive."""
    rows, targets, raw = [], [], {}
    for cell, ours, naive in found:
        seconds, name = median(ours.seconds), _name(cell)
        ratio, alike = naive.seconds / seconds, (naive.seconds - naive.parts["teacher"]) / seconds
        rows.append(
            [name, f"{seconds:.1f}", f"{naive.seconds:.1f}", f"{naive.parts['teacher']:.1f}",
             f"{naive.parts['evaluation']:.1f} ({naive.evaluations})", f"{ratio:.1f}", f"{alike:.1f}",
             f"{ours.score:.1f}", f"{naive.score:.1f}"]
        )  # fmt: skip
        if place.data != "mini":
            bound = 8.0 if device.type == "cuda" else cell.bound
            targets.append(Target(name=f"naive / ours, {name}", measured=ratio, bound=bound, kind="at least"))
        raw[f"{name} ours seconds"] = ours.seconds
        raw |= {f"{name} naive {part} seconds": [value] for part, value in naive.parts.items()}
        raw |= {f"{name} naive seconds": [naive.seconds], f"{name} scores (ours, naive)": [ours.score, naive.score]}
    return Section(
        name="cell",
        title=f"A whole cell, {place.steps} steps, ours against the naive loop",
        columns=["cell", "ours s", "naive s", "teacher s", "evaluation s", "naive / ours", "without its teacher",
                 "score ours", "score naive"],
        rows=rows,
        notes=[
            f"Both sides run in full, nothing is extrapolated: same task, model, batch size, steps, max_length 128, sparsity 0.8. "
            f"The naive loop has a teacher on every step and evaluates every {EVERY} steps, as published (seconds of both, and how "
            f"many evaluations, are given); ours evaluates where the protocol asks, at the end.",
            "'without its teacher' leaves the naive teacher's seconds out: like for like where ours has no regularizer.",
        ],
        targets=targets,
        raw=raw,
        repetitions="ours twice, around the naive one",
    )  # fmt: skip


def shares(found: list[tuple[Cell, Ours, NaiveCell]], rates: list[float], device: torch.device) -> Section:
    """Useful operations per second, as a share of the matrix product's rate."""
    rate = median(rates)
    rows, targets = [], []
    for cell, ours, _ in found:
        speed = ours.flops / median(ours.seconds)
        rows.append([_name(cell), f"{ours.flops / 1e9:.0f}", f"{speed / 1e9:.1f}", f"{100 * speed / rate:.0f} %"])
        if device.type == "cpu":
            name = f"useful share, {_name(cell)}"
            targets.append(Target(name=name, measured=100 * speed / rate, bound=100 * SHARE, kind="at least", unit="%"))
    return Section(
        name="share",
        title="Useful operations of a whole cell against the machine's matrix product",
        columns=["cell", "useful GFLOP", "GFLOP/s", "share"],
        rows=rows,
        notes=[
            f"A large matrix product gave {rate / 1e9:.1f} GFLOP/s in the same run, "
            f"from {min(rates) / 1e9:.1f} to {max(rates) / 1e9:.1f}. "
            "Useful: 6 x linear weights x real tokens, plus attention; teacher forwards and evaluation 2 x. "
            "Time: building the model, training, evaluation.",
        ],
        targets=targets,
        raw={"matrix product FLOP/s": rates} | {f"{_name(cell)} useful FLOP": [ours.flops] for cell, ours, _ in found},
        repetitions="as the cells; the product five times before and after each",
    )


def _name(cell: Cell) -> str:
    return cell.task if cell.regularizer == "none" else f"{cell.task} + {cell.regularizer}"
