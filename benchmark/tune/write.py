"""Writes the tuned board: a new suite with the best configuration of each row, and how it was tuned.

Its cells are tuned ones and dense ones alone, so that all rows of its table had the same trials; the untuned rows stay where they are.
"""

import json
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmark.board.board import SUITE, Board
from benchmark.board.record import Record, load_records
from benchmark.errors import PrunebenchError
from benchmark.machine.atomic import require_room, write_text
from benchmark.plugins.files import file_of
from benchmark.suite.labels import Label, spelled_as_recorded
from benchmark.suite.parts import TunedCell
from benchmark.suite.read import load_suite, raw_suite, with_changes
from benchmark.suite.spec import MODES, RANDOM, RunSpec
from benchmark.suite.suite import Suite, matches
from benchmark.tune.space import applied
from benchmark.tune.study import Study, load_study, study_path
from benchmark.tune.trial import trial_spec
from benchmark.tune.tune import Search, rows_of, told

HEAD = "# Written by `prunebench tune` from the studies in {board}; tune again rather than edit.\n"
"""The first line of a tuned suite. `board` is the path to the tuned board from the suite's own folder, with a slash in it; suites
that older versions wrote have the name of the board's folder alone."""

PLACES = {
    "model": "",
    "data": "",
    **dict.fromkeys(("criteria", "regularizers", "schedule", "row", "criterion", "regularizer"), ".py"),
}
"""Settings that may hold a path, and what such a path ends with."""

SHOWN = 5
"""Cells that a message names."""


@dataclass
class Outcome:
    """Cells that were tuned with enough trials, in the order of the board, and the rows that were not, with the reason."""

    cells: list[TunedCell] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)


def outcome(board: Board, trials: int, seed: int) -> Outcome:
    """The outcome of the studies of `board` after `trials` trials at `seed`.

    PrunebenchError where two studies of a task were made with different data or models: one tuned board cannot hold both.
    """
    found, of_task = Outcome(), dict[str, tuple[Path, Study]]()
    for cell in rows_of(board):
        spec = trial_spec(cell, seed)
        path, name = study_path(board.folder, spec), spec.unseeded
        study = load_study(path)
        if study is None or len(study.trials) < trials:
            found.lacking.append(f"{name}: {len(study.trials) if study else 0} of {trials} trials")
        elif (best := study.best(trials)) is None:
            found.lacking.append(f"{name}: none of {trials} trials counts; the first {told(study.trials[0])}")
        else:
            _require_same_sources(path, study, *of_task.setdefault(spec.task, (path, study)))
            found.cells.append(_cell(spec, applied(spec, best.point), trials, study.space_hash))
            found.lines.append(f"{name}: {told(best)}; as the suite has it: {told(study.trials[0])}")
    return found


def _require_same_sources(path: Path, study: Study, first_path: Path, first: Study) -> None:
    """PrunebenchError where the trials of two studies of a task did not have the same data and model."""
    for kind in ("data", "model"):
        if getattr(study, f"{kind}_fingerprint") != getattr(first, f"{kind}_fingerprint"):
            raise PrunebenchError(
                f"{first_path} and {path}: their trials had different {kind} of {study.spec.task}, so one tuned board cannot hold "
                "both: move one of the files away, and tune its row again"
            )


def write_tuned(
    board: Board,
    found: Outcome,
    folder: Path,
    changes: Mapping[str, Any] | None = None,
    *,
    data: str | None = None,
    model: str | None = None,
) -> Path:
    """Write the suite of the tuned cells into `folder`, with what --set, --data and --model changed while they were tuned.

    PrunebenchError without tuned cells, and where the suite that is there may not be replaced.
    """
    if not found.cells:
        raise PrunebenchError("no row has all its trials yet:\n" + "\n".join(found.lacking))
    _require_own(board, folder)
    suite = board.folder / SUITE
    raw = with_changes(raw_suite(suite), changes or {}, suite)
    content = {**raw, **_narrowed(board, found.cells, raw)}
    moved = _moved(content, board.folder, folder, frozenset(_absolute_places(raw)))
    placed = _placed(moved, {"data": data, "model": model}, folder)
    text = _head(board, folder) + yaml.safe_dump(placed, sort_keys=False, allow_unicode=True, width=120)
    path, ids = folder / SUITE, {spec.id for spec in _loaded(text, folder).cells()}
    _require_kept(folder, lambda spec: spec.id in ids)
    write_text(path, text)
    return path


def require_free(board: Board, folder: Path, search: Search) -> None:
    """PrunebenchError where the tuned board of `board` cannot be written into `folder`: asked before hours of trials.

    Which options will be found is not known yet, but the new suite will not have the finished cells of a search with another number
    of trials or another seed.
    """
    _require_own(board, folder)
    asked = (search.trials, search.seed_for(board))
    _require_kept(folder, lambda spec: spec.is_dense or (spec.tuned.trials, spec.tuned.seed) == asked)
    require_room(folder)


