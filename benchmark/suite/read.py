"""Reads suite.yaml: resolves paths, applies --set, and reports every mistake with file, field, value and choices."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmark.errors import PrunebenchError, choices, pydantic_reason
from benchmark.plugins.broken import BrokenPluginError
from benchmark.plugins.files import file_of, only_looks, plugin_file
from benchmark.suite.consistency import check_spec
from benchmark.suite.labels import Label
from benchmark.suite.parts import Method, Override, TunedCell
from benchmark.suite.spec import MODES, RANDOM, Strict, Training
from benchmark.suite.suite import Suite, matches, on_top
from benchmark.suite.yaml import load_yaml, unspaced

ELSEWHERE = {
    "learning_rate": "training.lr",
    "lr": "training.lr",
    "num_train_epochs": "training.epochs",
    "num_epochs": "training.epochs",
    "epochs": "training.epochs",
    "max_steps": "training.steps",
    "batch": "training.batch_size",
    "batch_size": "training.batch_size",
    "per_device_train_batch_size": "training.batch_size",
    "max_seq_length": "training.max_length",
    "max_length": "training.max_length",
    "warmup_ratio": "training.warmup",
    "warmup_steps": "training.warmup",
    "max_grad_norm": "training.clip",
}
"""Keys that people know from other tools, or write outside `training`, and our key for each."""

LONGEST = 100
"""Longest part of a wrong value that a message quotes, in characters."""


def load_suite(
    path: Path,
    changes: Mapping[str, Any] | None = None,
    *,
    added: Sequence[str] = (),
    data: str | None = None,
    model: str | None = None,
) -> Suite:
    """The suite in `path` with `changes` of --set ("training.epochs": 2) on top, rows `added`, and `data`, `model` replaced.

    PrunebenchError names file or option, field, value and choices. Relative paths are resolved against the suite's folder first.
    """
    written = raw_suite(path)
    raw = with_changes(written, changes or {}, path)
    replaced = {key: value for key, value in written.items() if key in (changes or {})}
    if added and isinstance(raw.get("criteria"), list):
        raw["criteria"] = [*raw["criteria"], *added]
    _locate(raw, path.parent)
    places = {key: place for key, place in (("data", data), ("model", model)) if place is not None}
    for key, place in places.items():
        require_place(key, place)
        raw[key] = str(_folder(place, Path.cwd()) or place)
        for override in _overrides(raw).values():
            override.pop(key, None)
    origin = _Origin(path, tuple(changes or ()), tuple(places))
    _check_budgets(origin, raw)
    if not only_looks():
        _check_task_files(origin, raw)
    try:
        suite = Suite.model_validate(raw, context=replaced)
        suite.cells()
    except ValidationError as error:
        raise PrunebenchError("\n".join(_explain(origin, item) for item in error.errors())) from error
    _check_methods(origin, suite)
    _check_overrides(origin, suite)
    _check_inputs(origin, suite)
    _check_cells(origin, suite)
    _check_folders(origin, suite)
    return suite


@dataclass(frozen=True)
class _Origin:
    """Where the settings of a suite come from: its file, the keys that --set changes, and --data and --model where given."""

    path: Path
    changed: tuple[str, ...]
    places: tuple[str, ...]

    def of(self, field: str) -> str:
        """Who said `field`, as a message begins: the option that set it, or the file."""
        if field in self.places:
            return f"--{field}"
        key = next((key for key in self.changed if f"{field}.".startswith(f"{key}.")), None)
        return self.whole if key is None else f"--set {key}"

    def field(self, field: str) -> str:
        """`of(field)` and then the field's name, unless it ends with that already."""
        who = self.of(field)
        return who if who.split("--")[-1].removeprefix("set ") == field else f"{who}: {field}"

    @property
    def whole(self) -> str:
        """The file, and the options that changed something in it."""
        options = [*(f"--set {key}" for key in self.changed), *(f"--{place}" for place in self.places)]
        return f"{self.path}{' with ' if options else ''}{', '.join(options)}"


def raw_suite(path: Path) -> dict[str, Any]:
    """The content of `path`, not yet checked."""
    raw = load_yaml(path)
    if not isinstance(raw, dict):
        hint = f"; {said}" if isinstance(raw, str) and (said := unspaced(raw)) else ""
        sort = {type(None): "nothing", str: "a text", list: "a list"}.get(type(raw), "a single value")
        raise PrunebenchError(f"{path}: expected keys with values, found {sort}{hint}")
    found: dict[str, Any] = raw
    return found


