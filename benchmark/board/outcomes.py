"""Per-example outcomes of a run: numbers in a compressed archive beside its record, checked against the record's checksum."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.board.record import Record, RecordError, outcomes_path
from benchmark.machine.safe_arrays import unpack
from benchmark.machine.safe_read import MAX_OUTCOMES, read_regular_file


def pack_outcomes(outcomes: dict[str, NDArray[Any]]) -> bytes:
    """Outcomes as the bytes of a compressed npz file, the same for the same numbers; refuses anything but numbers."""
    for name, values in outcomes.items():
        if values.dtype.kind not in "biuf":
            raise ValueError(f"outcome '{name}' must be numbers, found dtype {values.dtype}")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: outcomes[name] for name in sorted(outcomes)})  # type: ignore[arg-type]
    return buffer.getvalue()


def load_outcomes(folder: Path, record: Record) -> dict[str, NDArray[Any]]:
    """The per-example outcomes of a record, checked against its checksum."""
    path = outcomes_path(folder, record.id)
    try:
        data = read_regular_file(path, MAX_OUTCOMES)
    except OSError as error:
        raise RecordError(path, f"per-example outcomes are missing ({error.strerror})") from error
    except ValueError as error:
        raise RecordError(path, f"per-example outcomes are not readable ({error})") from error
    if hashlib.sha256(data).hexdigest() != record.outcomes_sha256:
        raise RecordError(path, f"checksum differs from the one in {record.id}.json")
    try:
        return unpack(data)
    except ValueError as error:
        raise RecordError(path, f"per-example outcomes: {error}") from error
