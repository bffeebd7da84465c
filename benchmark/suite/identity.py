"""Which third-party plugins a run uses: distribution, version and a hash of the source, so that a changed plugin is a new cell.

Built-in plugins have no identity of their own: the commit in the record's environment says which they are.
"""

import hashlib
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path

from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from benchmark.plugins.files import file_of, plugin_file
from benchmark.plugins.locate import find_module
from benchmark.suite.spec import Plugins, RunSpec

DIGITS = 16
"""Hex digits of the hash that are kept."""


def plugins_of(task: str, criterion: str, regularizer: str, schedule: str) -> Plugins:
    """Identity of each plugin of a cell; empty if it is built in."""
    return Plugins(
        task=identity("tasks", task),
        criterion=identity("criteria", criterion),
        regularizer=identity("regularizers", regularizer),
        schedule=identity("schedules", schedule),
    )


def identified(spec: RunSpec) -> RunSpec:
    """`spec` with its plugins' identities; PrunebenchError if it already has others, because a plugin has changed since."""
    found = plugins_of(spec.task, spec.criterion, spec.regularizer, spec.schedule)
    if spec.plugins not in (Plugins(), found):
        raise PrunebenchError(
            f"{spec.cell}: a plugin changed since this cell was planned ({_said(spec.plugins)}, now {_said(found)}): "
            "read the suite again, and the changed plugin is a new cell"
        )
    return spec.model_copy(update={"plugins": found})


@cache
def identity(kind: str, text: str) -> str:
    """`distribution version hash` of a plugin from a package, `hash` of one from a file, empty for a built-in or unknown one.

    Cached like the loaded class, so that both are of the same moment.
    """
    name, _ = registry.parse(text)
    if location := file_of(name):
        path = plugin_file(location)
        return _digest([path]) if path else ""
    owners = registry.foreign(kind, name.partition("/")[0])
    if len(owners) != 1:
        return ""
    owner = owners[0]
    dist = f"{owner.dist.name} {owner.dist.version}" if owner.dist else "unknown"
    return f"{dist} {_digest(sources(owner))}"


def sources(point: EntryPoint) -> list[Path]:
    """Python files of the package or module that an entry point names, found without importing it."""
    parts = point.module.split(".")
    for depth in range(1, len(parts) + 1):
        spec = find_module(".".join(parts[:depth]))
        if spec is None:
            return []
        if spec.origin:  # else a namespace, which belongs to several distributions: look below it
            path = Path(spec.origin)
            return sorted(path.parent.rglob("*.py")) if spec.submodule_search_locations else [path]
    return []


def _digest(paths: list[Path]) -> str:
    """Hash of relative names and contents, which does not depend on where the package is installed."""
    root = min((path.parent for path in paths), key=lambda parent: len(parent.parts), default=Path())
    lines = [f"{path.relative_to(root).as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}" for path in paths]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:DIGITS]


def _said(plugins: Plugins) -> str:
    return ", ".join(f"{name} {value}" for name, value in plugins if value) or "built-in ones"
