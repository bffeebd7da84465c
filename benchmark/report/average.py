"""Averages over tasks, of complete cells only: one more row or column for each group that differs only in the task."""

from collections.abc import Sequence
from statistics import fmean

from benchmark.report.cells import Cell, Run
from benchmark.report.layout import Line

FEWEST = 3
"""From this many GLUE tasks on, a table shows their average without being asked."""


def averages(
    columns: Sequence[Line], fields: tuple[str, ...], cells: Sequence[Sequence[Cell]], glue: bool = False
) -> tuple[list[Line], list[list[Cell]]]:
    """Average columns and their cells [rows][average columns].

    Errors are averaged apart from percentages. A task's value is the mean of its metrics shown, the average the mean over tasks (as
    GLUE does it), so a task with two metrics weighs no more than one with one. Tasks that do not pass the board's gate are left
    out; with `glue`, all but GLUE's too, and so is an average of fewer than FEWEST tasks or without a complete pruned row.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    loose = [i for i, field in enumerate(fields) if field in ("task", "metric")]
    for j, line in enumerate(columns):
        if any("gate" in row[j].marks for row in cells):
            continue
        if glue and not str(line.key[fields.index("task")]).startswith("glue/"):
            continue
        fixed = tuple(part for i, part in enumerate(line.key) if i not in loose)
        groups.setdefault((_error(j, cells), *fixed), []).append(j)
    at = fields.index("task")
    least = FEWEST if glue else 2
    kept = [members for members in groups.values() if len({columns[j].key[at] for j in members}) >= least]
    lines = [_line([columns[j] for j in members], fields, _error(members[0], cells)) for members in kept]
    made = [[_average([(str(columns[j].key[at]), row[j]) for j in members]) for members in kept] for row in cells]
    if glue:
        shown = [k for k in range(len(lines)) if any(row[k].runs and not row[k].dense for row in made)]
        return [lines[k] for k in shown], [[row[k] for k in shown] for row in made]
    return lines, made


def _error(j: int, cells: Sequence[Sequence[Cell]]) -> str:
    """The metric of a column of which less is better; "" where more is."""
    return next((row[j].metric for row in cells if row[j].less_is_better), "")


def _line(members: Sequence[Line], fields: tuple[str, ...], error: str) -> Line:
    at = fields.index("task")
    tasks = list(dict.fromkeys(str(line.key[at]) for line in members))
    glue = all(task.startswith("glue/") for task in tasks)
    name = "GLUE avg." if glue else f"{error.capitalize() or 'Tasks'} avg."
    style = "GLUE-style average" if glue else "average"
    style = f"{style} {error}" if error else style
    words = {"task": f"{style} of {len(tasks)} tasks", "metric": "mean"}
    labels = tuple(words.get(field, members[0].labels[i]) for i, field in enumerate(fields))
    key = tuple(words.get(field, members[0].key[i]) for i, field in enumerate(fields))
    return Line(key, labels, dense=members[0].dense, average=name, over=tuple(tasks))


def _average(parts: Sequence[tuple[str, Cell]]) -> Cell:
    cells = [cell for _, cell in parts]
    planned = sum(cell.planned for cell in cells)
    if any(cell.state != "done" for cell in cells):
        absent = tuple(id_ for cell in cells for id_ in cell.absent)
        return Cell(planned=planned, absent=absent, text="incomplete", dense=any(cell.dense for cell in cells))
    marks = tuple(dict.fromkeys(mark for cell in cells for mark in cell.marks if mark != "floor"))
    dense = all(cell.dense for cell in cells)
    less_is_better = any(cell.less_is_better for cell in cells)
    return Cell("average", _runs(parts), planned=planned, dense=dense, marks=marks, less_is_better=less_is_better)


def _runs(parts: Sequence[tuple[str, Cell]]) -> tuple[Run, ...]:
    """One run per seed where all cells have the same seeds, else a single one made of the means."""
    cells = [cell for _, cell in parts]
    seeds = [tuple(run.seed for run in cell.runs) for cell in cells]
    if any(found != seeds[0] for found in seeds) or None in seeds[0]:
        values = [(task, fmean(cell.values)) for task, cell in parts]
        return (Run(_macro(values), tuple(id_ for cell in cells for id_ in cell.ids)),)
    return tuple(
        Run(
            _macro([(task, cell.runs[k].value) for task, cell in parts]),
            tuple(dict.fromkeys(id_ for cell in cells for id_ in cell.runs[k].ids)),
            seed,
        )
        for k, seed in enumerate(seeds[0])
    )


def _macro(values: Sequence[tuple[str, float]]) -> float:
    tasks: dict[str, list[float]] = {}
    for task, found in values:
        tasks.setdefault(task, []).append(found)
    return fmean(fmean(found) for found in tasks.values())
