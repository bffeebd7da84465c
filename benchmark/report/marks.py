"""What is said about cells: best and second, and the notes a reader needs before trusting a number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import attrgetter

import numpy as np
from numpy.typing import ArrayLike

from benchmark.board.record import Record
from benchmark.report.cells import Cell
from benchmark.report.floors import gives_one_answer
from benchmark.report.layout import RIVALS, Line, Slot
from benchmark.report.numbers import rounded
from benchmark.report.statistics.intervals import LOGARITHMIC, Floats, additive
from benchmark.report.statistics.multiple import DIGITS

TEXTS = {
    "partial": "fewer runs than planned; not ranked or tested",
    "missed": "a run missed its requested sparsity; not ranked",
    "outcome": "this criterion does not promise an exact sparsity; its measured sparsity differs from the column's; not ranked",
    "floor": "no better than the trivial predictor, the best constant answer on the evaluated split",
    "constant": "at least one run gives every example the same answer",
    "optimistic": "weights selected on the reported split itself: optimistic",
    "gate": "a dense run is too close to the trivial predictor on this task: not ranked, averaged or tested",
    "bimodal": "the score of each seed: some runs, its own or the dense model's, stay at the trivial predictor and others do not, so "
    "no mean is given; not ranked",
    "data": "other data than the rest of this task (fingerprints differ): not comparable, not ranked",
    "model": "another start than the rest of this task (model fingerprints differ): not comparable, not ranked",
}

FREQUENCIES = "no better than the trivial predictor, the frequencies of the reported tokens"
"""What the dagger says where all cells that have it are perplexities."""

DAGGER = "†"

IN_HEADS = frozenset({"gate"})
"""Kinds of remarks that hold for a whole task, and stand at its name instead of at each of its cells."""

UNRANKED = frozenset({"missed", "outcome", "gate", "data", "model"})
"""Kinds of remarks with which a number is not ranked, because it cannot be compared with its column."""


@dataclass(frozen=True)
class Note:
    """A kind of remark, the letter it is marked with, and what it says."""

    symbol: str
    kind: str
    text: str


def odd_ones(records: Sequence[Record], fingerprint: str, *fields: str) -> frozenset[str]:
    """Ids of the records whose field `fingerprint` is not the commonest among those with equal `fields` of the spec."""
    groups: dict[object, dict[str, list[str]]] = {}
    fingerprint_of, place = attrgetter(fingerprint), attrgetter(*fields)
    for record in records:
        groups.setdefault(place(record.spec), {}).setdefault(fingerprint_of(record), []).append(record.id)
    odd: set[str] = set()
    for found in groups.values():
        usual = min(found, key=lambda value: (-len(found[value]), value))
        odd.update(*(ids for value, ids in found.items() if value != usual))
    return frozenset(odd)


def marks_of(
    slots: Sequence[Slot], cell: Cell, odd: dict[str, frozenset[str]], all_optimistic: bool
) -> tuple[str, ...]:
    """Kinds of the notes that apply to one cell."""
    records = [slot.record for slot in slots if slot.record is not None]
    unmet = [record.sparsity for record in records if not record.sparsity.met]
    found = {
        "partial": cell.state == "partial",
        "missed": any(sparsity.exact for sparsity in unmet),
        "outcome": any(not sparsity.exact for sparsity in unmet),
        "floor": cell.mean is not None
        and cell.floor is not None
        and cell.sign * float(points_above(cell.metric, cell.mean, cell.floor)) <= 0,
        "constant": any(gives_one_answer(record) for record in records),
        "optimistic": not all_optimistic and any(record.selected.optimistic for record in records),
    }
    found |= {kind: not ids.isdisjoint(record.id for record in records) for kind, ids in odd.items() if ids}
    return tuple(kind for kind in TEXTS if found.get(kind))


def passes(record: Record, gate: float) -> bool:
    """Whether a dense run's headline metric is at least `gate` points better than the floor (0 where none is known)."""
    less_is_better, floor = record.less_is_better(record.metric), record.floor.get(record.metric)
    if floor is None and less_is_better:
        return True  # no bound is known that an error stays under
    gap = float(points_above(record.metric, record.score, floor or 0.0))
    return (-gap if less_is_better else gap) >= gate


def points_above(metric: str, values: ArrayLike, floor: float) -> Floats:
    """How many points `values` [n] are above the floor, in the metric's own unit and without rounding errors; for perplexity in
    hundredths of a nat, so that ten are some 10 % of any floor."""
    points = additive(metric, values) - additive(metric, floor)
    return np.round(100 * points if metric in LOGARITHMIC else points, DIGITS)


