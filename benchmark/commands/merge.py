"""`prunebench merge`: brings records of the same suite, made by other machines or people, into one board."""

from dataclasses import dataclass, field
from pathlib import Path

from benchmark.board.board import SUITE, Board, Source
from benchmark.board.outcomes import load_outcomes
from benchmark.board.record import (
    Record,
    RecordError,
    load_record,
    load_records,
    outcomes_path,
    record_path,
    save_record,
)
from benchmark.errors import PrunebenchError
from benchmark.machine import interrupt
from benchmark.machine.lock import locked, remove_leftovers
from benchmark.report.numbers import count_of
from tasks.pipeline.whole import holding


@dataclass
class Merged:
    """Ids that were copied, ids that the board had with the same result, ids that are no cell of the suite, unreadable files,
    cells that another process holds, and cells that it finished meanwhile with another result."""

    taken: list[str] = field(default_factory=list)
    standing: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """A summary for the terminal."""
        lines = [
            f"{count_of(len(self.taken), 'record')} merged, {len(self.standing)} stood already with the same result"
        ]
        if self.foreign:
            lines.append(
                f"{len(self.foreign)} belong to no cell of this suite and were left: {', '.join(self.foreign)}"
            )
        lines += [f"{cell}: another process is running it, or brings it in; merge again later" for cell in self.busy]
        return "\n".join(lines + [f"unreadable, left: {problem}" for problem in self.problems])


def merge(board: Board, others: list[Path]) -> Merged:
    """Copy the records of `others` (boards or folders of records) into `board`.

    Everything is checked before anything is copied: PrunebenchError names every cell for which two records differ in their
    results, or whose data or model is not the board's own, and then nothing has changed.
    """
    merged = Merged()
    incoming = _incoming(board, others, merged)
    with holding(board.folder):
        for folder, record in incoming.values():
            _take(board, folder, record, merged)
    if merged.conflicts:
        raise PrunebenchError(
            f"{merged.summary()}\nNot merged, for this board's own runs ended meanwhile with other results:\n"
            + "\n".join(merged.conflicts)
        )
    return merged


def _incoming(board: Board, others: list[Path], merged: Merged) -> dict[str, tuple[Path, Record]]:
    """The records to copy, each with its folder; what is not to be copied is entered in `merged`."""
    incoming: dict[str, tuple[Path, Record]] = {}
    known = {spec.id: spec for spec in board.suite.cells()}
    conflicts: list[str] = []
    sources: dict[str, Source] = {}
    for folder in [_records_folder(board, other) for other in others]:
        records, problems = load_records(folder)
        merged.problems += [str(problem) for problem in problems]
        for record in records:
            if record.id not in known:
                merged.foreign.append(record.id)
                continue
            try:
                load_outcomes(folder, record)
            except RecordError as error:
                merged.problems.append(str(error))
                continue
            standing = _standing(board, record.id) or (incoming[record.id][1] if record.id in incoming else None)
            if standing is None:
                conflicts += _other_source(board, record, sources)
                incoming[record.id] = folder, record
            elif _result(standing) == _result(record):
                merged.standing.append(record.id)
            else:
                conflicts.append(_conflict(standing, record, folder))
    if conflicts:
        raise PrunebenchError("nothing merged, these records conflict:\n" + "\n".join(conflicts))
    return incoming


def _take(board: Board, folder: Path, record: Record, merged: Merged) -> None:
    """Write one record under its cell's lock, unless the cell was finished here meanwhile.

    Temporary files of a merge that was killed are deleted first.
    """
    with locked(board.locks, record.id, wait=False) as mine:
        if not mine:
            merged.busy.append(record.spec.named)
            return
        if (standing := _standing(board, record.id)) is not None:
            if _result(standing) == _result(record):
                merged.standing.append(record.id)
            else:
                merged.conflicts.append(_conflict(standing, record, folder))
            return
        remove_leftovers(record.id, board.records_folder)
        with interrupt.deferred():
            save_record(board.records_folder, record, outcomes_path(folder, record.id).read_bytes())
    merged.taken.append(record.id)
    interrupt.raise_if_signalled()


def _conflict(standing: Record, record: Record, folder: Path) -> str:
    ours, theirs = _result(standing), _result(record)
    what = ", ".join(name for name in ours if ours[name] != theirs[name])
    return f"{record.spec.named}: {standing.score:.2f} here, {record.score:.2f} in {folder} (other {what})"


def _records_folder(board: Board, other: Path) -> Path:
    folder = other / "records" if (other / "records").is_dir() else other
    if not folder.is_dir():
        raise PrunebenchError(f"{other}: no such folder; expected a board or a folder of records")
    if folder.resolve() == board.records_folder.resolve():
        raise PrunebenchError(
            f"{other}: is the board itself; name the board or the folder whose records are to be merged into it"
        )
    if folder == other and not (other / SUITE).is_file() and not any(other.glob("*.json")):
        raise PrunebenchError(f"{other}: holds no records; expected a board or a folder of records")
    return folder


def _standing(board: Board, run_id: str) -> Record | None:
    path = record_path(board.records_folder, run_id)
    try:
        return load_record(path) if path.exists() else None
    except RecordError:
        return None  # an unreadable record never counts; the other one replaces it


def _result(record: Record) -> dict[str, object]:
    """What must be equal in two records of one cell: metrics, outcomes, sparsity and sources, but not cost or machine."""
    return {
        "metrics": record.metrics,
        "outcomes": record.outcomes_sha256,
        "zeros": record.sparsity.zeros,
        "data": record.data_fingerprint,
        "model": record.model_fingerprint,
    }


def _other_source(board: Board, record: Record, sources: dict[str, Source]) -> list[str]:
    """A complaint if the record's data or model is not that of its task's others; `sources` holds what those of each task have."""
    own, task = Source(record.data_fingerprint, record.model_fingerprint), record.spec.task
    if task not in sources:
        standing = board.sources(record.spec)
        sources[task] = standing if standing.data else own
    if sources[task] == own:
        return []
    return [f"{record.spec.named}: made from other data or another model than the rest of {record.spec.task}"]
