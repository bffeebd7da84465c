"""Results of measurements: tables, targets, raw numbers and how they were made; as JSON and as text."""

from typing import Literal

from pydantic import BaseModel, ConfigDict
from tabulate import tabulate

from benchmark.errors import PrunebenchError

HEADER = ["target", "measured", "bound", ""]
"""Header of a table of targets."""


class Model(BaseModel):
    """Immutable; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Target(Model):
    """A target and the measured figure (None if it could not be measured here; `why` says why)."""

    name: str
    measured: float | None
    bound: float
    kind: Literal["at most", "at least"]
    unit: str = "x"
    why: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None if nothing was measured."""
        if self.measured is None:
            return None
        return self.measured <= self.bound if self.kind == "at most" else self.measured >= self.bound

    @property
    def verdict(self) -> str:
        """The verdict in words."""
        words = {True: "met", False: "NOT met", None: f"not measured: {self.why}"}
        return words[self.met]


class Recipe(Model):
    """How a section was made: command, repetitions, and the machine with its versions (environment.describe)."""

    command: str
    repetitions: str
    seconds: float
    machine: dict[str, str]


class Section(Model):
    """The answer to one question: a table, notes, targets, and all raw numbers by name (seconds, bytes or counts)."""

    name: str
    title: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str] = []
    targets: list[Target] = []
    raw: dict[str, list[float]] = {}
    repetitions: str = ""
    recipe: Recipe | None = None


class Costs(Model):
    """All sections measured on one device, the latest of each name."""

    schema_version: Literal[1] = 1
    device: str
    sections: list[Section]

    def with_section(self, section: Section) -> "Costs":
        """The same with `section` in place of an older one of that name, or at the end."""
        others = [old for old in self.sections if old.name != section.name]
        order = [old.name for old in self.sections]
        at = order.index(section.name) if section.name in order else len(others)
        return self.model_copy(update={"sections": [*others[:at], section, *others[at:]]})


def read(text: str, name: str) -> Costs:
    """Costs from their JSON; PrunebenchError names a file that does not hold any."""
    try:
        return Costs.model_validate_json(text)
    except ValueError as error:
        raise PrunebenchError(f"{name}: not a file of measured costs: {error}") from error


def section_text(section: Section) -> str:
    """A section for the terminal."""
    return f"{section.title}\n\n{_parts(section, 'simple')}\n"


def markdown(costs: Costs) -> str:
    """The whole report of one device."""
    parts = [f"# What pruning costs on {costs.device}", "Written by `prunebench bench`; the raw numbers lie beside it."]
    for section in costs.sections:
        parts += [f"## {section.title}", _parts(section, "pipe"), _recipe(section)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _parts(section: Section, format: str) -> str:
    align = ["left"] + ["right"] * (len(section.columns) - 1)
    parts = [_table(section.rows, section.columns, format, align)]
    if section.targets:
        rows = [_target(target) for target in section.targets]
        parts.append(_table(rows, HEADER, format, ["left", "right", "right", "left"]))
    bullet = "- " if format == "pipe" else ""
    parts.append("\n".join(f"{bullet}{note}" for note in section.notes))
    return "\n\n".join(part for part in parts if part)


def _table(rows: list[list[str]], columns: list[str], format: str, align: list[str]) -> str:
    if not rows:
        return ""
    return str(tabulate(rows, headers=columns, tablefmt=format, disable_numparse=True, colalign=align))


def _target(target: Target) -> list[str]:
    unit = target.unit if target.unit in ("x", "%") else f" {target.unit}"
    measured = "-" if target.measured is None else f"{target.measured:.3g}{unit}"
    if target.unit == "x" and target.measured is not None and target.measured < 10:
        measured = f"{target.measured:.3f}{unit}"
    return [target.name, measured, f"{target.kind} {target.bound:g}{unit}", target.verdict]


def _recipe(section: Section) -> str:
    recipe = section.recipe
    if recipe is None:
        return ""
    machine = recipe.machine
    versions = ", ".join(f"{name} {machine[name]}" for name in ("python", "torch", "transformers") if name in machine)
    where = f"{machine.get('device', '?')}, {machine.get('threads', '?')} threads, {machine.get('precision', '?')}"
    return (
        f"Recipe: `{recipe.command}`; {recipe.repetitions}; {recipe.seconds:.0f} s; {where}; {versions}; "
        f"commit {machine.get('commit', 'none')}; load before {machine.get('load', '?')}."
    )