def bimodal(cell: Cell, gate: float) -> bool:
    """Whether some runs lie within `gate` points of the floor and the next better one more than `gate` points away."""
    if cell.n < 2 or cell.floor is None:
        return False
    gaps = cell.sign * points_above(cell.metric, cell.values, cell.floor)
    above = sorted(np.maximum(gaps, 0.0).tolist())  # worse than the floor is at the floor
    return any(low < gate and high - low > gate for low, high in pairwise(above))


def gated(dense: Sequence[Record], cells: Sequence[Cell], gate: float) -> list[Cell]:
    """The cells of one task and sparsity with the marks that all get from its `dense` runs, and each from its own runs."""
    fails = any(not passes(record, gate) for record in dense)
    apart = any(bimodal(cell, gate) for cell in cells if cell.dense)
    found = []
    for cell in cells:
        kinds = {"gate": fails and cell.planned > 0, "bimodal": cell.n > 1 and (apart or bimodal(cell, gate))}
        marks = {*cell.marks, *(kind for kind, holds in kinds.items() if holds)}
        found.append(replace(cell, marks=tuple(kind for kind in TEXTS if kind in marks)))
    return found


def notes(cells: Sequence[Cell], extra: Mapping[str, str] | None = None) -> tuple[Note, ...]:
    """One note per kind that occurs: a dagger for the trivial predictor, then a, b, c in the order in which a reader meets them.

    Those of heads come first, then those of the cells; in one cell they come in the order of TEXTS and then of `extra`.
    """
    trivial = [cell.metric in LOGARITHMIC for cell in cells if "floor" in cell.marks]
    texts = TEXTS | ({"floor": FREQUENCIES} if all(trivial) else {}) | dict(extra or {})
    order = {kind: number for number, kind in enumerate(texts)}
    found = [kind for cell in cells for kind in sorted(cell.marks, key=order.__getitem__)]
    used = dict.fromkeys([*(kind for kind in found if kind in IN_HEADS), *found])
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    made = [Note(DAGGER if kind == "floor" else next(letters), kind, texts[kind]) for kind in used]
    return tuple(sorted(made, key=lambda note: note.symbol != DAGGER))


def comparable(cell: Cell) -> bool:
    """Whether a cell is complete and comparable with its column, so that it is ranked, averaged and tested."""
    return cell.state == "done" and bool(cell.runs) and not UNRANKED & set(cell.marks)


def rivals(lines: Sequence[Line], fields: tuple[str, ...], cells: Sequence[Cell]) -> list[list[int]]:
    """Groups of positions that are ranked together in one row or column [len(lines)]: complete cells that differ only in the method.

    Lines of different task or sparsity do not compete; the dense model, quoted figures, incomplete and missing cells, and those
    that are not comparable with their column are left out.
    """
    fixed = [i for i, field in enumerate(fields) if field not in RIVALS]
    groups: dict[tuple[object, ...], list[int]] = {}
    for i, (line, cell) in enumerate(zip(lines, cells, strict=True)):
        if comparable(cell) and not (cell.dense or line.dense or line.quoted):
            groups.setdefault((*(line.key[j] for j in fixed), line.average), []).append(i)
    return list(groups.values())


def rank_lines(lines: Sequence[Line], fields: tuple[str, ...], cells: Sequence[Cell], digits: int) -> list[Cell]:
    """The cells with best and second among rivals, compared as printed so that equal numbers tie.

    Second place needs three rivals, best at least one that is worse. What is no better than the trivial predictor is neither, nor is
    a cell of which no mean is given.
    """
    ranked = list(cells)
    for group in rivals(lines, fields, cells):
        members = [i for i in group if "bimodal" not in cells[i].marks]
        for i, place in zip(members, _places([cells[i] for i in members], digits), strict=True):
            ranked[i] = replace(cells[i], rank=0 if "floor" in cells[i].marks else place)
    return ranked


def _places(cells: Sequence[Cell], digits: int) -> list[int]:
    if len(cells) < 2:
        return [0] * len(cells)
    shown = [-cell.sign * rounded(cell.mean, digits) if cell.mean is not None else 0.0 for cell in cells]
    order = sorted(set(shown))
    if len(order) == 1:
        return [0] * len(cells)
    second = order[1] if shown.count(order[0]) == 1 and len(cells) > 2 else None
    return [1 if number == order[0] else 2 if number == second else 0 for number in shown]
