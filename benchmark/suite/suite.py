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
gate: 10                            # points above its floor that a task's dense runs must score for it to count

A row with a scope or a schedule of its own is a method: `methods` says what it is, and `criteria` lists it by its name.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from functools import cached_property
from itertools import product
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, field_validator, model_validator

from benchmark.errors import PrunebenchError, choices
from benchmark.plugins import registry
from benchmark.plugins.labels import labelled
from benchmark.plugins.spelling import spaced
from benchmark.pruning.masks import parse_scope
from benchmark.suite.identity import plugins_of
from benchmark.suite.labels import Label, Labels, method_of, require_apart, rows_named, spelled_as_recorded
from benchmark.suite.parts import (
    NAME,
    Method,
    Override,
    Place,
    Schedule,
    Scope,
    Sparsities,
    TunedCell,
    distinct,
    known_plugin,
    known_row,
    told_apart,
)
from benchmark.suite.spec import (
    DENSE,
    GATE,
    CallPoint,
    Heldout,
    Inputs,
    Precision,
    Real,
    RunSpec,
    Seed,
    Selection,
    Strict,
    Training,
)
from criteria.base import Criterion

MOST = 1_000_000
"""Cells of one board at most."""

Names = Annotated[list[str], Field(min_length=1, max_length=10_000)]


def _points(gate: float) -> float:
    if 0 < gate < 1:
        raise ValueError(f"less than a point: expected 0, or points from 1 on, such as {100 * gate:g}")
    return gate


HELDOUT = 0.1
"""Share of the training split held out by default, if the protocol or a regularizer needs held-out scores."""


