"""Finds the file of a module without importing anything, not even the packages above it.

`importlib.util.find_spec("a.b")` runs `a`; a command that only lists or shows plugins must run nothing.
"""

import importlib.util
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader

LARGEST = 1 << 20
"""Bytes of the largest source file that is read."""


def find_module(name: str) -> ModuleSpec | None:
    """File of the module `name`, found without importing its packages; None if there is none."""
    first, *rest = name.split(".")
    found = _top(first)
    for part in rest:
        places = list(found.submodule_search_locations or ()) if found else []
        # A folder without an __init__.py is a namespace: found too, with a place to look in and no file of its own.
        specs = (FileFinder(place, (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(part) for place in places)
        found = next((spec for spec in specs if spec is not None), None)
    return found


def _top(name: str) -> ModuleSpec | None:
    """File of a top-level module, which can be found without importing anything."""
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):  # an odd name, or a module that was put together by hand
        return None
