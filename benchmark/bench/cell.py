"""A whole cell of the harness against the naive one: same task, model, steps and sparsity, in turns (ours, naive, ours).

The naive cell has a process of its own: what the harness asks of the C library's memory holds for a whole process, and the
published loops do not ask for it.
"""

from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.bench import child
from benchmark.bench.cells import Cell, Place, opened, ready
from benchmark.bench.flops import FORWARD, TRAIN, Rates, Work, joined, matmul_rates
from benchmark.bench.naive_cell import EVERY, NaiveCell
from benchmark.bench.result import Section, Target
from benchmark.bench.timing import Tell
from benchmark.machine.environment import THREADS
from benchmark.suite.spec import RunSpec
from benchmark.training.run import Options, run
from benchmark.training.train import moments, stream
from tasks.base import Prepared

SHARE = 0.70


@dataclass(frozen=True)
class Ours:
    """Runs of one cell by the harness: seconds of each, the score (the same every time), useful operations.

    `crowd` cells at once, a process and a CPU thread each, took `crowded` seconds, the slowest of them; 0 on a GPU.
    """

    seconds: list[float]
    score: float
    flops: float
    crowd: int = 0
    crowded: float = 0.0


def measure(device: torch.device, quick: bool, tell: Tell, place: Place) -> list[Section]:
    """Ours against naive, unless the place leaves the naive cells out, and the useful share of the machine's matrix rate."""
    ready()
    measured: list[Rates] = []
    found: list[tuple[Cell, Ours]] = []
    naives: list[NaiveCell] = []
    side = 128 if quick else None
    for cell in place.cells:
        spec = place.spec(cell)
        tell(f"cell: {spec.cell}, {place.steps} steps: ours")
        measured.append(matmul_rates(device, side=side))
        first = run_ours(spec, device)
        tell(f"cell: ours {first.seconds[0]:.1f} s, now {'naive' if place.naive else 'again'}")
        if place.naive:
            naives.append(run_apart(spec, device))
            tell(f"cell: naive {naives[-1].seconds:.1f} s, now ours again")
        second = run_ours(spec, device)
        crowd = THREADS if device.type == "cpu" and place.naive else 0
        crowded = run_at_once(spec, crowd)
        measured.append(matmul_rates(device, side=side))
        ours = Ours(first.seconds + second.seconds, second.score, second.flops, crowd, crowded)
        found.append((cell, ours))
    rates = {name: [rate for one in measured for rate in one[name]] for name in measured[0]}
    against = [compared(found, naives, place, device)] if place.naive else []
    return [*against, shares(found, rates, device)]


def run_ours(spec: RunSpec, device: torch.device) -> Ours:
    """One run by the harness; reading and tokenizing are done before."""
    prepared = opened(spec)
    result = run(spec, Options(device=device.type))
    metric = result.record.metrics[result.record.metric]
    return Ours([result.record.cost.total_seconds], metric, useful(spec, prepared, Work.of(result.model)))


def run_apart(spec: RunSpec, device: torch.device) -> NaiveCell:
    """One naive run, in a process of its own; reading and tokenizing are done before its clock starts."""
    told = child.call("naive", spec=spec.model_dump(mode="json"), device=device.type)
    parts = {part: told[part] for part in ("teacher", "evaluation")}
    return NaiveCell(told["score"], told["seconds"], parts, int(told["evaluations"]))


def run_at_once(spec: RunSpec, count: int) -> float:
    """Seconds of the slowest of `count` cells like this one that run together, as under `--jobs`; a thread each, on a CPU."""
    specs = [spec.model_copy(update={"seed": seed}).model_dump(mode="json") for seed in range(count)]
    together = [child.start("cells", threads=1, specs=[one], device="cpu") for one in specs]
    return max((found["seconds"] for found in child.collect_all(together)), default=0.0)


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


def compared(found: list[tuple[Cell, Ours]], naives: list[NaiveCell], place: Place, device: torch.device) -> Section:
    """Ours against naive."""
    rows, targets, raw = [], [], {}
    for (cell, ours), naive in zip(found, naives, strict=True):
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
        repetitions="ours twice, around the naive one, which has a process of its own",
    )  # fmt: skip


def shares(found: list[tuple[Cell, Ours]], rates: Rates, device: torch.device) -> Section:
    """Useful operations per second, as a share of the rate of a large matrix product by each library; the target's is torch's."""
    typical = {name: median(values) for name, values in rates.items()}
    rows, targets = [], []
    for cell, ours in found:
        name = _name(cell)
        alone, together = ours.flops / median(ours.seconds), ours.flops * ours.crowd / (ours.crowded or 1.0)
        rows.append(_share(name, ours.flops, alone, typical))
        if ours.crowd > 1:
            rows.append(_share(f"{name}, {ours.crowd} at once", ours.flops * ours.crowd, together, typical))
        if device.type == "cpu":
            measured, bound = 100 * alone / typical["torch"], 100 * SHARE
            targets.append(
                Target(name=f"useful share, {name}", measured=measured, bound=bound, kind="at least", unit="%")
            )
    at_once = (
        "At once: as under `--jobs`, a process and a thread each; the seconds of the slowest, of cells that differ by their seed.",
    )
    return Section(
        name="share",
        title="Useful operations of a whole cell against the machine's matrix product",
        columns=["cell", "useful GFLOP", "GFLOP/s", *(f"of {name}'s product" for name in rates)],
        rows=rows,
        notes=[
            f"A large matrix product gave, in the same run, {_told(rates)}. "
            "Useful: 6 x linear weights x real tokens, plus attention; teacher forwards and evaluation 2 x. "
            "Time: building the model, training, evaluation.",
            *(at_once if any(ours.crowd > 1 for _, ours in found) else ()),
        ],
        targets=targets,
        raw={f"matrix product FLOP/s, {name}": values for name, values in rates.items()}
        | {f"{_name(cell)} useful FLOP": [ours.flops] for cell, ours in found}
        | {f"{_name(cell)} seconds at once": [ours.crowded] for cell, ours in found if ours.crowd > 1},
        repetitions="each cell twice; the product five times before and after",
    )


def _share(name: str, flops: float, speed: float, rates: dict[str, float]) -> list[str]:
    shares = [f"{100 * speed / rate:.0f} %" for rate in rates.values()]
    return [name, f"{flops / 1e9:.0f}", f"{speed / 1e9:.1f}", *shares]


def _told(rates: Rates) -> str:
    return ", ".join(
        f"by {name} {median(values) / 1e9:.1f} GFLOP/s (from {min(values) / 1e9:.1f} to {max(values) / 1e9:.1f})"
        for name, values in rates.items()
    )


def _name(cell: Cell) -> str:
    return cell.task if cell.regularizer == "none" else f"{cell.task} + {cell.regularizer}"
