"""What was measured on a cell that was trained again, kept in BOARD/diagnose/cells/ so that it is measured once."""

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from benchmark.board.board import Board
from benchmark.diagnose.churn import Churn
from benchmark.diagnose.fidelity import Fidelity
from benchmark.diagnose.shared_run import SharedRun
from benchmark.machine.atomic import write_text
from benchmark.suite.spec import RunSpec, Strict

SCHEMA = 1
FOLDER = "diagnose"


class Diagnosis(Strict):
    """One cell: churn and fidelity of a pruned one, the scores of all the board's criteria on a dense one."""

    schema_version: Annotated[int, Field(alias="schema")] = SCHEMA
    id: str
    spec: RunSpec
    settings: dict[str, Any]
    """How it was measured: two with other settings are not the same measurement."""
    churn: Churn | None = None
    fidelity: Fidelity | None = None
    shared: Annotated[SharedRun | None, Field(alias="heard")] = None  # the name in files


def diagnosis_path(board: Path, run_id: str) -> Path:
    """Where the diagnosis of a cell lies."""
    return board / FOLDER / "cells" / f"{run_id}.json"


def save_diagnosis(board: Path, diagnosis: Diagnosis) -> None:
    """Write it whole or not at all."""
    text = json.dumps(diagnosis.model_dump(mode="json", by_alias=True), ensure_ascii=False, allow_nan=False)
    write_text(diagnosis_path(board, diagnosis.id), text + "\n")


def load_diagnosis(board: Path, run_id: str) -> Diagnosis | None:
    """The diagnosis; None where there is none, or one that cannot be read (it is made again)."""
    try:
        raw = diagnosis_path(board, run_id).read_text(encoding="utf-8")
        return Diagnosis.model_validate_json(raw)
    except (OSError, ValueError):
        return None


def diagnoses(board: Board, cells: list[RunSpec]) -> list[Diagnosis]:
    """Those of `cells` that were made, in their order."""
    return [found for spec in cells if (found := load_diagnosis(board.folder, spec.id)) is not None]
