"""What a suite is made of, each part checked by itself: names of plugins, sparsities, overrides, methods, tuned cells."""

import re
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator

from benchmark.errors import PrunebenchError, choices
from benchmark.plugins.broken import BrokenPluginError
from benchmark.plugins.spelling import canonical
from benchmark.pruning.masks import parse_scope
from benchmark.suite.spec import (
    RANDOM,
    Inputs,
    Rate,
    Real,
    RunSpec,
    Strict,
    Training,
    Tuned,
    portable_row,
)


def known_plugin(kind: str, text: str) -> str:
    """A configured plugin in its canonical spelling; ValueError names the choices. A broken one stays as it is written."""
    try:
        return canonical(kind, text)
    except BrokenPluginError:
        return text.strip()  # its cells will fail with its traceback, the others run
    except PrunebenchError as error:
        raise ValueError(str(error)) from error


def _scope(text: str) -> str:
    try:
        return str(parse_scope(text))
    except PrunebenchError as error:
        raise ValueError(str(error)) from error


def distinct(values: list[Any]) -> list[Any]:
    """`values`; ValueError where one is given twice."""
    twice = sorted(str(value) for value, times in Counter(values).items() if times > 1)
    if twice:
        raise ValueError(f"given twice: {', '.join(twice)}")
    return values


def told_apart(values: list[Any]) -> list[Any]:
    """`values`, unless two of them differ only in the folder of a plugin's file, which records and tables leave out."""
    names = [portable_row(str(value)) for value in values]
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise ValueError(f"two files are called {', '.join(twice)}: rename one, or their rows could not be told apart")
    return values


def _shown_apart(values: list[float]) -> list[float]:
    """`values`, unless two of them are written alike in tables, which give a percentage in six digits."""
    seen: dict[str, float] = {}
    for value in values:
        other = seen.setdefault(f"{100 * value:.6g} %", value)
        if other != value:
            raise ValueError(
                f"{other!r} and {value!r} are both shown as {100 * value:.6g} %: their rows could not be told apart"
            )
    return values


Schedule = Annotated[str, AfterValidator(partial(known_plugin, "schedules"))]
Scope = Annotated[str, AfterValidator(_scope)]
Sparsities = Annotated[
    list[Annotated[Real, Field(gt=0, lt=1)]],
    Field(min_length=1, max_length=10_000),
    AfterValidator(distinct),
    AfterValidator(_shown_apart),
]


def _place(text: str) -> str:
    if not text.removeprefix(RANDOM).strip():
        raise ValueError("names nothing: expected mini, hub (data), a hub id (model) or a folder")
    return text


Place = Annotated[str, AfterValidator(_place)]
"""A model or where data lie."""


class Override(Strict):
    """What may differ for the tasks that a pattern matches."""

    model: Place | None = None
    data: Place | None = None
    schedule: Schedule | None = None
    scope: Scope | None = None
    sparsities: Sparsities | None = None
    training: Training = Training()


NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 .()=%_-]{0,58}[A-Za-z0-9.)%])?")
"""Names that a method may have."""


class Method(Strict):
    """A named row: a criterion with its own scope or schedule in place of the board's."""

    criterion: str
    scope: Scope | None = None
    schedule: Schedule | None = None
    calibration_inputs: Inputs | None = None

    @field_validator("criterion")
    @classmethod
    def _criterion(cls, text: str) -> str:
        if " + " in text:
            raise ValueError("a method is a criterion alone: name the regularizer where criteria lists the method")
        return known_plugin("criteria", text)


class TunedCell(Tuned):
    """The result of tuning a row at one task and sparsity; written by `prunebench tune`."""

    task: str
    regularizer: str = "none"
    sparsity: Annotated[Real, Field(gt=0, lt=1)]
    criterion: str
    """The row's criterion with the options that were found."""
    lr: Rate
    found_lr: Rate

    @property
    def place(self) -> tuple[str, str, str, float]:
        """Task, row, regularizer and sparsity that it was tuned for."""
        return (self.task, self.row, self.regularizer, self.sparsity)

    def applied(self, spec: RunSpec) -> RunSpec:
        """`spec` with the tuned options and learning rate."""
        tuned = Tuned(**{name: getattr(self, name) for name in Tuned.model_fields})
        training = spec.training.model_copy(update={"lr": self.found_lr})
        return spec.model_copy(update={"criterion": self.criterion, "training": training, "tuned": tuned})


def known_row(text: str, methods: Mapping[str, Method]) -> str:
    """A criterion of `criteria` in its canonical spelling; ValueError names the choices, methods of this suite included."""
    try:
        return known_plugin("criteria", text)
    except ValueError as error:
        if not methods:
            raise
        raise ValueError(
            f"{error}. Methods of this suite: {choices(text, methods).replace('choices: ', '')}"
        ) from error
