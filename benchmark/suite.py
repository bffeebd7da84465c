"""suite.yaml -> Suite -> RunSpecs: the grid of a board, validated before anything runs.

title: MiniLM on GLUE
model: ../../models/minilm          # hub id, folder (beside the board or absolute), or mini
data: hub                           # hub, mini, or a folder in the benchmarks' own formats
tasks: [glue/rte, glue/cola]
criteria: [magnitude, "principled[signed=true]", principled + self_regularization]
regularizers: [none]                # crossed with every criterion that names none itself
sparsities: [0.8, 0.9]
seeds: [0, 1, 2]
training: {epochs: 3, lr: 3e-5}
overrides: {glue/rte: {training: {epochs: 10}}}
"""

import copy
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator

from benchmark import registry
from benchmark.errors import PrunebenchError, choices
from benchmark.masks import parse_scope
from benchmark.readyaml import load_yaml
from benchmark.spec import DENSE, CallPoint, RunSpec, Selection, Strict, Training

HELDOUT = 0.1
"""Share of the training split kept aside where the protocol or a regularizer needs held-out scores and the suite says nothing."""

Fraction = Annotated[float, Field(gt=0, lt=1)]


def _plugin(kind: str, text: str) -> str:
    try:
        return registry.canonical(kind, text)
    except PrunebenchError as error:
        raise ValueError(str(error)) from error


class Override(Strict):
    """What may differ for the tasks that a pattern matches."""

    model: str | None = None
    data: str | None = None
    schedule: str | None = None
    scope: str | None = None
    sparsities: list[Fraction] | None = None
    training: dict[str, Any] = Field(default_factory=dict)


class Suite(Strict):
    """A board's grid and protocol; every cell shares all of it but what the grid varies."""

    title: str = ""
    model: str = "mini"
    data: str = "mini"
    tasks: Annotated[list[str], Field(min_length=1)]
    criteria: Annotated[list[str], Field(min_length=1)]
    regularizers: list[str] = Field(default=["none"], min_length=1)
    sparsities: Annotated[list[Fraction], Field(min_length=1)]
    seeds: list[Annotated[int, Field(ge=0)]] = Field(default=[0], min_length=1)
    schedule: str = "cubic"
    scope: str = "global"
    selection: Selection = "last"
    heldout: Annotated[float, Field(ge=0, le=0.5)] | None = None
    call_point: CallPoint = "before"
    training: Training = Training()
    overrides: dict[str, Override] = Field(default_factory=dict)

    @field_validator("tasks")
    @classmethod
    def _tasks(cls, texts: list[str]) -> list[str]:
        return [_plugin("tasks", text) for text in texts]

    @field_validator("criteria")
    @classmethod
    def _criteria(cls, texts: list[str]) -> list[str]:
        rows = []
        for text in texts:
            criterion, plus, regularizer = text.partition(" + ")
            row = _plugin("criteria", criterion)
            rows.append(f"{row} + {_plugin('regularizers', regularizer)}" if plus else row)
        return rows

    @field_validator("regularizers")
    @classmethod
    def _regularizers(cls, texts: list[str]) -> list[str]:
        return [_plugin("regularizers", text) for text in texts]

    @field_validator("schedule")
    @classmethod
    def _schedule(cls, text: str) -> str:
        return _plugin("schedules", text)

    @field_validator("scope")
    @classmethod
    def _scope(cls, text: str) -> str:
        try:
            return str(parse_scope(text))
        except PrunebenchError as error:
            raise ValueError(str(error)) from error

    @field_validator("tasks", "criteria", "regularizers", "sparsities", "seeds")
    @classmethod
    def _distinct(cls, values: list[Any]) -> list[Any]:
        twice = sorted({str(value) for value in values if values.count(value) > 1})
        if twice:
            raise ValueError(f"given twice: {', '.join(twice)}")
        return values

    @property
    def rows(self) -> list[tuple[str, str]]:
        """(criterion, regularizer) of every row but the dense one."""
        rows: dict[tuple[str, str], None] = {}
        for text in self.criteria:
            criterion, plus, regularizer = text.partition(" + ")
            rows.update({(criterion, r): None for r in ([regularizer] if plus else self.regularizers)})
        return list(rows)

    def cells(self) -> list[RunSpec]:
        """Every run of the board: for each task and seed the dense one first, then the grid."""
        cells: list[RunSpec] = []
        for task, seed in product(self.tasks, self.seeds):
            cells.append(self._spec(task, seed).dense())
            sparsities = self._override(task).sparsities or self.sparsities
            for (criterion, regularizer), sparsity in product(self.rows, sparsities):
                cells.append(self._spec(task, seed, criterion=criterion, regularizer=regularizer, sparsity=sparsity))
        return cells

    def _spec(
        self, task: str, seed: int, criterion: str = DENSE, regularizer: str = "none", sparsity: float = 0.0
    ) -> RunSpec:
        override = self._override(task)
        return RunSpec(
            task=task,
            model=override.model or self.model,
            data=override.data or self.data,
            criterion=criterion,
            regularizer=regularizer,
            sparsity=sparsity,
            seed=seed,
            schedule=override.schedule or self.schedule,
            scope=override.scope or self.scope,
            selection=self.selection,
            heldout=self._heldout(),
            call_point=self.call_point,
            training=Training.model_validate(_merge(self.training.model_dump(exclude_unset=True), override.training)),
        )

    def _override(self, task: str) -> Override:
        """All overrides whose pattern matches, the later ones on top."""
        merged: dict[str, Any] = {}
        for pattern, override in self.overrides.items():
            if fnmatch(task, pattern):
                training = _merge(merged.get("training", {}), override.training)
                merged |= override.model_dump(exclude_unset=True) | {"training": training}
        return Override.model_validate(merged)

    def _heldout(self) -> float:
        """Every cell of a board trains on the same examples, so one need for held-out data counts for all."""
        if self.heldout is not None:
            return self.heldout
        needed = self.selection == "heldout" or any(
            registry.configure("regularizers", regularizer).needs_score for _, regularizer in self.rows
        )
        return HELDOUT if needed else 0.0


