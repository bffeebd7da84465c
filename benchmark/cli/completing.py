"""Completes names of plugins in the shell, which completes files and boards by itself."""

from benchmark.plugins import classes
from benchmark.plugins.catalogue import catalogue


def plugins(incomplete: str) -> list[str]:
    """Plugins of all kinds, in the spellings that a name may have."""
    return [name for kind in classes.KINDS for name in _names(kind) if name.startswith(incomplete)]


def criteria(incomplete: str) -> list[str]:
    """Criteria, as a row may name them."""
    return [name for name in _names("criteria") if name.startswith(incomplete)]


def _names(kind: str) -> list[str]:
    return [name.removesuffix("*") for entry in catalogue(kind) for name in entry.full_names]
