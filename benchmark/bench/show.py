"""Measured costs as text and as markdown."""

import re

from tabulate import tabulate

from benchmark.bench.result import Costs, Section, Target

TARGETS = ("target", "measured", "bound", "")


def section_text(section: Section) -> str:
    """A section for the terminal."""
    return f"{section.title}\n\n{_parts(section, 'simple')}\n"


def markdown(costs: Costs) -> str:
    """The whole report of one device."""
    parts = [f"# What pruning costs on {costs.device}", "Written by `prunebench bench`; the raw numbers lie beside it."]
    for section in costs.sections:
        parts += [f"## {section.title}", _parts(section, "pipe"), _recipe(section)]
    return "\n\n".join(part for part in parts if part) + "\n"


def slug(device: str) -> str:
    """A file's name for a device."""
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")


def _parts(section: Section, format: str) -> str:
    align = ["left"] + ["right"] * (len(section.columns) - 1)
    parts = [_table(section.rows, section.columns, format, align)]
    if section.targets:
        rows = [_target(target) for target in section.targets]
        parts.append(_table(rows, list(TARGETS), format, ["left", "right", "right", "left"]))
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
