"""A board: a folder that compares pruning criteria. Its suite says what is to be run; each run leaves a record in it.

suite.yaml      what is to be run: tasks x criteria x sparsities x seeds, and how each is trained
records/        one record for each finished run (record.py)
table.md        the table of them all, written by `prunebench run`
weights/        trained weights, where `run --save-weights` asked for them (weights.py)
.cache/         locks, and files in which an engine's jobs report: what runners on several machines must all see

A *cell* is one planned run: a task, a criterion, a regularizer, a sparsity and a seed. What can be made again (tokenized data,
dense teachers, checkpoints, the index) is in the user's cache folder (machine/caches.py) and not here: a board may come from a
stranger, and the content of a cache is trusted. Locks must be here, because runners on several machines share only the board; they
are empty files, and are never read.
"""

import json
import os
from collections.abc import Iterable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from benchmark.board.index import Index, index_file
from benchmark.board.record import (
    FAILED,
    Record,
    RecordError,
    failure_path,
    failure_reason,
    load_record,
    load_records,
    record_path,
)
from benchmark.errors import PrunebenchError, choices
from benchmark.machine.atomic import write_text
from benchmark.machine.caches import board_cache
from benchmark.suite.read import load_suite
from benchmark.suite.spec import RunSpec
from benchmark.suite.suite import Suite, matches, no_cell

SUITE = "suite.yaml"
NEAREST = 8
"""Names of cells that a message offers."""
PAGES = {
    ".html": "html",
    ".htm": "html",
    ".md": "markdown",
    ".markdown": "markdown",
    ".tex": "latex",
    ".csv": "csv",
    ".json": "json",
    ".txt": "",
    "": "",
}
"""Endings of the files that tables and pages are written to, and the format that each means; empty for any."""


@dataclass(frozen=True)
class Source:
    """Fingerprints of the data and model of a task's records; empty if there is no record yet."""

    data: str = ""
    model: str = ""


@dataclass(frozen=True)
class Board:
    """A board's folder and its validated suite."""

    folder: Path
    suite: Suite

    @classmethod
    def open(
        cls,
        folder: Path,
        changes: dict[str, Any] | None = None,
        *,
        added: Sequence[str] = (),
        data: str | None = None,
        model: str | None = None,
    ) -> "Board":
        """Read and check the suite, with rows `added` to its criteria; PrunebenchError if it is missing or wrong."""
        if not isinstance(folder, str | os.PathLike):
            raise PrunebenchError(f"{folder!r}: expected the path of a board's folder")
        folder = Path(folder)
        path = folder / SUITE
        if not path.is_file():
            found = sorted(
                str(suite.parent) for suite in (*folder.glob(f"*/{SUITE}"), *Path("results").glob(f"*/{SUITE}"))
            )
            hint = choices(str(folder), found) if found else "`prunebench new board NAME` writes one"
            raise PrunebenchError(f"{folder}: no board there: expected a folder with a {SUITE}; {hint}")
        return cls(folder, load_suite(path, changes, added=added, data=data, model=model))

    @property
    def records_folder(self) -> Path:
        """Folder of the records."""
        return self.folder / "records"

    @property
    def title(self) -> str:
        """The suite's title, else the folder's name."""
        return self.suite.title or self.folder.resolve().name

    @property
    def cache(self) -> Path:
        """This user's cache folder for the board; PrunebenchError if the user has no home folder."""
        return board_cache(self.folder)

    @property
    def shared(self) -> Path:
        """Folder of files that runners on several machines share."""
        return self.folder / ".cache"

    @property
    def locks(self) -> Path:
        """Folder of the locks, one for each cell that was ever started."""
        return self.shared / "locks"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints of unfinished runs."""
        return self.cache / "checkpoints"

    @property
    def weights_folder(self) -> Path:
        """Folder of the weights of finished runs, if they were kept. They are results, not a cache."""
        return self.folder / "weights"

    def find(self, cell: str) -> RunSpec:
        """The cell with this id, beginning of an id, or readable name; PrunebenchError if there is none or several."""
        cells = self.suite.cells()
        found = [spec for spec in cells if spec.id.startswith(cell) or spec.cell == cell]
        if len(found) != 1:
            reason = "names several cells" if found else "names no cell"
            raise PrunebenchError(f"'{cell}' {reason} of this board; {_some(cell, [s.cell for s in found or cells])}")
        return found[0]

    def record(self, spec: RunSpec) -> Record:
        """The cell's record; PrunebenchError if it has none."""
        path = record_path(self.records_folder, spec.id)
        if not path.exists():
            raise PrunebenchError(f"{spec.named} has no record yet: run the board first")
        return load_record(path)

    def cells(self, only: str = "*") -> list[RunSpec]:
        """Cells whose task or readable name matches the pattern `only`; PrunebenchError if none does."""
        cells = self.matching(only)
        if not cells:
            raise no_cell(only, self.suite.tasks)
        return cells

    def matching(self, only: str) -> list[RunSpec]:
        """Cells whose task or readable name matches the pattern `only`."""
        return [spec for spec in self.suite.cells() if matches(spec.task, only) or matches(spec.cell, only)]

    def is_done(self, spec: RunSpec) -> bool:
        """Whether the cell has a readable record. An unreadable one is reported by `records`, and its cell run again."""
        path = record_path(self.records_folder, spec.id)
        if not path.exists():
            return False
        try:
            load_record(path)
        except RecordError:
            return False
        return True

    def records(self) -> tuple[list[Record], list[RecordError]]:
        """Records of this board's cells, and errors of files that cannot be read."""
        records, problems = load_records(self.records_folder)
        wanted = {spec.id for spec in self.suite.cells()}
        return [record for record in records if record.id in wanted], problems

    def summaries(self) -> tuple[list[Record], list[RecordError]]:
        """As `records`, but in the order of the cells and shortened (index.py), which is faster for large boards."""
        index = self.index()
        return index.summaries(self.suite.cells()), index.problems

    def index(self) -> Index:
        """The index of the records as they are now."""
        return Index(self.records_folder, index_file(self.folder))

    def done(self, cells: Iterable[RunSpec]) -> set[str]:
        """Ids of those of `cells` that have a readable record, by listing the folder once."""
        return self.index().ids & {spec.id for spec in cells}

    def unreadable(self, cells: list[RunSpec]) -> list[RecordError]:
        """Errors of the files that should be records of `cells`."""
        names = {record_path(self.records_folder, spec.id) for spec in cells}
        return [problem for problem in self.index().problems if problem.path in names]

    def sources(self, spec: RunSpec) -> Source:
        """Fingerprints of the data and model of the existing records of the spec's task."""
        names = _names(self.records_folder)
        for cell in self.suite.cells():
            if cell.task == spec.task and f"{cell.id}.json" in names:
                with suppress(RecordError):
                    record = load_record(record_path(self.records_folder, cell.id))
                    return Source(record.data_fingerprint, record.model_fingerprint)
        return Source()

    def failures(self, failed: Set[str] | None = None) -> dict[str, str]:
        """Reasons of failed cells by id, unless there is a record now. `failed`: ids that have a failure, where they are known."""
        if failed is None:
            failed = {name.removesuffix(FAILED) for name in _names(self.records_folder) if name.endswith(FAILED)}
        return {
            spec.id: failure_reason(failure_path(self.records_folder, spec.id))
            for spec in (self.suite.cells() if failed else ())
            if spec.id in failed and not self.is_done(spec)
        }

    def failure(self, spec: RunSpec) -> str | None:
        """Why the cell failed, if its last run did."""
        path = failure_path(self.records_folder, spec.id)
        return failure_reason(path) if path.exists() else None

    def fail(self, spec: RunSpec, reason: str, log: str) -> None:
        """Note that a cell failed. The note is deleted when the cell has a record."""
        content = {"id": spec.id, "cell": spec.cell, "reason": reason, "log": log}
        text = json.dumps(content, indent=1, ensure_ascii=False)
        write_text(failure_path(self.records_folder, spec.id), text + "\n")


