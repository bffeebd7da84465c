"""Times a whole cell of the harness against the naive one: same task, model, steps and sparsity, in turns (ours, naive, ours).

The naive cell runs in its own process, because the harness changes how the C library keeps memory for a whole process, which the
published loops do not do. Cells that are timed with and without one of the CPU speed-ups run in their own processes too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any, cast

import torch

from benchmark.bench import child
from benchmark.bench.naive import EVERY, NaiveCell
from benchmark.bench.result import Section, Target
from benchmark.bench.timing import Tell, interval
from benchmark.errors import PrunebenchError, choices
from benchmark.suite.spec import RunSpec, Training
from benchmark.training.cpu import WAYS
from benchmark.training.run import Options, open_task, run
from tasks.pipeline.prepared import PreparedTask

QUICK_STEPS = 8
"""Steps of the one cell of a quick run."""
ROUNDS = 5
"""How often each cell runs when the harness alone is measured."""
NOTHING = "nothing"
"""Name of the harness with nothing left out."""


@dataclass(frozen=True)
class Cell:
    """A cell to compare: the task, our regularizer, the published batch size, and the target speed-up."""

    task: str
    regularizer: str
    batch: int
    bound: float


CELLS = (
    Cell("glue/rte", "self_regularization", 16, 2.5),
    Cell("glue/cola", "none", 32, 10),
    Cell("glue/sst2", "none", 32, 10),
)
"""Batch sizes of the published recipes; both sides see max_length 128, as published."""

MINI_CELLS = (Cell("glue/sst2", "self_regularization", 16, 1), Cell("glue/sst2", "none", 16, 1))
"""On the embedded data; there is no target for such a small model."""


@dataclass(frozen=True)
class Place:
    """Data, model and step count of the measured cells."""

    data: str = "mini"
    model: str = "mini"
    steps: int = 60
    eval_examples: int | None = None
    naive: bool = True
    """Whether the naive loop is timed too."""
    without: tuple[str, ...] = ()
    """CPU speed-ups (names in benchmark/training/cpu); cells are also timed without each of them."""
    most: int | None = None
    """Measures only this many cells, the first ones; None measures all."""

    def __post_init__(self) -> None:
        """PrunebenchError for an unknown speed-up, or where none of the cells has its data."""
        for name in self.without:
            if name not in WAYS:
                raise PrunebenchError(f"--without {name}: {choices(name, WAYS)}")
        if not self.cells:
            tasks = ", ".join(dict.fromkeys(cell.task for cell in CELLS))
            raise PrunebenchError(f"--data {self.data}: expected mini, or a folder with the files of one of {tasks}")

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells whose data and model exist."""
        if self.data == "mini":
            return MINI_CELLS[: self.most]
        from tasks.glue import VARIANTS

        folder = Path(self.data) / "glue"
        found = (cell for cell in CELLS if (folder / VARIANTS[cell.task.partition("/")[2]].folder).is_dir())
        return tuple(found)[: self.most]

    def spec(self, cell: Cell) -> RunSpec:
        """The cell's spec under the controlled protocol."""
        return RunSpec(
            task=cell.task,
            data=self.data,
            model=self.model,
            criterion="principled",
            regularizer=cell.regularizer,
            sparsity=0.8,
            training=Training(
                steps=self.steps, batch_size=cell.batch, lr=1e-4, max_length=128, eval_examples=self.eval_examples
            ),
        )


@dataclass(frozen=True)
class Ours:
    """Runs of one cell by the harness: seconds of each, and the score, which is always the same."""

    seconds: list[float]
    score: float


def measure(device: torch.device, quick: bool, tell: Tell, place: Place) -> Section:
    """Time ours against naive, or the harness alone, with and without speed-ups, as `place` asks."""
    if quick:
        place = replace(place, steps=min(place.steps, QUICK_STEPS), most=1)
    if place.without or not place.naive:
        return alone(device, 1 if quick else ROUNDS, tell, place)
    ready()
    found: list[tuple[Cell, Ours]] = []
    naives: list[NaiveCell] = []
    published: list[NaiveCell] = []
    for cell in place.cells:
        spec = place.spec(cell)
        tell(f"cell: {spec.cell}, {place.steps} steps: ours")
        first = run_ours(spec, device)
        tell(f"cell: ours {first.seconds[0]:.1f} s, now naive")
        naives.append(run_apart(spec, device))
        if device.type == "cuda":
            published.append(run_apart(spec, device, precision="published"))
        tell(f"cell: naive {naives[-1].seconds:.1f} s, now ours again")
        second = run_ours(spec, device)
        found.append((cell, Ours(first.seconds + second.seconds, second.score)))
    return compared(found, naives, place, device, published)


def run_ours(spec: RunSpec, device: torch.device) -> Ours:
    """One run by the harness; reading and tokenizing are not timed."""
    opened(spec)
    record = run(spec, Options(device=device.type)).record
    return Ours([record.cost.total_seconds], record.metrics[record.metric])


