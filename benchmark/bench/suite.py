"""`prunebench bench`: measures sections, prints each when it is done, and saves tables and raw numbers."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from benchmark.bench import cell, records, selection, startup, step, workers
from benchmark.bench.result import Costs, Recipe, Section, markdown, read
from benchmark.bench.timing import Tell
from benchmark.errors import PrunebenchError, choices
from benchmark.machine import environment
from benchmark.machine.atomic import write_text
from benchmark.report.filenames import slug


@dataclass(frozen=True)
class Job:
    """What to measure, and on what."""

    device: torch.device
    place: cell.Place
    quick: bool = False
    criteria: Sequence[str] = step.CRITERIA
    command: str = "prunebench bench"
    tell: Tell = field(default=print)


SECTIONS: dict[str, Callable[[Job], Iterable[Section]]] = {
    "step": lambda job: [step.measure_time(job.device, job.quick, job.tell, job.criteria)],
    "selection": lambda job: [selection.measure(job.device, job.quick, job.tell)],
    "cell": lambda job: [cell.measure(job.device, job.quick, job.tell, job.place)],
    "memory": lambda job: [step.measure_memory(job.device, job.quick, job.tell)],
    "startup": lambda job: [startup.measure(job.quick, job.tell)],
    "records": lambda job: [records.measure(job.quick, job.tell)],
    "workers": lambda job: workers.measure(job.quick, job.tell),
}
"""Sections by name."""

UNMEASURED = {"targets": [], "notes": ["A quick run: it tries the code; the figures mean nothing."]}
"""Fields of a section of a quick run, which has no targets."""


def chosen(names: Sequence[str]) -> list[str]:
    """The sections called `names`, in the order of SECTIONS; PrunebenchError names an unknown one."""
    for name in names:
        if name not in (*SECTIONS, "all"):
            raise PrunebenchError(f"unknown section '{name}'; {choices(name, [*SECTIONS, 'all'])}")
    return [name for name in SECTIONS if "all" in names or name in names]


def measure(job: Job, names: Sequence[str], folder: Path, show: Callable[[Section], None]) -> Path:
    """Measure sections one by one, saving each beside older ones of this device; returns the table's path."""
    wanted = chosen(names)
    machine = environment.describe(job.device) | {"cores": str(os.cpu_count())}
    device = machine["device"] if job.device.type == "cuda" else f"{machine['device']}, {machine['threads']} threads"
    # A quick run never overwrites measured figures.
    table = folder / f"{'quick-' if job.quick else ''}{slug(device)}.md"
    for name in wanted:
        load = f"{os.getloadavg()[0]:.1f}"
        started = time.perf_counter()
        for section in SECTIONS[name](job):
            seconds = time.perf_counter() - started
            recipe = Recipe(
                command=job.command, repetitions=section.repetitions, seconds=seconds, machine=machine | {"load": load}
            )
            section = section.model_copy(update={"recipe": recipe} | (UNMEASURED if job.quick else {}))
            keep(section, device, table)
            show(section)
    return table


def keep(section: Section, device: str, table: Path) -> None:
    """Put a section into the device's JSON, replacing an older one, and rewrite the table."""
    raw = table.with_suffix(".json")
    costs = read(raw.read_text(), str(raw)) if raw.is_file() else Costs(device=device, sections=[])
    costs = costs.with_section(section)
    write_text(raw, costs.model_dump_json(indent=1) + "\n")
    write_text(table, markdown(costs))
