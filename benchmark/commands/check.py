"""`prunebench check`: checks a plugin, by name or file, against the contract of its kind."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from benchmark.errors import PrunebenchError, choices
from benchmark.plugins import classes, registry
from benchmark.plugins.broken import origin, own_traceback
from benchmark.plugins.files import file_called, is_file
from benchmark.suite.read import PLACES, names_path, require_place

CONTRACTS = {
    "criteria": ("criteria.checks.criterion", "check_criterion"),
    "regularizers": ("criteria.checks.regularizer", "check_regularizer"),
    "schedules": ("benchmark.pruning.schedules.checks", "check_schedule"),
    "tasks": ("tasks.checks.task", "check_task"),
}


@dataclass(frozen=True)
class Verdict:
    """The result of one check: what was seen, or what failed and what to do."""

    name: str
    passed: bool
    words: str

    @property
    def state(self) -> str:
        """The result as one word of seven letters."""
        return "skipped" if self.skipped else "passed " if self.passed else "FAILED "

    @property
    def skipped(self) -> bool:
        """Whether the check does not apply to this plugin, or could not be run."""
        return self.passed and self.words.startswith("skipped")


def verdicts(
    text: str, kind: str | None = None, data: str | None = None, model: str | None = None
) -> tuple[str, list[Verdict]]:
    """The kind of the plugin `text` and the result of every check; all run, even if one fails.

    `data` and `model` are what a task is checked on, if the embedded ones do not suit it.
    """
    kind, checks = _checks(text, kind, data, model)
    told: list[Verdict] = []
    seen: dict[str, str] = {}
    for name, one in checks.items():
        try:
            told.append(Verdict(name, True, one()))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever the plugin raises
            first = seen.setdefault(_fault(error, name), name)
            told.append(Verdict(name, False, _advice(error) if first == name else f"as {first}, above"))
    return kind, told


def _fault(error: BaseException, check: str) -> str:
    """A key that is equal for one fault met twice, also on another toy task and with other numbers: an assertion's message without
    these, else the place in the plugin that raised it."""
    if isinstance(error, AssertionError) and str(error):
        task = check.rpartition(": ")[0]
        return re.sub(r"\d\S*|nan|inf", "", str(error).replace(task, "") if task else str(error))
    return origin(error)


def _advice(error: BaseException) -> str:
    """The message of an assertion; for any other error, where in the plugin it comes from."""
    return str(error) if isinstance(error, AssertionError) and str(error) else f"it raises\n{own_traceback(error)}"


def _checks(
    text: str, kind: str | None, data: str | None, model: str | None
) -> tuple[str, dict[str, Callable[[], str]]]:
    kind = kind or kind_of(text)
    places = {name: place for name, place in (("data", data), ("model", model)) if place is not None}
    if places and kind != "tasks":
        raise PrunebenchError(f"'{text}' is checked without data or model: only tasks take {' and '.join(places)}")
    for name, place in places.items():
        require_place(name, place)
        if names_path(name, place) and not Path(place).expanduser().exists():
            raise PrunebenchError(f"--{name}: no folder {place!r}; expected {PLACES[name]}")
    checks_of: Callable[..., dict[str, Callable[[], str]]] = import_module(CONTRACTS[kind][0]).checks_of
    return kind, checks_of(registry.configure(kind, text), **places)


def kind_of(text: str) -> str:
    """The kind of the plugin of this name or in this file; PrunebenchError if there is none or several."""
    name, _ = registry.parse(text)
    if is_file(name):
        return classes.kind_in_file(name)
    kinds = [kind for kind in classes.KINDS if name.partition("/")[0] in registry.names(kind)]
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        raise PrunebenchError(f"'{name}' names plugins of several kinds; choose one with --kind: {', '.join(kinds)}")
    known = [known for kind in classes.KINDS for known in registry.names(kind)]
    meant = file_called(name)
    hint = f"did you mean '{meant}'? choices: {', '.join(sorted(known))}" if meant else choices(name, known)
    raise PrunebenchError(f"no plugin is called '{name}'; {hint}")
