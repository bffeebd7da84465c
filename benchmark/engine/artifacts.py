"""Files of a finished cell as bytes, for engines whose workers do not share the board's folder."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.board.board import Board
from benchmark.board.record import (
    RecordError,
    failure_path,
    outcomes_path,
    parse_record,
    predictions_path,
    record_path,
    save_record,
)
from benchmark.board.weights import weights_path
from benchmark.engine.sources import refuse_other_sources
from benchmark.errors import PrunebenchError
from benchmark.machine.atomic import write_bytes
from benchmark.machine.lock import locked
from benchmark.suite.spec import RunSpec


@dataclass(frozen=True)
class Artifacts:
    """Contents of the files that a cell writes; None for one that it did not write."""

    record: bytes | None = None
    outcomes: bytes | None = None
    predictions: bytes | None = None
    weights: bytes | None = None
    teachers: Mapping[str, bytes] = field(default_factory=dict)
    """Teachers' weights by file name: those of the dense cell, or of the teacher that the cell trained for itself."""
    log: str = ""
    """Traceback of a failed cell."""


def collect_artifacts(board: Board, spec: RunSpec, teacher: str | None = None) -> Artifacts:
    """Files of the cell on `board`, with the weights of the dense run `teacher` if they are there."""
    failure = _read(failure_path(board.records_folder, spec.id))
    return Artifacts(
        _read(record_path(board.records_folder, spec.id)),
        _read(outcomes_path(board.records_folder, spec.id)),
        _read(predictions_path(board.records_folder, spec.id)),
        _read(weights_path(board.weights_folder, spec.id)),
        teacher_files(board, teacher) if teacher else {},
        str(json.loads(failure).get("log", "")) if failure else "",
    )


def forget(board: Board, spec: RunSpec) -> None:
    """Delete the cell's files from `board`, unless another process is at the cell."""
    with locked(board.locks, spec.id, wait=False) as mine:
        if mine:
            for path in (
                record_path(board.records_folder, spec.id),
                outcomes_path(board.records_folder, spec.id),
                predictions_path(board.records_folder, spec.id),
                failure_path(board.records_folder, spec.id),
                weights_path(board.weights_folder, spec.id),
            ):
                path.unlink(missing_ok=True)


def store_artifacts(board: Board, spec: RunSpec, artifacts: Artifacts) -> None:
    """Write the cell's files to `board`, unless it has the record already; PrunebenchError if they are not files of that cell."""
    if artifacts.record is None or artifacts.outcomes is None:
        raise PrunebenchError(f"{spec.cell}: what came back from its worker is no record of it")
    try:
        record = parse_record(record_path(board.records_folder, spec.id), artifacts.record)
    except RecordError as error:
        raise PrunebenchError(
            f"{spec.cell}: what came back from its worker is no record of it: {error.reason}"
        ) from error
    if hashlib.sha256(artifacts.outcomes).hexdigest() != record.outcomes_sha256:
        raise PrunebenchError(f"{spec.cell}: its outcomes were damaged on the way")
    with locked(board.locks, spec.id):
        if board.is_done(spec):
            return
        refuse_other_sources(board, spec, record)
        put_teachers(board, artifacts.teachers)
        for path, content in (
            (weights_path(board.weights_folder, spec.id), artifacts.weights),
            (predictions_path(board.records_folder, spec.id), artifacts.predictions),
        ):
            if content is not None:
                write_bytes(path, content)
        save_record(board.records_folder, record, artifacts.outcomes)


def teacher_files(board: Board, dense: str) -> dict[str, bytes]:
    """Weights of the dense run `dense` by file name."""
    return {path.name: path.read_bytes() for path in sorted((board.cache / "teachers").glob(f"{dense}*.safetensors"))}


def put_teachers(board: Board, files: Mapping[str, bytes]) -> None:
    """Write weights of teachers that are missing; names that are not those of teachers' files are ignored."""
    for name, content in files.items():
        path = board.cache / "teachers" / name
        if re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]{16}\.safetensors", name) and not path.exists():
            write_bytes(path, content)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