def require_page(path: Path, format: str) -> None:
    """PrunebenchError where no table or page in `format` belongs in `path`: a board's suite or record, code, a folder, a device."""
    require_outside(path)
    real, ending = path.resolve(), path.suffix.lower()
    if not path.name.strip() or real.is_dir():
        raise PrunebenchError(f"--output '{path}': is {'a folder' if path.is_dir() else 'blank'}, expected a file")
    if real.exists() and not real.is_file():
        raise PrunebenchError(
            f"--output {path}: is a device or a pipe, expected a file; without --output the text goes to stdout"
        )
    if ending not in PAGES or real.suffix.lower() not in PAGES:
        wrong = "is there, and no table or page" if real.exists() else "has the ending of no table or page"
        raise PrunebenchError(
            f"--output {path}: {wrong}: expected a file that ends in {', '.join(filter(None, PAGES))}"
        )
    if (meant := PAGES[ending]) not in ("", format):
        raise PrunebenchError(
            f"--output {path}: ends as {meant} does, and the format is {format}: expected --format {meant}, or another ending"
        )


def require_outside(path: Path) -> None:
    """PrunebenchError where `path` lies among a board's records, weights or caches, in which only the program itself writes."""
    for part in path.resolve().parents:
        if part.name in ("records", "weights", ".cache") and part.parent.joinpath(SUITE).exists():
            raise PrunebenchError(f"{path}: lies in {part.name} of a board, expected another place")


def _names(folder: Path) -> set[str]:
    """Names in the folder, listed once, because asking for each file is slow on network folders."""
    return set(os.listdir(folder)) if folder.is_dir() else set()  # noqa: PTH208 - a Path each takes five times as long


def _some(cell: str, names: list[str]) -> str:
    """The choices; of many, only the nearest ones."""
    near = get_close_matches(cell, names, n=NEAREST, cutoff=0.0)
    more = f", and {len(names) - NEAREST} more (see status)" if len(names) > NEAREST else ""
    return choices(cell, near) + more
