"""Boards of a few tiny cells on the embedded data, for tests of everything that runs boards."""

import json
from pathlib import Path
from typing import Any

import yaml

from benchmark.board.board import Board
from benchmark.engine.cell import Done, Settings
from benchmark.engine.local import run_cells
from benchmark.suite.spec import RunSpec
from benchmark.training.train import Progress, silent

TINY: dict[str, Any] = {
    "title": "Tiny",
    "tasks": ["glue/sst2"],
    "criteria": ["random", "magnitude"],
    "sparsities": [0.5],
    "seeds": [0],
    "training": {
        "steps": 5,
        "batch_size": 8,
        "lr": 0.001,
        "max_length": 32,
        "train_examples": 48,
        "eval_examples": 24,
    },
}

NOT_FINITE = '''"""Scores that are not numbers."""

from dataclasses import dataclass

from criteria.base import Criterion


@dataclass(frozen=True)
class Broken(Criterion):
    """Never finite."""

    def score(self, state, weight):
        return weight * float("nan")
'''


def write_suite(folder: Path, **changes: Any) -> Path:
    """A board's folder with this suite, changed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "suite.yaml").write_text(yaml.safe_dump(TINY | changes))
    return folder


def make_board(folder: Path, **changes: Any) -> Board:
    """A board with this suite, not yet run."""
    return Board.open(write_suite(folder, **changes))


def times(board: Board) -> dict[str, int]:
    """When each record was written."""
    return {
        path.name: path.stat().st_mtime_ns for path in board.records_folder.glob("*[0-9a-f].json") if is_record(path)
    }


def is_record(path: Path) -> bool:
    """Whether a run finished and left this."""
    return ".failed" not in path.name and path.stat().st_size > 0


def facts(path: Path) -> dict[str, Any]:
    """A record's file without what the run cost."""
    raw: dict[str, Any] = json.loads(path.read_text())
    del raw["cost"]
    return raw


CPU = Settings(device="cpu")


class Watched:
    """A watcher that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def started(self, spec: RunSpec) -> Progress:
        self.told.append(("started", spec.cell))
        return silent

    def finished(self, spec: RunSpec, score: float, seconds: float) -> None:
        self.told.append(("finished", spec.cell))

    def failed(self, spec: RunSpec, reason: str) -> None:
        self.told.append(("failed", spec.cell))

    def noted(self, spec: RunSpec, text: str) -> None:
        self.told.append(("noted", text))


def finish(board: Board, only: str = "*") -> Done:
    return run_cells(board, board.cells(only), Watched(), CPU)