class Suite(Strict):
    """A board's grid and protocol: the cells differ in what the grid varies, and share the rest."""

    title: Annotated[str, StringConstraints(strip_whitespace=True)] = ""
    model: Place = "mini"
    data: Place = "mini"
    tasks: Names
    methods: dict[str, Method] = Field(default_factory=dict, max_length=1000)
    """Rows by name that have a scope or a schedule of their own."""
    criteria: Names
    regularizers: Names = Field(default=["none"])
    sparsities: Sparsities
    seeds: list[Seed] = Field(default=[0], min_length=1)
    schedule: Schedule = "gradual"
    scope: Scope = "global"
    selection: Selection = "last"
    heldout: Heldout | None = None
    call_point: CallPoint = "before"
    calibration_inputs: Inputs | None = None
    """Where nothing is said, `pruned` for built-in criteria that are calibrated on layer inputs, under `one_shot`."""
    precision: Precision = "fp32"
    training: Training = Training()
    overrides: dict[str, Override] = Field(default_factory=dict, max_length=1000)
    gate: Annotated[Real, Field(ge=0, le=100), AfterValidator(_points)] = GATE
    """A task counts in ranks, averages and tests where every dense run's headline metric is at least so many points above the
    floor (0 where a task has none); for perplexity, so many hundredths of a nat below it. It is declared before the board runs,
    changes no run, and so no id."""
    labels: Labels = Field(default_factory=dict, max_length=1000)
    """Display names of tasks, criteria, regularizers and rows in tables and figures; they do not affect ids."""
    tuned: list[TunedCell] = Field(default_factory=list)
    """If given, the board has these cells and the dense ones, and no others."""

    @field_validator("tasks")
    @classmethod
    def _tasks(cls, texts: list[str]) -> list[str]:
        return [known_plugin("tasks", text) for text in texts]

    @field_validator("methods")
    @classmethod
    def _named(cls, methods: dict[str, Method]) -> dict[str, Method]:
        for name in methods:
            if not NAME.fullmatch(name) or name.endswith("(tuned)"):
                raise ValueError(
                    f"'{name}' is no name for a method: expected words of letters, digits, spaces and . ( ) = % _ -, "
                    "60 characters at most, without '(tuned)' at the end"
                )
            if name.lower() in ("none", "best"):
                raise ValueError(f"'{name}' says something else in options and tables; call the method otherwise")
            what = ""
            if meant := labelled("criteria", name):
                what = f"is what tables call the criterion '{meant}'"
            if name.lower() in (DENSE, *map(str.lower, registry.names("criteria"))):
                what = "is a criterion's name"
            if what:
                raise ValueError(f"'{name}' {what}; call the method otherwise, for instance '{name} as published'")
        return methods

    @field_validator("criteria")
    @classmethod
    def _criteria(cls, texts: list[str], info: ValidationInfo) -> list[str]:
        if "methods" not in info.data:
            return texts  # something is wrong with them, and will be said
        methods = info.data["methods"]
        rows = []
        for text in texts:
            criterion, plus, regularizer = (part.strip() for part in spaced(text).partition(" + "))
            row = criterion if criterion in methods else known_row(criterion, methods)
            rows.append(f"{row} + {known_plugin('regularizers', regularizer)}" if plus else row)
        return rows

    @field_validator("regularizers")
    @classmethod
    def _regularizers(cls, texts: list[str]) -> list[str]:
        return [known_plugin("regularizers", text) for text in texts]

    @field_validator("tasks", "criteria", "regularizers", "seeds")
    @classmethod
    def _once(cls, values: list[Any]) -> list[Any]:
        return told_apart(distinct(values))

    @field_validator("overrides")
    @classmethod
    def _patterns(cls, overrides: dict[str, Override], info: ValidationInfo) -> dict[str, Override]:
        tasks = info.data.get("tasks", ())
        kept = {}
        for pattern, override in overrides.items():
            if not tasks or any(matches(task, pattern) for task in tasks):
                kept[pattern] = override
            elif not any(matches(task, pattern) for task in _replaced(info, "tasks")):
                raise ValueError(f"'{pattern}' matches no task of this suite; {choices(pattern, tasks)}")
        return kept

    @field_validator("labels")
    @classmethod
    def _labelled(cls, labels: dict[str, Label], info: ValidationInfo) -> dict[str, Label]:
        """The labels by the names in records."""
        if not {"model", "tasks", "criteria", "regularizers"} <= info.data.keys():
            return labels  # something else is wrong, and will be said
        return spelled_as_recorded(labels, info.data, [*_replaced(info, "criteria"), *_replaced(info, "tasks")])

    @model_validator(mode="after")
    def _bounded(self) -> "Suite":
        others = [override.sparsities for override in self.overrides.values() if override.sparsities]
        longest = max(map(len, (self.sparsities, *others)))
        rows = len(self.criteria) * len(self.regularizers)
        if (cells := len(self.tasks) * len(self.seeds) * (1 + rows * longest)) > MOST:
            raise ValueError(f"up to {cells} cells, expected {MOST} at most")
        return self

    @model_validator(mode="after")
    def _known(self) -> "Suite":
        places = set()
        for cell in self.tuned:
            name = f"tuned: {cell.task} {method_of(cell.row, cell.regularizer)}"
            if cell.task not in self.tasks or (cell.row, cell.regularizer) not in self.rows or not cell.trials:
                raise ValueError(f"{name} is no row of this suite that was tuned")
            if cell.sparsity not in (known := self._sparsities(self._override(cell.task))):
                raise ValueError(f"{name} is at sparsity {cell.sparsity:g}, expected {' or '.join(map(str, known))}")
            of_row = self.methods[cell.row].criterion if cell.row in self.methods else cell.row
            plugin, found = (text.partition("[")[0].strip() for text in (of_row, cell.criterion))
            if found != plugin:
                raise ValueError(f"{name} has the criterion {cell.criterion}, expected {plugin} with its options")
            if cell.place in places:
                raise ValueError(f"{name} at sparsity {cell.sparsity:g} is given twice, expected one result of tuning")
            places.add(cell.place)
        return self

    @cached_property
    def rows(self) -> list[tuple[str, str]]:
        """(criterion or method, regularizer) of every row but the dense one."""
        return rows_named(self.criteria, self.regularizers)

    @model_validator(mode="after")
    def _rows_told_apart(self) -> "Suite":
        require_apart(self.rows, self.tasks, self.labels)
        return self

    def cells(self) -> list[RunSpec]:
        """Every run of the board: for each task and seed the dense one first, then the grid."""
        return list(self._grid)

    @cached_property
    def _grid(self) -> list[RunSpec]:
        """All cells. Those of the first seed are validated; the others are copies with another seed."""
        cells: list[RunSpec] = []
        for task in self.tasks:
            of_task = self._of_task(task)
            cells += [cell.with_seed(seed) for seed in self.seeds for cell in of_task]
        return cells

    def _of_task(self, task: str) -> list[RunSpec]:
        """The cells of one task, of the first seed."""
        override = self._override(task)
        training = Training.model_validate(on_top(_given(self.training), _given(override.training)))
        cells = [self._spec(task, override, training, DENSE, "none", 0.0).dense()]
        for (row, regularizer), sparsity in product(self.rows, self._sparsities(override)):
            spec = self._spec(task, override, training, row, regularizer, sparsity)
            found = self._found.get((task, row, regularizer, sparsity))
            cells += [found.applied(spec)] if found else [] if self._found else [spec]
        return cells

    @cached_property
    def _found(self) -> dict[tuple[str, str, str, float], TunedCell]:
        return {cell.place: cell for cell in self.tuned}

    def _spec(
        self, task: str, override: Override, training: Training, row: str, regularizer: str, sparsity: float
    ) -> RunSpec:
        method = self.methods.get(row, Method.model_construct(criterion=row))
        criterion, schedule = method.criterion, method.schedule or override.schedule or self.schedule
        scope = method.scope or override.scope or self.scope
        inputs = method.calibration_inputs or self.calibration_inputs
        return RunSpec(
            task=task,
            model=override.model or self.model,
            data=override.data or self.data,
            criterion=criterion,
            regularizer=regularizer,
            sparsity=sparsity,
            seed=self.seeds[0],
            schedule=schedule,
            scope=scope,
            selection=self.selection,
            heldout=self._kept_aside,
            call_point=self.call_point,
            calibration_inputs=inputs_of(inputs, criterion, schedule, scope),
            precision=self.precision,
            training=training,
            plugins=plugins_of(task, criterion, regularizer, schedule),
            method=row if row in self.methods else "",
        )

    def _override(self, task: str) -> Override:
        """All overrides whose pattern matches, later ones on top of earlier ones."""
        merged: dict[str, Any] = {}
        for pattern, override in self.overrides.items():
            if matches(task, pattern):
                training = on_top(merged.get("training", {}), _given(override.training))
                merged |= _given(override) | {"training": training}
        return Override.model_validate(merged)

    def _sparsities(self, override: Override) -> list[float]:
        return override.sparsities or self.sparsities

    @cached_property
    def _kept_aside(self) -> float:
        """The held-out share, the same for all cells, so that all train on the same examples."""
        if self.heldout is not None:
            return self.heldout
        needed = self.selection == "heldout" or any(
            registry.asks(regularizer, "needs_score") for _, regularizer in self.rows
        )
        return HELDOUT if needed else 0.0


