"""Writes the tuned board: a new suite with the best configuration of each row, and how it was tuned.

Its cells are tuned ones and dense ones alone, so that all rows of its table had the same trials; the untuned rows stay where they are.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmark.board.board import SUITE, Board
from benchmark.errors import PrunebenchError
from benchmark.machine.atomic import require_room, write_text
from benchmark.suite.parts import TunedCell
from benchmark.suite.read import raw_suite, with_changes
from benchmark.suite.spec import MODES, RunSpec
from benchmark.suite.suite import matches
from benchmark.tune.space import applied
from benchmark.tune.study import load_study, study_path
from benchmark.tune.trial import trial_spec
from benchmark.tune.tune import rows_of, told

HEAD = "# Written by `prunebench tune` from the studies in {folder}; tune again rather than edit.\n"

PLACES = {
    "model": "",
    "data": "",
    **dict.fromkeys(("criteria", "regularizers", "schedule", "row", "criterion", "regularizer"), ".py"),
}
"""Settings that may hold a path, and what such a path ends with."""


@dataclass
class Outcome:
    """Cells that were tuned with enough trials, in the order of the board, and the rows that were not, with the reason."""

    cells: list[TunedCell] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)


def outcome(board: Board, trials: int, seed: int) -> Outcome:
    """The outcome of the studies of `board` after `trials` trials at `seed`."""
    found = Outcome()
    for cell in rows_of(board):
        spec = trial_spec(cell, seed)
        study, name = load_study(study_path(board.folder, spec)), spec.cell.partition(" seed ")[0]
        if study is None or len(study.trials) < trials:
            found.lacking.append(f"{name}: {len(study.trials) if study else 0} of {trials} trials")
        elif (best := study.best(trials)) is None:
            found.lacking.append(f"{name}: none of {trials} trials counts; the first {told(study.trials[0])}")
        else:
            found.cells.append(_cell(spec, applied(spec, best.point), trials, study.space_hash))
            found.lines.append(f"{name}: {told(best)}; as the suite has it: {told(study.trials[0])}")
    return found


def write_tuned(board: Board, found: Outcome, folder: Path, changes: Mapping[str, Any] | None = None) -> Path:
    """Write the suite of the tuned cells into `folder`; PrunebenchError without tuned cells, or if another suite is there."""
    path = folder / SUITE
    if not found.cells:
        raise PrunebenchError("no row has all its trials yet:\n" + "\n".join(found.lacking))
    require_free(board, folder)
    head = _head(board)
    suite = board.folder / SUITE
    raw = with_changes(raw_suite(suite), changes or {}, suite)
    content = {**raw, **_narrowed(board, found.cells, raw)}
    moved = _moved(content, board.folder, folder, frozenset(_absolute_places(raw)))
    write_text(path, head + yaml.safe_dump(moved, sort_keys=False, allow_unicode=True, width=120))
    return path


def require_free(board: Board, folder: Path) -> None:
    """PrunebenchError where the tuned board of `board` cannot be written into `folder`: asked before hours of trials, too."""
    path = folder / SUITE
    if path.exists() and not path.read_text(encoding="utf-8", errors="replace").startswith(_head(board)):
        raise PrunebenchError(
            f"{path}: there is a suite that tuning did not write, or that tuned another board; choose another folder by --output"
        )
    require_room(folder)


def _head(board: Board) -> str:
    """The first line of a suite that tuning `board` writes."""
    return HEAD.format(folder=board.folder.resolve().name)


def _cell(spec: RunSpec, best: RunSpec, trials: int, space: str) -> TunedCell:
    return TunedCell(
        task=spec.task,
        row=spec.row,
        regularizer=spec.regularizer,
        sparsity=spec.sparsity,
        criterion=best.criterion,
        found_lr=best.training.lr,
        lr=spec.training.lr,
        trials=trials,
        seed=spec.seed,
        heldout=spec.heldout,
        space=space,
    )


def _narrowed(board: Board, cells: list[TunedCell], raw: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of the suite that name its grid, restricted to what was tuned."""
    tasks = [task for task in board.suite.tasks if any(cell.task == task for cell in cells)]
    rows = dict.fromkeys(f"{cell.row} + {cell.regularizer}" for cell in cells)
    overrides = {
        pattern: change
        for pattern, change in (raw.get("overrides") or {}).items()
        if any(matches(task, pattern) for task in tasks)
    }
    methods = {
        name: method for name, method in (raw.get("methods") or {}).items() if any(cell.row == name for cell in cells)
    }
    return {
        "title": f"{board.suite.title or board.folder.resolve().name}, tuned",
        "tasks": tasks,
        **({"methods": methods} if methods else {}),
        "criteria": list(rows),
        "regularizers": ["none"],
        "heldout": board.suite.cells()[0].heldout,
        "overrides": overrides,
        "tuned": [cell.model_dump(mode="json") for cell in cells],
    }


def _moved(node: Any, old: Path, new: Path, absolute: frozenset[str] = frozenset(), key: str = "") -> Any:
    """`node` with every folder and plugin file that it names from `old` named from `new`; `key` is the setting it stands under.

    Places in `absolute` were written as absolute paths in the suite, and stay so.
    """
    if isinstance(node, dict):
        return {name: _moved(value, old, new, absolute, name) for name, value in node.items()}
    if isinstance(node, list):
        return [_moved(value, old, new, absolute, key) for value in node]
    if not isinstance(node, str) or key not in PLACES:
        return node
    return " + ".join(_seen_from(part, old, new, absolute, PLACES[key]) for part in node.split(" + "))


def _seen_from(text: str, old: Path, new: Path, absolute: frozenset[str], ending: str) -> str:
    location = _location(text, ending)
    if text in MODES or location in absolute or not location.endswith(ending) or not (old / location).exists():
        return text
    return text.replace(location, os.path.relpath((old / location).resolve(), new.resolve()), 1)


def _absolute_places(node: Any, key: str = "") -> Iterator[str]:
    """Folders and plugin files that a suite names by absolute paths."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _absolute_places(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from _absolute_places(value, key)
    elif isinstance(node, str) and key in PLACES:
        for part in node.split(" + "):
            if (location := _location(part, PLACES[key])).startswith(("/", "~")):
                yield location


def _location(text: str, ending: str) -> str:
    """The path in `text`: all of it, or of a plugin what stands before its class and options."""
    return text.partition("[")[0].partition(":")[0].strip() if ending else text
