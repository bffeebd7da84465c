"""What padding and tokenizing cost: padded against real tokens, ours against max_length; tokenizing cold and from the cache."""

import tempfile
from collections.abc import Iterable
from itertools import islice

from benchmark.bench.cells import Place, opened
from benchmark.bench.child import call
from benchmark.bench.result import Section
from benchmark.bench.timing import Tell
from benchmark.suite.spec import RunSpec
from tasks.base import Batch

BATCHES = 200
"""Training batches that are counted."""


def measure(quick: bool, tell: Tell, place: Place) -> Section:
    """The section over the cells' tasks."""
    rows, raw = [], {}
    for spec in {cell.task: place.spec(cell) for cell in place.cells}.values():
        tell(f"batches: {spec.task}")
        task, size, longest = opened(spec), spec.training.batch_size, spec.training.max_length
        training = padding(islice(task.batches("train", size, 0), 5 if quick else BATCHES), longest)
        evaluation = padding(task.evaluation_batches("reported"), longest)
        cold, warm = tokenizing(spec)
        rows.append([spec.task, *(f"{value:.2f}" for value in (*training, *evaluation, cold, warm))])
        raw[f"{spec.task} padded / real (train ours, naive, evaluation ours, naive)"] = [*training, *evaluation]
        raw[f"{spec.task} opening seconds (cold, cached)"] = [cold, warm]
    return Section(
        name="batches",
        title="Padded tokens per real token, and seconds to open a task",
        columns=["task", "train ours", "max_length", "evaluation ours", "max_length", "cold s", "cached s"],
        rows=rows,
        notes=["Opening cold reads and tokenizes; cached, another process finds the tokens in the board's cache."],
        raw=raw,
        repetitions=f"up to {BATCHES} training batches, the whole evaluation; opened once each way",
    )


def padding(batches: Iterable[Batch], longest: int) -> tuple[float, float]:
    """Padded tokens per real token, as batched and with every row padded to `longest`."""
    rows = padded = real = 0
    for batch in batches:
        mask = batch["attention_mask"]
        rows, padded, real = rows + len(mask), padded + mask.numel(), real + int(mask.sum())
    return padded / real, rows * longest / real


def tokenizing(spec: RunSpec) -> tuple[float, float]:
    """Seconds to open the task with an empty cache, and again with a full one, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = spec.model_dump(mode="json")
        cold, warm = (call("open", spec=wanted, cache=folder)["seconds"] for _ in range(2))
        return cold, warm
