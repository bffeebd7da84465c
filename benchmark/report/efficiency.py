"""What pruning costs and what it saves: four different sizes, theoretical FLOPs, and the time and memory of training.

Everything here comes from records, but for bytes on disk and latency, which commands/measure.py measures on kept weights.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from benchmark.board.record import Record
from benchmark.report.cells import Cell, Run
from benchmark.report.layout import Key, Line, Slot, key, line_of
from benchmark.report.names import STANDARD, Names
from benchmark.report.numbers import count_of
from benchmark.report.table import Table
from benchmark.suite.spec import RunSpec

BYTES = 4
"""Bytes of a weight in fp32."""
TOKENS = 128
"""Tokens of the forward pass whose FLOPs are counted. Only prunable matrices count (no embeddings, attention products or head), and a
shared matrix counts once. A dense kernel does more, because it multiplies zeros too."""
Quantity = tuple[Callable[[Record], float | None], Callable[[float], str]]
"""A number of a record, and how it is written."""
_count, _seconds, _milliseconds, _percent = (
    pattern.format for pattern in ("{:,.0f}", "{:.2f} s", "{:.2f} ms", "{:.1f} %")
)
ROWS = ("task", "criterion", "regularizer", "sparsity")
NOISE = 0.05
"""A speed-up smaller than this share counts as none."""


@dataclass(frozen=True)
class Measured:
    """Of one model: bytes of its compressed weights, and milliseconds of a forward pass, medians."""

    compressed_bytes: int
    dense_milliseconds: float
    pruned_milliseconds: float
    device: str


def efficiency_table(
    records: Sequence[Record],
    specs: Sequence[RunSpec] = (),
    *,
    measured: Mapping[str, Measured] | None = None,
    title: str = "",
    names: Names = STANDARD,
) -> Table:
    """A row per cell, its numbers means over the seeds; columns of bytes and latency only where something was measured.

    Rows come in the order of `specs`, or without them in that of the records.
    """
    taken = measured or {}
    places = {spec.id: place for place, spec in enumerate(specs)}
    known = sorted(records, key=lambda r: (places.get(r.id, len(places)), r.spec.cell))
    groups: dict[Key, list[Record]] = {}
    for record in known:
        groups.setdefault(key(Slot(record.spec, record.metric), ROWS), []).append(record)
    trained = not known or any(record.spec.is_trained for record in known)
    columns = {**_columns(trained), **(_measured_columns(taken) if taken else {})}
    return Table(
        title=title,
        row_fields=ROWS,
        column_fields=("quantity",),
        rows=tuple(line_of(values, ROWS, found[0].spec.is_dense, {}) for values, found in groups.items()),
        columns=tuple(Line((name,), (name,)) for name in columns),
        cells=tuple(tuple(_cell(get, found) for get in columns.values()) for found in groups.values()),
        facts=_facts(trained, latency_note(taken.values())),
        names=names,
    )


def _columns(trained: bool) -> dict[str, Quantity]:
    """The columns that every record has. Without training all time is the criterion's, and there are no steps."""
    steps: dict[str, Quantity] = {
        "Criterion time": (lambda r: r.cost.criterion_seconds, _seconds),
        "Criterion share": (lambda r: 100 * r.cost.criterion_seconds / max(r.cost.train_seconds, 1e-9), _percent),
        "Step time": (lambda r: 1000 * r.cost.step_seconds, _milliseconds),
    }
    return {
        "Prunable": (lambda r: r.sparsity.prunable, _count),
        "Non-zero": (_nonzero, _count),
        "Bytes, dense": (lambda r: BYTES * r.sparsity.prunable, size),
        f"FLOPs, {TOKENS} tokens": (lambda r: 2 * _nonzero(r) * TOKENS, flops),
        f"{'Training' if trained else 'Pruning'} time": (lambda r: r.cost.train_seconds, _seconds),
        **(steps if trained else {}),
        "Peak memory": (lambda r: r.cost.peak_bytes, size),
    }


def _nonzero(record: Record) -> int:
    return record.sparsity.prunable - record.sparsity.zeros


def _measured_columns(taken: Mapping[str, Measured]) -> dict[str, Quantity]:
    def of(record: Record, get: Callable[[Measured], float]) -> float | None:
        return get(taken[record.id]) if record.id in taken else None

    return {
        "Bytes, compressed": (lambda r: of(r, lambda m: m.compressed_bytes), size),
        "Latency, dense": (lambda r: of(r, lambda m: m.dense_milliseconds), _milliseconds),
        "Latency, pruned": (lambda r: of(r, lambda m: m.pruned_milliseconds), _milliseconds),
    }


def _cell(quantity: Quantity, records: Sequence[Record]) -> Cell:
    get, words = quantity
    values = [(record, get(record)) for record in records]
    runs = tuple(Run(float(value), (record.id,), record.spec.seed) for record, value in values if value is not None)
    text = words(fmean(run.value for run in runs)) if runs else ""
    return Cell(runs=runs, planned=len(runs), text=text)


def _facts(trained: bool, latency: str) -> dict[str, str]:
    times = "criterion: observing, scoring and masking; step: median" if trained else "observing, scoring and masking"
    facts = {
        "Sizes": f"prunable matrices alone; dense bytes at {BYTES} bytes a weight, zeros stored like any other number",
        "FLOPs": f"theory: 2 x non-zero weights x {TOKENS} tokens, prunable matrices alone; no dense kernel skips zeros",
        "Times": f"wall clock, means over seeds; {times}",
        "Peak memory": "CUDA allocations, or resident memory on a CPU",
    }
    return facts | ({"Latency": latency} if latency else {})


def latency_note(measured: Collection[Measured]) -> str:
    """What the forward passes say about speed, a part for each device on which models were timed; empty if none was."""
    devices = dict.fromkeys(one.device for one in measured)
    return "; ".join(_on(device, [one for one in measured if one.device == device]) for device in devices)


def _on(device: str, timed: Collection[Measured]) -> str:
    """What they say of the models that were timed on one device."""
    ratios = [one.dense_milliseconds / one.pruned_milliseconds for one in timed]
    models = count_of(len(timed), "model")
    spread = (
        f"{min(ratios):.2f}"
        if len(timed) == 1
        else f"{min(ratios):.2f} to {max(ratios):.2f}, median {median(ratios):.2f}"
    )
    if median(ratios) < 1 / (1 - NOISE):
        return f"zeros bring no speed-up on this device ({device}): the dense model takes {spread} times as long ({models})"
    return f"on this device ({device}) the dense model takes {spread} times as long as the pruned one ({models})"


def size(count: float) -> str:
    """Bytes in powers of 1024: `12.3 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def flops(count: float) -> str:
    """Operations in powers of 1000: `21.8 G`."""
    for unit in ("", " k", " M", " G"):
        if abs(count) < 1000:
            return f"{count:.3g}{unit}"
        count /= 1000
    return f"{count:.3g} T"
