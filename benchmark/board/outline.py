"""The outline of a board: ids, tasks and names of its cells, remembered for large boards.

Expanding a suite loads every plugin that it names, and with them torch; what is done and what is left can be told without. The
outline in .cache/outline.json counts only while everything that it was made from is as it was: the suite's text, the command
line's changes, this package's files, the installed plugins, the folders that the suite names. It can be deleted at any time.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from benchmark.errors import PrunebenchError
from benchmark.machine.atomic import write_bytes
from benchmark.suite.spec import Plugins

WORTH = 5000
"""Cells from which on an outline is kept."""
PACKAGES = ("benchmark", "criteria", "tasks")
GROUPS = ("prunebench.criteria", "prunebench.regularizers", "prunebench.schedules", "prunebench.tasks")


@dataclass(frozen=True)
class Outline:
    """What `status` needs of a suite's cells, in their order."""

    key: str
    """Hash of what it was made from."""
    tasks: list[str]
    cells: list[tuple[str, int, str]]
    """Id, position of the task, readable name."""
    places: dict[str, bool]
    """Models and data that the cells name, and whether there was a folder of that name."""


def outline(folder: Path, changes: Mapping[str, Any], data: str | None = None, model: str | None = None) -> Outline:
    """The outline of the board in `folder`; PrunebenchError where there is no board or its suite is wrong."""
    key, kept = _key(folder, changes, data, model), folder / ".cache" / "outline.json"
    with suppress(OSError, ValueError):
        found = TypeAdapter(Outline).validate_json(kept.read_bytes())
        if found.key == key and all(Path(place).is_dir() == there for place, there in found.places.items()):
            return found
    return _expanded(folder, key, kept, dict(changes), data=data, model=model)


def _expanded(folder: Path, key: str, kept: Path, changes: dict[str, Any], **places: str | None) -> Outline:
    from benchmark.board.board import Board  # loads torch

    suite = Board.open(folder, changes, **places).suite
    cells, at = suite.cells(), {task: i for i, task in enumerate(suite.tasks)}
    named = {name: Path(name).is_dir() for spec in cells for name in (spec.model, spec.data)}
    found = Outline(key, suite.tasks, [(spec.id, at[spec.task], spec.cell) for spec in cells], named)
    own = Plugins()
    if len(cells) >= WORTH and all(
        spec.plugins == own for spec in cells
    ):  # the text of another's plugin is not in the key
        with suppress(OSError, PrunebenchError):
            write_bytes(kept, json.dumps(asdict(found)).encode())
    return found


def _key(folder: Path, *given: object) -> str:
    """A hash of everything that decides the cells, but for the folders that they name."""
    with suppress(OSError):
        given += (hashlib.sha256((folder / "suite.yaml").read_bytes()).hexdigest(),)
    points = sorted(
        f"{point.group} {point.name} {point.value}" for group in GROUPS for point in entry_points(group=group)
    )
    text = json.dumps([str(folder.resolve()), str(Path.cwd()), given, points, _package()], default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


def _package() -> list[tuple[str, int, int]]:
    """The files of this package, by name, size and time."""
    root = Path(__file__).resolve().parents[2]
    files = [path for package in PACKAGES for path in sorted((root / package).rglob("*.py"))]
    return [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
