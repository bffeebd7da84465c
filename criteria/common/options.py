"""Checks of a criterion's options: each error names the option, what was found and what was expected."""

from collections.abc import Sequence


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
