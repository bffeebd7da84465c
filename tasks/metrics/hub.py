"""Metrics of the evaluate hub, named in a task's options: `evaluate:bertscore`, `evaluate:chrf?word_order=2`, a local folder.

What a metric returns is taken as it is, in its own unit: `bertscore_f1`, `meteor`. A list with a number per example becomes an
outcome (`extra_bertscore_f1`), whose mean is the metric, and which paired tests can resample; a single number of the whole
corpus is a metric alone. A metric that knows only one reference gets the first. What predictions are, the task says: class
numbers, answers, tags or texts; a metric whose inputs are others is an error of the library that says so. Where a name is the
task's own metric already, the hub's is called `hub_accuracy`.

The hub's code is fetched and run when a metric is first asked for; an offline machine must hold it in its cache.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from tasks.base import Outcomes, TaskError

PREFIX = "evaluate:"

DEFAULTS: Mapping[str, Mapping[str, Any]] = {"bertscore": {"lang": "en"}}
"""Arguments that a metric cannot do without."""


@dataclass(frozen=True)
class HubMetric:
    """One metric of the hub and the arguments of its `compute`."""

    name: str
    arguments: Mapping[str, Any]

    @property
    def short(self) -> str:
        """What its results are called by."""
        return Path(self.name).name

    @cached_property
    def module(self) -> Any:
        """The metric's code, loaded now; TaskError with the reason where it cannot be had."""
        import evaluate

        try:
            return evaluate.load(self.name)
        except Exception as error:  # the library's, the network's and missing packages' errors alike
            raise TaskError(f"cannot load metric {PREFIX}{self.name}: {type(error).__name__}: {error}") from error

    def compute(self, predictions: Sequence[Any], references: Sequence[Sequence[Any]]) -> dict[str, Any]:
        """Numbers, or lists of a number per example, by name; whatever else the metric returns is left out."""
        golds = [list(group) if self._takes_several else group[0] for group in references]
        try:
            found = self.module.compute(predictions=list(predictions), references=golds, **self.arguments)
        # Wrong kinds of inputs, wrong arguments, missing packages: whatever the script raises.
        except Exception as error:
            raise TaskError(f"metric {PREFIX}{self.name} fails: {type(error).__name__}: {error}") from error
        found = found if isinstance(found, dict) else {self.short: found}  # some return their number alone
        named = {key if key == self.short else f"{self.short}_{key}": value for key, value in found.items()}
        kept = {key: value for key, value in named.items() if _is_number(value) or _is_column(value, len(predictions))}
        if not kept:
            raise TaskError(f"metric {PREFIX}{self.name} gives no number, only {', '.join(named) or 'nothing'}")
        return kept

    @property
    def _takes_several(self) -> bool:
        from datasets import Value

        features = self.module.features
        kinds = features if isinstance(features, list) else [features]
        return any(not isinstance(kind["references"], Value) for kind in kinds)


def parse(extra: str) -> list[HubMetric]:
    """The metrics of `evaluate:NAME?argument=value&...` joined by `+`; TaskError where a part is not of that form, or a name stands
    twice, for the results of one would replace those of the other."""
    found: list[HubMetric] = []
    for part in filter(None, extra.split("+")):
        if not part.startswith(PREFIX) or part == PREFIX:
            raise TaskError(f"extra metric {part!r}; expected {PREFIX}NAME, for instance {PREFIX}bertscore")
        name, _, query = part.removeprefix(PREFIX).partition("?")
        pairs = parse_qsl(query, keep_blank_values=True)
        given = {key: _value(text) for key, text in pairs}
        if not all(text for _, text in pairs) or len(given) < len(pairs):
            raise TaskError(f"extra metric {part!r}: expected argument=value behind the ?, joined by &, each once")
        found.append(HubMetric(name, {**DEFAULTS.get(name, {}), **given}))
        if found[-1].short in [other.short for other in found[:-1]]:
            raise TaskError(
                f"two extra metrics are called {found[-1].short!r}, as their results would be: name one of them"
            )
    return found


def means(outcomes: Outcomes) -> dict[str, float]:
    """The mean of every `extra_*` column, in its own unit: what a task's `aggregate` adds to its own metrics."""
    return {
        name.removeprefix("extra_"): float(value.mean())
        for name, value in outcomes.items()
        if name.startswith("extra_")
    }


def hub_scores(
    metrics: Sequence[HubMetric],
    predictions: Sequence[Any],
    references: Sequence[Sequence[Any]],
    taken: Collection[str] = (),
) -> tuple[Outcomes, dict[str, float]]:
    """(outcomes named `extra_*` [examples], numbers of the whole corpus) of every metric; `taken` are names of the task's own."""
    columns: Outcomes = {}
    numbers: dict[str, float] = {}
    for metric in metrics:
        for found, value in metric.compute(predictions, references).items():
            name = f"hub_{found}" if found in taken else found
            if _is_number(value):
                numbers[name] = float(value)
            else:
                columns[f"extra_{name}"] = np.asarray(value, dtype=np.float64)
    return columns, numbers


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _is_number(value: Any) -> bool:
    return isinstance(value, Real | np.number) and not isinstance(value, bool)


def _is_column(value: Any, length: int) -> bool:
    return isinstance(value, Sequence | np.ndarray) and len(value) == length and all(_is_number(one) for one in value)
