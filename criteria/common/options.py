"""Checks of the options of criteria, regularizers and schedules: each error names the option, what was found and what was expected."""

import dataclasses
from collections.abc import Sequence
from math import isfinite
from numbers import Integral, Real

TYPES: dict[object, tuple[type, str]] = {
    bool: (bool, "True or False"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    str: (str, "a text"),
}
"""What options of these types may hold, and how that is called."""


def require_types(options: object) -> None:
    """Raise ValueError unless every option of this dataclass is of its field's type, and finite; True is no number."""
    for field in dataclasses.fields(options):  # type: ignore[arg-type]
        value, known = getattr(options, field.name), TYPES.get(field.type)
        if known is None or value is field.default:
            continue
        kind, words = known
        if not isinstance(value, kind) or isinstance(value, bool) != (field.type is bool):
            raise ValueError(f"{field.name}={value!r}: expected {words}")
        if isinstance(value, float) and not isfinite(value):
            raise ValueError(f"{field.name}={value!r}: expected a finite number")


def require_range(name: str, value: float, low: float, high: float, *, open_high: bool = False) -> None:
    """Raise ValueError unless low <= value <= high (or < high where `open_high`)."""
    if not (low <= value < high if open_high else low <= value <= high):
        raise ValueError(f"{name}={value} is not in [{low}, {high}{')' if open_high else ']'}")


def require_at_least(name: str, value: float, low: float) -> None:
    """Raise ValueError unless value >= low."""
    if not value >= low:
        raise ValueError(f"{name}={value} is below {low}")


def require_positive(name: str, value: float) -> None:
    """Raise ValueError unless 0 < value < infinity."""
    if not 0 < value < float("inf"):
        raise ValueError(f"{name}={value} is not a finite number above 0")


def require_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise ValueError unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name}={value!r} is unknown; choices: {', '.join(choices)}")