def run_apart(spec: RunSpec, device: torch.device, precision: str = "ours") -> NaiveCell:
    """One naive run in its own process, in the harness's precision or the published fp32; reading and tokenizing are not timed."""
    told = child.call("naive", spec=spec.model_dump(mode="json"), device=device.type, precision=precision)
    parts = {part: told[part] for part in ("teacher", "evaluation")}
    return NaiveCell(told["score"], told["seconds"], parts, int(told["evaluations"]))


def alone(device: torch.device, rounds: int, tell: Tell, place: Place) -> Section:
    """The harness's cells in turns, with all speed-ups and without each named one; a process each."""
    names = (NOTHING, *place.without)
    times: dict[tuple[str, str], list[child.Found]] = {}
    for turn in range(rounds):
        for cell in place.cells:
            spec = place.spec(cell).model_dump(mode="json")
            for name in names if turn % 2 == 0 else names[::-1]:
                tell(f"cell: {_name(cell)}, without {name}, {turn + 1} of {rounds}")
                without = [] if name == NOTHING else [name]
                found = child.call("cell", spec=spec, device=device.type, without=without)
                times.setdefault((_name(cell), name), []).append(found)
    return tabulate(times, place.steps, rounds)


def tabulate(times: Mapping[tuple[str, str], Sequence[child.Found]], steps: int, rounds: int) -> Section:
    """The section, from the rounds of every (cell, speed-up left out)."""
    rows: list[list[str]] = []
    raw: dict[str, list[float]] = {}
    for (cell, name), found in times.items():
        whole = times[cell, NOTHING]
        seconds = [one["seconds"] for one in found]
        ratios = [
            interval([one[kind] / other[kind] for one, other in zip(found, whole, strict=True)])
            for kind in ("seconds", "busy")
        ]
        shown = [f"{middle:.2f} [{low:.2f}, {high:.2f}]" if name != NOTHING else "1" for middle, low, high in ratios]
        rows.append([cell, name, f"{median(seconds):.1f}", f"{median(one['busy'] for one in found):.1f}", *shown])
        raw |= {f"{cell} without {name}, {kind}": [one[kind] for one in found] for kind in ("seconds", "busy")}
    return Section(
        name="cell-alone",
        title=f"A whole cell by the harness, {steps} steps, and without what makes it fast on a CPU",
        columns=["cell", "without", "seconds", "busy s", "times the whole", "times the whole, busy"],
        rows=rows,
        notes=[
            "Building the model, training and evaluation; medians, the ratios' of pairs in one round, in brackets 95 % intervals. "
            "Busy: the processor seconds of the main thread, which other work on the machine hardly changes; the clock's seconds are "
            "right on a machine that does nothing else.",
        ],
        raw=raw,
        repetitions=f"{rounds} rounds in turns, a process for each cell",
    )


def compared(
    found: list[tuple[Cell, Ours]],
    naives: list[NaiveCell],
    place: Place,
    device: torch.device,
    published: Sequence[NaiveCell] = (),
) -> Section:
    """The section that compares ours with naive in the same precision; beside it the `published` one's, where that is another."""
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
    for row, (cell, ours), naive in zip(rows, found, published, strict=False):
        row += [f"{naive.seconds:.1f}", f"{naive.seconds / median(ours.seconds):.1f}"]
        raw[f"{_name(cell)} naive seconds in fp32"] = [naive.seconds]
    return Section(
        name="cell",
        title=f"A whole cell, {place.steps} steps, ours against the naive loop",
        columns=["cell", "ours s", "naive s", "teacher s", "evaluation s", "naive / ours", "without its teacher",
                 "score ours", "score naive", *(["naive s in fp32", "naive / ours"] if published else [])],
        rows=rows,
        notes=[
            f"Both sides run in full, nothing is extrapolated: same task, model, batch size, steps, max_length 128, sparsity 0.8. "
            f"The naive loop has a teacher on every step and evaluates every {EVERY} steps, as published (seconds of both, and how "
            f"many evaluations, are given); ours evaluates where the protocol asks, at the end.",
            "'without its teacher' leaves the naive teacher's seconds out: like for like where ours has no regularizer.",
            *(["Both sides in bf16 autocast; the last two columns: the naive loop in fp32, as published."]
              if published else []),
        ],
        targets=targets,
        raw=raw,
        repetitions="ours twice, around the naive one, which has a process of its own",
    )  # fmt: skip


def opened(spec: RunSpec) -> PreparedTask[Any]:
    """The task of `spec`, read and tokenized in memory, so that this is not timed for either side."""
    return cast("PreparedTask[Any]", open_task(spec, Options()))


def ready() -> None:
    """Import what a cell imports at its first evaluation, so that imports are not timed."""
    for library in ("sklearn.metrics", "transformers"):
        import_module(library)


def _name(cell: Cell) -> str:
    return cell.task if cell.regularizer == "none" else f"{cell.task} + {cell.regularizer}"