def _require_own(board: Board, folder: Path) -> None:
    """PrunebenchError where the suite in `folder` is none that tuning `board` wrote."""
    path = folder / SUITE
    if not path.exists():
        return
    first = path.read_text(encoding="utf-8", errors="replace").partition("\n")[0] + "\n"
    name = board.folder.resolve().name
    if first in (_head(board, folder), HEAD.format(board=name)):
        return
    other = re.fullmatch(re.escape(HEAD).replace(re.escape("{board}"), "(.*)"), first)
    what = f"holds the tuned rows of another board, {other[1]}" if other else "is a suite that tuning did not write"
    raise PrunebenchError(f"{path} {what}; {board.folder} needs another folder: choose one by --output")


def _require_kept(folder: Path, stays: Callable[[RunSpec], bool]) -> None:
    """PrunebenchError where a finished cell of the tuned suite in `folder` would be none of the new suite."""
    lost = [record.spec for record in _finished(folder) if not stays(record.spec)]
    if lost:
        named = ", ".join(spec.named for spec in lost[:SHOWN])
        more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
        raise PrunebenchError(
            f"{folder / SUITE}: the new suite would not have these finished cells: {named}{more}; choose another folder for it "
            "by --output (finished trials are not run again)"
        )


def _finished(folder: Path) -> Sequence[Record]:
    """Records of the cells of the suite in `folder`; all records that are there where that suite cannot be opened."""
    if not (folder / SUITE).exists():
        return []
    try:
        return Board.open(folder).records()[0]
    except PrunebenchError:
        return load_records(folder / "records")[0]


def _head(board: Board, folder: Path) -> str:
    """The first line of the suite that tuning `board` writes into `folder`."""
    place = os.path.relpath(board.folder.resolve(), folder.resolve())
    place = place if "/" in place else f"./{place}"
    return HEAD.format(board=place if place.isprintable() else json.dumps(place))


def _loaded(text: str, folder: Path) -> Suite:
    """The suite of this text as it would be read in `folder`; PrunebenchError where it cannot be."""
    draft = folder / f".suite-{secrets.token_hex(8)}.yaml"
    write_text(draft, text)
    try:
        return load_suite(draft)
    except PrunebenchError as error:
        said = str(error).replace(str(draft), str(folder / SUITE))
        raise PrunebenchError(f"the tuned suite could not be opened again and was not written: {said}") from error
    finally:
        draft.unlink(missing_ok=True)


def _placed(content: dict[str, Any], places: Mapping[str, str | None], folder: Path) -> dict[str, Any]:
    """The suite's `content` with the places that --data and --model name, for all tasks, as seen from `folder`."""
    given = {key: place for key, place in places.items() if place is not None}
    seen = _moved(given, Path.cwd(), folder, frozenset(_absolute_places(given)))
    overrides = {
        pattern: {key: value for key, value in change.items() if key not in given}
        for pattern, change in content["overrides"].items()
    }
    return {**content, **seen, "overrides": overrides}


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
    grid = {"tasks": tasks, "criteria": list(rows), "regularizers": ["none"]}
    labels = _still_named(raw.get("labels") or {}, {**grid, "model": board.suite.model})
    return {
        "title": f"{board.title}, tuned",
        **({"methods": methods} if methods or "methods" in raw else {}),
        **grid,
        "heldout": board.suite.cells()[0].heldout,
        "overrides": overrides,
        **({"labels": labels} if labels or "labels" in raw else {}),
        "tuned": [cell.model_dump(mode="json") for cell in cells],
    }


def _still_named(labels: Mapping[str, Any], suite: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the suite's `labels` that name its model, or a task, a row or a part of a row that it still has."""
    kept = {}
    for key, label in labels.items():
        with suppress(ValueError):
            spelled_as_recorded({key: Label(text="any")}, suite)
            kept[key] = label
    return kept


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
    return " + ".join(_seen_from(part, old, new, absolute, PLACES[key]) for part in _parts(node, key))


def _seen_from(text: str, old: Path, new: Path, absolute: frozenset[str], ending: str) -> str:
    location = _location(text, ending)
    place = old / location
    there = place.exists() if ending else place.is_dir() or (place.suffix == ".gguf" and place.is_file())
    if location in ("", *MODES) or location in absolute or not location.endswith(ending) or not there:
        return text
    seen = os.path.relpath(place.resolve(), new.resolve())
    before, _, after = text.rpartition(location) if not ending else text.partition(location)
    return f"{before}{'./' if seen in MODES else ''}{seen}{after}"


def _absolute_places(node: Any, key: str = "") -> Iterator[str]:
    """Folders and plugin files that a suite names by absolute paths."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _absolute_places(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from _absolute_places(value, key)
    elif isinstance(node, str) and key in PLACES:
        for part in _parts(node, key):
            if (location := _location(part, PLACES[key])).startswith(("/", "~")):
                yield location


def _location(text: str, ending: str) -> str:
    """The path in `text`: of a plugin what stands before its class and options, of a model what stands behind `random:`."""
    return file_of(text) if ending else text.removeprefix(RANDOM)


def _parts(text: str, key: str) -> list[str]:
    """The plugins that `text` names under the setting `key`; a folder is one part, whatever its name."""
    return text.split(" + ") if PLACES[key] else [text]