def with_changes(settings: dict[str, Any], changes: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The raw `settings` of the suite in `path` with `changes` of --set on top, not yet checked."""
    for key, value in changes.items():
        label = key.startswith("labels.")  # what is named may hold dots: a file, or an option's number
        keys = key.split(".", maxsplit=1) if label else re.findall(r"(?:[^.\[]|\[[^\]]*\]?)+", key) or [key]
        settings = _changed(settings, keys, value, path)
    return settings


def _changed(settings: dict[str, Any], keys: list[str], value: Any, path: Path) -> dict[str, Any]:
    """A copy of the raw `settings` with `value` under the nested `keys`."""
    key, *rest = keys
    if rest:
        below = settings.get(key, {})
        if not isinstance(below, dict):
            raise PrunebenchError(
                f"--set: cannot set '{rest[0]}' in '{key}' of {path}, which holds {_short(below)}, not settings"
            )
        value = _changed(below, rest, value, path)
    return on_top(settings, {key: value})


def _overrides(raw: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The raw overrides by pattern, without those that hold no settings, which are refused later."""
    found = raw.get("overrides")
    return {pattern: own for pattern, own in found.items() if isinstance(own, dict)} if isinstance(found, dict) else {}


def _locate(raw: dict[str, Any], folder: Path) -> None:
    """Make paths relative to the board absolute, if such a folder or plugin exists there."""
    for node in (raw, *_overrides(raw).values()):
        for key in ("model", "data"):
            text = node.get(key)
            if isinstance(text, str):
                drawn = RANDOM if key == "model" and text.startswith(RANDOM) else ""
                name = text.removeprefix(drawn)
                node[key] = drawn + str(_folder(name, folder, Path.cwd()) or name)
        for key in ("criteria", "regularizers", "schedule"):
            given = node.get(key)
            if isinstance(given, str):
                node[key] = located(given, folder)
            elif isinstance(given, list):
                node[key] = [located(text, folder) if isinstance(text, str) else text for text in given]
    tuned, methods = raw.get("tuned"), raw.get("methods")
    for cell in (*(tuned if isinstance(tuned, list) else ()), *(methods.values() if isinstance(methods, dict) else ())):
        for key in ("row", "criterion", "regularizer", "schedule"):
            if isinstance(cell, dict) and isinstance(cell.get(key), str):
                cell[key] = located(cell[key], folder)


def located(text: str, folder: Path) -> str:
    """A row's text with absolute paths of plugin files in the suite's folder; others are relative to the current folder."""
    parts = []
    for part in text.split(" + "):
        location = file_of(part)
        here, beside = (plugin_file(location), plugin_file(str(folder / location))) if location else (None, None)
        if here and here.resolve().is_relative_to(folder.resolve()):
            beside = beside or here
        parts.append(part.strip().replace(location, str(beside.resolve()), 1) if beside else part)
    return " + ".join(parts)


def _folder(text: str, *places: Path) -> Path | None:
    """The folder, or the model's GGUF file, that `text` names, relative to the first of `places` that has it."""
    with suppress(OSError, RuntimeError, ValueError):  # a name that no file system can hold is no folder
        for place in places if text.strip() and text not in MODES else ():
            path = (place / Path(text).expanduser()).resolve()
            if path.is_dir() or (path.suffix == ".gguf" and path.is_file()):
                return path
    return None


def _check_methods(origin: _Origin, suite: Suite) -> None:
    """A method that no row lists would not be run; rows that --set gives need not be those of the file."""
    listed = {criterion for criterion, _ in suite.rows}
    idle = [name for name in suite.methods if name not in listed]
    if idle and "criteria" not in origin.changed and not suite.tuned:
        raise PrunebenchError(f"{origin.field('methods')}: '{idle[0]}' is no row: list it under criteria, or remove it")


def _check_overrides(origin: _Origin, suite: Suite) -> None:
    """An override that a more general one below it replaces would not be used: the later one is on top."""
    given = {pattern: _overridden(override) for pattern, override in suite.overrides.items()}
    for pattern, later in combinations(given, 2):
        lost = [key for key, value in given[pattern].items() if given[later].get(key, value) != value]
        meant = any(key.startswith(f"overrides.{later}") for key in origin.changed)  # by --set, to be on top
        if lost and matches(pattern, later) and not meant:
            raise PrunebenchError(
                f"{origin.field(f'overrides.{pattern}')}: its {lost[0]} is replaced by that of '{later}', which stands below it: "
                "put the general pattern first"
            )


def _overridden(override: Override) -> dict[str, object]:
    """What an override sets, by key. Epochs and steps are one key, the budget: where one is set, it replaces the other."""
    settings: dict[str, object] = override.model_dump(exclude={"training"}, exclude_unset=True)
    for key, value in override.training.model_dump(exclude_unset=True).items():
        settings["training.budget" if key in ("epochs", "steps") else f"training.{key}"] = (key, value)
    return settings


def _check_inputs(origin: _Origin, suite: Suite) -> None:
    """PrunebenchError where layer inputs are to come from pruned blocks, for the board or a method, and no such cell can have it."""
    asked = {"": suite.calibration_inputs} | {name: method.calibration_inputs for name, method in suite.methods.items()}
    pruned = {name for cell in suite.cells() if cell.calibration_inputs == "pruned" for name in ("", cell.method)}
    for name in (name for name, inputs in asked.items() if inputs == "pruned" and name not in pruned):
        field, whose = (f"methods.{name}.calibration_inputs", "method") if name else ("calibration_inputs", "board")
        raise PrunebenchError(
            f"{origin.field(field)}: found 'pruned', which no cell of this {whose} can have: it is for criteria that are calibrated "
            "on layer inputs, under one_shot, in a scope that settles each matrix by itself"
        )


def _check_cells(origin: _Origin, suite: Suite) -> None:
    """Check the cells of one seed for choices that contradict each other."""
    for cell in suite.cells():
        if cell.seed == suite.seeds[0]:
            try:
                check_spec(cell)
            except BrokenPluginError:
                continue  # said by the cell itself, which fails alone
            except PrunebenchError as error:
                raise PrunebenchError(f"{origin.whole}: {cell.cell}: {error}") from error
            except KeyboardInterrupt:
                raise
            except BaseException:
                continue  # whatever a plugin raises when it is asked, its cell tells


def _check_budgets(origin: _Origin, raw: Mapping[str, Any]) -> None:
    """PrunebenchError where a budget is null, which would otherwise become the default of three epochs."""
    for where, settings in (("", raw), *((f"overrides.{task}.", own) for task, own in _overrides(raw).items())):
        training = settings.get("training")
        for key in ("epochs", "steps"):
            if isinstance(training, dict) and key in training and training[key] is None:
                field = origin.field(f"{where}training.{key}")
                raise PrunebenchError(f"{field}: found nothing; expected a number, or no such key")


def _check_folders(origin: _Origin, suite: Suite) -> None:
    """Data folders must exist, and so must a model that is written as a path (anything else is a hub id). Commands that only look at
    a board need no more than those that they are given."""
    for name, text in dict.fromkeys(
        pair for cell in suite.cells() for pair in (("data", cell.data), ("model", cell.model))
    ):
        is_asked = name in origin.places or not only_looks()
        if names_path(name, text) and is_asked and _folder(text, Path.cwd()) is None:
            relative = name not in origin.places and not text.startswith(("/", "~"))
            looked = " (looked beside the suite and below the working directory)" if relative else ""
            raise PrunebenchError(f"{origin.field(name)}: no folder {_short(text)}{looked}; expected {PLACES[name]}")


PLACES = {"data": "mini, hub or a folder", "model": "mini, a hub id or a folder"}
"""What --data and --model may be."""


def names_path(name: str, text: str) -> bool:
    """Whether `data` or `model` is written as a path, so that it must exist; any other model is a hub id."""
    return text.startswith((".", "/", "~")) or (name == "data" and text not in MODES)


def require_place(name: str, text: str) -> None:
    """PrunebenchError where --data or --model names nothing at all."""
    if not text.removeprefix(RANDOM if name == "model" else "").strip():
        raise PrunebenchError(f"--{name} {text!r}: expected {PLACES[name]}")


def _check_task_files(origin: _Origin, raw: Mapping[str, Any]) -> None:
    """PrunebenchError where a task's file lies beside the suite alone: its path counts in ids and is kept as it is written."""
    for text in raw["tasks"] if isinstance(raw.get("tasks"), list) else ():
        location = file_of(text) if isinstance(text, str) else ""
        beside = origin.path.parent / location
        if location and not plugin_file(location) and plugin_file(str(beside)):
            raise PrunebenchError(
                f"{origin.field('tasks')}: no file {_short(location)} in the working directory. There is one beside the suite, "
                "but the path of a task's file counts in the ids of its runs and is kept as it is written: run in the suite's "
                f"folder, or write {_short(os.path.relpath(beside))}"
            )


def _explain(origin: _Origin, item: Any) -> str:
    """One pydantic error as: file or option, field, what was found, what was expected."""
    where = ".".join(str(part) for part in item["loc"]).removesuffix(".[key]")
    if item["type"] == "extra_forbidden":
        return f"{origin.of(where)}: unknown key '{where}'; {_key_meant(str(item['loc'][-1]), item['loc'][:-1])}"
    if item["type"] == "missing":
        return f"{origin.whole}: '{where}' is missing"
    found = "" if isinstance(item["input"], dict) else f"found {_short(item['input'])}: "
    return f"{origin.field(where) if where else f'{origin.whole}: suite'}: {found}{_expected(item)}"


def _key_meant(key: str, parents: tuple[Any, ...]) -> str:
    """What an unknown key below `parents` may have been meant for."""
    if meant := ELSEWHERE.get(key):
        return f"did you mean '{meant}'?"
    if not parents and key in Training.model_fields:
        return f"did you mean 'training.{key}'?"
    if parents == ("training",) and key in Suite.model_fields:
        return f"did you mean '{key}', beside training and not in it?"
    return unspaced(key) or choices(key, _fields(parents))


def _expected(item: Any) -> str:
    """What was expected instead of a value, with a remedy for the usual mistakes."""
    kind, value, place = item["type"], item["input"], ("", *item["loc"])
    field = str(place[-2] if isinstance(place[-1], int) else place[-1])
    if kind in ("dict_type", "model_type") and isinstance(value, str):
        return unspaced(value) or pydantic_reason(item)
    if kind == "literal_error":
        return choices(str(value), re.findall("'([^']+)'", item["ctx"]["expected"]))
    if kind == "list_type" and isinstance(value, (str, int, float)):
        ends = re.fullmatch(r"(\d{1,3}) ?(?:-|\.\.) ?(\d{1,3})", str(value))
        counted = range(int(ends[1]), int(ends[2]) + 1) if ends else range(value if isinstance(value, int) else 0)
        return f"expected a list: {list(counted) if field == 'seeds' and 1 < len(counted) < 10 else f'[{value}]'}"
    if kind == "too_short" and isinstance(value, list):
        return "expected one at least"
    if field == "clip" and (not value or isinstance(value, str)):
        return "expected a number above 0, or null where gradients are not clipped"
    if field == "sparsities" and kind == "float_type" and isinstance(value, str):
        return _share(value)
    if field == "sparsities" and kind == "less_than" and 2 <= value < 100:
        return f"expected a share below 1: {value / 100:g} for {value:g} %"
    return pydantic_reason(item)


def _share(text: str) -> str:
    """What a sparsity that was written as a text should have been."""
    if percent := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", text):
        return f"expected a share below 1: {float(percent[1]) / 100:g} for {percent[1]} %"
    if pattern := re.fullmatch(r"\s*(\d+):(\d+)\s*", text):
        return f'expected a share below 1; {pattern[0].strip()} is a scope: "{pattern[0].strip()}"'
    return "expected a share below 1, without quotes, such as 0.9"


def _short(value: object) -> str:
    """`value` as it would be written in YAML, shortened if it is long."""
    if value is None:
        return "nothing"
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of so many digits that Python does not write it, lists in lists
        return f"a {type(value).__name__} too long to be shown"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


BELOW: Mapping[str, type[Strict]] = {"methods": Method, "labels": Label, "tuned": TunedCell}
"""Keys whose values are checked by a class of their own, each under a name or in a list."""


def _fields(parents: tuple[Any, ...]) -> Iterable[str]:
    """Keys allowed below `parents`."""
    if "training" in parents[-1:]:
        return Training.model_fields
    if parents and parents[0] in BELOW:
        return BELOW[parents[0]].model_fields
    return Override.model_fields if parents else Suite.model_fields


def parse_changes(texts: list[str]) -> dict[str, Any]:
    """`key=value` texts of --set as a mapping; values are read as YAML."""
    changes = {}
    for text in texts:
        match = re.match(r"((?:[^=\[]|\[[^\[\]]*\])+)=(.*)", text, flags=re.DOTALL)  # no = of an option in brackets
        if not match or not match[1].strip():
            written = re.fullmatch(r"\s*([\w.]+)\s*:\s*(\S.*)", text)
            example = f"{written[1]}={written[2]}" if written else "for instance training.epochs=2"
            raise PrunebenchError(f"--set {text}: expected key=value, {example}")
        if not match[2].strip():
            raise PrunebenchError(f"--set {match[1].strip()} is left blank: expected a value")
        if match[1].strip() in changes:
            raise PrunebenchError(f"--set {match[1].strip()} is given twice: expected one value")
        changes[match[1].strip()] = load_yaml(match[2], name=f"--set {text}")
    return changes