def inputs_of(asked: Inputs | None, criterion: str, schedule: str, scope: str) -> Inputs:
    """Which layer inputs the cell is calibrated on. Cells that need none get `dense`, the default, which ids leave out."""
    if asked == "dense" or schedule.partition("[")[0] != "one_shot" or parse_scope(scope).shares is None:
        return "dense"
    if registry.is_builtin("criteria", criterion):
        plugin: Criterion = registry.configure("criteria", criterion)
        return "pruned" if plugin.overrides("observe_inputs") else "dense"
    return asked or "dense"  # a plugin's file may not be run here, and its cells have the same ids everywhere


def _replaced(info: ValidationInfo, field: str) -> list[str]:
    """The rows or tasks that the suite's file lists, where --set gives others: its labels and overrides may still name them."""
    given = (info.context or {}).get(field)
    return [text for text in given if isinstance(text, str)] if isinstance(given, list) else []


def matches(text: str, pattern: str) -> bool:
    """Whether `pattern`, a name itself or with * and ?, matches `text`; brackets may be those of a plugin's options."""
    return text == pattern or fnmatch(text, pattern) or fnmatch(text, pattern.replace("[", "[[]"))


def no_cell(only: str, tasks: Iterable[str]) -> PrunebenchError:
    """What is raised where the pattern `only` matches no cell of a board or several."""
    return PrunebenchError(f"--only '{only}' matches no cell; tasks: {', '.join(dict.fromkeys(tasks))}")


def _given(settings: Strict) -> dict[str, Any]:
    """The settings that were given, without defaults."""
    return settings.model_dump(exclude_unset=True)


def on_top(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`base` updated with `change`; a budget in steps replaces one in epochs, and vice versa."""
    other = {"epochs": "steps", "steps": "epochs"}
    kept = {key: value for key, value in base.items() if other.get(key) not in change}
    return {**kept, **change}
