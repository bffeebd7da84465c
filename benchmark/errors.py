"""Errors a user can mend: printed as one clear message, never as a stack trace."""

from collections.abc import Iterable
from difflib import get_close_matches


class PrunebenchError(Exception):
    """Bad input: the message says what was wrong, what was expected, and the choices."""


class DeviceLostError(PrunebenchError):
    """The GPU answers this process no more: what it had finished stands, another process must do the rest."""


def choices(value: str, options: Iterable[str]) -> str:
    """Names the choices, and the closest one first where `value` looks like a slip of it."""
    known = sorted(options)
    close = get_close_matches(value, known, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}choices: {', '.join(known) or 'none'}"
