"""`prunebench check`: holds a plugin, by name or file, against the contract of its kind."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from benchmark import registry
from benchmark.broken import own_traceback
from benchmark.errors import PrunebenchError, choices

CONTRACTS = {
    "criteria": ("criteria.checks", "check_criterion"),
    "regularizers": ("criteria.regularizers.checks", "check_regularizer"),
    "schedules": ("benchmark.schedules.checks", "check_schedule"),
    "tasks": ("tasks.checks", "check_task"),
}


@dataclass(frozen=True)
class Verdict:
    """One check: what was seen, or what failed and what to do."""

    name: str
    passed: bool
    words: str


def verdicts(
    text: str, kind: str | None = None, data: str | None = None, model: str | None = None
) -> tuple[str, list[Verdict]]:
    """As `check`, but failures are told rather than raised; a criterion's checks all run, whichever fails."""
    kind = kind or kind_of(text)
    if kind == "criteria" and data is None and model is None:
        plugin = registry.configure(kind, text)
        checks: dict[str, Callable[[Any], str]] = import_module(CONTRACTS[kind][0]).CHECKS
        return kind, [_verdict(name, one, plugin) for name, one in checks.items()]
    try:
        return kind, [Verdict(name, True, seen) for name, seen in check(text, kind, data, model)[1]]
    except PrunebenchError:
        raise
    except Exception as error:
        return kind, [Verdict("contract", False, _advice(error))]


def _verdict(name: str, one: Callable[[Any], str], plugin: object) -> Verdict:
    try:
        return Verdict(name, True, one(plugin))
    except Exception as error:
        return Verdict(name, False, _advice(error))


def _advice(error: Exception) -> str:
    """What an assertion says; of any other error, where in the plugin it comes from."""
    return str(error) if isinstance(error, AssertionError) and str(error) else f"it raises\n{own_traceback(error)}"


def check(
    text: str, kind: str | None = None, data: str | None = None, model: str | None = None
) -> tuple[str, list[tuple[str, str]]]:
    """The kind of the plugin `text` and its passed checks with what was seen; AssertionError says what to do.

    `data` and `model` are what a task is tried on, where the embedded ones are not for it.
    """
    kind = kind or kind_of(text)
    places = {name: place for name, place in (("data", data), ("model", model)) if place is not None}
    if places and kind != "tasks":
        raise PrunebenchError(f"'{text}' is checked without data or model; {' and '.join(places)} are for tasks")
    plugin = registry.configure(kind, text)
    module, function = CONTRACTS[kind]
    contract: Callable[..., list[tuple[str, str]]] = getattr(import_module(module), function)
    return kind, contract(plugin, **places)


def kind_of(text: str) -> str:
    """Which kind of plugin has this name, or is defined in this file; PrunebenchError where none or several do."""
    name, _ = registry.parse(text)
    if name.partition(":")[0].endswith(".py"):
        return _kind_of_file(text, name)
    kinds = [kind for kind in registry.KINDS if name.partition("/")[0] in registry.names(kind)]
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        raise PrunebenchError(f"'{name}' names plugins of several kinds; choose one with --kind: {', '.join(kinds)}")
    known = [known for kind in registry.KINDS for known in registry.names(kind)]
    raise PrunebenchError(f"no plugin is called '{name}'; {choices(name, known)}")


def _kind_of_file(text: str, name: str) -> str:
    reasons = []
    for kind in registry.KINDS:
        try:
            registry.load(kind, name)
        except PrunebenchError as error:
            reasons.append(str(error))
        else:
            return kind
    raise PrunebenchError(f"'{text}' is no plugin of any kind:\n" + "\n".join(dict.fromkeys(reasons)))
