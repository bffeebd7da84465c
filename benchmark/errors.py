"""Errors a user can mend: printed as one clear message, never as a stack trace."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "a text",
    "list": "a list",
    "tuple": "a list",
    "dict": "keys with values",
    "model": "keys with values",
}
"""What pydantic's kinds of values are called here."""
BOUNDS = {
    "greater_than": "more than",
    "greater_than_equal": "at least",
    "less_than": "less than",
    "less_than_equal": "at most",
}
"""What pydantic's bounds are called here."""


class PrunebenchError(Exception):
    """Bad input: the message says what was wrong, what was expected, and the choices."""


class DeviceLostError(PrunebenchError):
    """The GPU answers this process no more: what it had finished stands, another process must do the rest."""


def message_of(error: BaseException) -> str:
    """The error's own words where they were written for the user; else with its class, which says what went wrong."""
    return str(error) if isinstance(error, PrunebenchError) else f"{type(error).__name__}: {error}"


def choices(value: str, options: Iterable[str]) -> str:
    """Names the choices, and the closest one first where `value` looks like a slip of it."""
    known = sorted(options)
    alike = {name.lower(): name for name in known}
    close = get_close_matches(value.lower(), alike, n=1, cutoff=0.5)
    hint = f"did you mean '{alike[close[0]]}'? " if close else ""
    return f"{hint}choices: {', '.join(known) or 'none'}"


def pydantic_reason(error: Mapping[str, Any]) -> str:
    """What one error of pydantic's says was expected, in the words of all other messages."""
    kind = error["type"]
    if error["loc"][-1:] == ("[key]",) or kind == "invalid_key":
        return "expected a text as the name: put it in quotes"
    if kind in BOUNDS:
        bound = next(iter(error["ctx"].values()))
        return f"expected {BOUNDS[kind]} {f'{bound:g}' if isinstance(bound, float) else bound}"
    if kind == "finite_number":
        return "expected a finite number"
    if kind == "string_too_long":
        return f"expected {error['ctx']['max_length']} characters at most"
    name, _, fault = kind.partition("_")
    if name in EXPECTED and fault in ("type", "parsing", "from_float"):
        return f"expected {EXPECTED[name]}"
    return str(error["msg"].removeprefix("Value error, "))