def load_suite(path: Path, changes: Mapping[str, Any] | None = None, **places: str | None) -> Suite:
    """The suite in `path` with `changes` ("training.epochs": 2) on top and `model`, `data` replaced where given.

    PrunebenchError names file, field, value and choices. Folders are found beside the suite or where they are.
    """
    raw = load_yaml(path)
    if not isinstance(raw, dict):
        raise PrunebenchError(f"{path}: expected a mapping of settings, found {type(raw).__name__}")
    for key, value in (changes or {}).items():
        _set(raw, key, value, path)
    _locate(raw, path.parent)
    for key in ("model", "data"):
        if place := places.get(key):
            raw[key] = place
            for override in raw.get("overrides", {}).values() if isinstance(raw.get("overrides"), dict) else ():
                if isinstance(override, dict):
                    override.pop(key, None)
    try:
        suite = Suite.model_validate(raw)
        suite.cells()
    except ValidationError as error:
        raise PrunebenchError("\n".join(_explain(path, item) for item in error.errors())) from error
    _check_folders(path, suite)
    return suite


def _merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`change` on top of `base`; a budget in steps replaces one in epochs, and the other way round."""
    other = {"epochs": "steps", "steps": "epochs"}
    kept = {key: value for key, value in base.items() if other.get(key) not in change}
    return {**kept, **change}


def _set(raw: dict[str, Any], key: str, value: Any, path: Path) -> None:
    """Set the dotted `key` in the raw suite."""
    *parents, last = key.split(".")
    node = raw
    for parent in parents:
        node = node.setdefault(parent, {})
        if not isinstance(node, dict):
            raise PrunebenchError(f"{path}: cannot set '{key}': '{parent}' holds {node!r}, not settings")
    if parents == ["training"]:
        raw["training"] = _merge(node, {last: value})
    else:
        node[last] = value


def _locate(raw: dict[str, Any], folder: Path) -> None:
    """Paths relative to the board become absolute, where such a folder is there."""
    overrides = raw.get("overrides")
    for node in (raw, *(overrides.values() if isinstance(overrides, dict) else ())):
        for key in ("model", "data"):
            text = node.get(key) if isinstance(node, dict) else None
            if isinstance(text, str) and text not in ("mini", "hub"):
                place = (folder / Path(text).expanduser()).resolve()
                node[key] = str(place) if place.is_dir() else text


def _check_folders(path: Path, suite: Suite) -> None:
    """Data folders must be there; so must a model that is written as a path (anything else is a hub id)."""
    for name, text in {(n, t) for cell in suite.cells() for n, t in (("data", cell.data), ("model", cell.model))}:
        is_path = text.startswith((".", "/", "~")) or (name == "data" and text not in ("mini", "hub"))
        if is_path and not Path(text).expanduser().is_dir():
            raise PrunebenchError(
                f"{path}: {name}: no folder '{text}' (looked beside the suite and below the working directory); "
                f"expected mini, {'hub' if name == 'data' else 'a hub id'} or a folder"
            )


def _explain(path: Path, item: Any) -> str:
    """One pydantic error as: file, field, what was found, what was expected."""
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        key, parents = str(item["loc"][-1]), item["loc"][:-1]
        return f"{path}: unknown key '{where}'; {choices(key, _fields(parents))}"
    if item["type"] == "missing":
        return f"{path}: '{where}' is missing"
    found = "" if isinstance(item["input"], dict) else f"found {item['input']!r}: "
    return f"{path}: {where or 'suite'}: {found}{item['msg'].removeprefix('Value error, ')}"


def _fields(parents: tuple[Any, ...]) -> Iterator[str]:
    """Keys allowed below `parents`."""
    below: dict[str, type[Strict]] = {"training": Training, "overrides": Override}
    yield from (below.get(str(parents[0]), Suite) if parents else Suite).model_fields


def parse_changes(texts: list[str]) -> dict[str, Any]:
    """`key=value` texts of --set as a mapping; values are read as YAML."""
    changes = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise PrunebenchError(f"--set {text}: expected key=value, for instance training.epochs=2")
        changes[key.strip()] = copy.deepcopy(load_yaml(value, name=f"--set {text}"))
    return changes
