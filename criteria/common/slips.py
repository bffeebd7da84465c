"""Finds names in a plugin's class that were meant to be names of its base (`oberve`, `elementwize`, `observeInputs`) or options."""

import dataclasses
from collections.abc import Iterable
from difflib import get_close_matches

CLOSE = 0.8
"""Similarity from which a name counts as a slip of another."""
HARMLESS = {"label"}
"""Names of the contract that decide no number; `labels`, beside them, is a task's own word."""


def slips(cls: type, base: type) -> list[tuple[str, str]]:
    """The public names in `cls` that `base` does not have, each with the name of `base` that it nearly is.

    Options (fields of a dataclass) are compared with the settings of `base` alone: `scope` is no slip of the method `score`.
    """
    contract = {_plain(name): name for name in dir(base) if not name.startswith("_") and name not in HARMLESS}
    settings = {plain: name for plain, name in contract.items() if not callable(getattr(base, name))}
    options = {field.name for field in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else set()
    found = []
    for name in _own(cls, base):
        meant = _near(_plain(name), settings if name in options else contract)
        if meant:
            found.append((name, meant))
    return found


def untyped(cls: type, name: str) -> str:
    """How to write `name` as an option, if the class sets it without a type (`decay = 0.9`) and so has no such option; else empty."""
    value = getattr(cls, name, None)
    if type(value) not in (bool, int, float, str) or any(name in _annotated(above) for above in cls.__mro__):
        return ""
    return f"{name}: {type(value).__name__} = {value!r}"


def _own(cls: type, base: type) -> Iterable[str]:
    """Public names that the classes below `base` define or annotate, `base` and the built-in plugins left out."""
    known = {name for above in cls.__mro__ if _built_in(above, base) for name in (*vars(above), *_annotated(above))}
    own = {name for below in cls.__mro__ if not _built_in(below, base) for name in (*vars(below), *_annotated(below))}
    return sorted(name for name in own - known if not name.startswith("_"))


def _annotated(cls: type) -> Iterable[str]:
    names: dict[str, object] = vars(cls).get("__annotations__", {})
    return names


def _built_in(cls: type, base: type) -> bool:
    """Whether a class is a base of `base`, or of the package that `base` belongs to."""
    package = base.__module__.rpartition(".")[0]
    return issubclass(base, cls) or cls.__module__.startswith(f"{package}.")


def _near(name: str, names: dict[str, str]) -> str:
    if name in names:
        return names[name]
    same = [known for known in names if sorted(known) == sorted(name)]  # two letters changed places
    close = same or get_close_matches(name, names, n=1, cutoff=CLOSE)
    return names[close[0]] if close else ""


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
