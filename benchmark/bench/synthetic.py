"""Writes boards with any number of made-up records, to measure how reading, `status` and tables grow with a board.

The records have the shape of real ones and are valid, but their numbers mean nothing; only the board's title says so. They are
written for a measurement and deleted after it.
"""

import hashlib
import json
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.board.outcomes import pack_outcomes
from benchmark.board.record import SCHEMA, outcomes_path, record_path
from benchmark.errors import PrunebenchError
from benchmark.machine.caches import board_cache
from benchmark.suite.spec import RunSpec
from benchmark.suite.suite import Suite

GRID: dict[str, Any] = {
    "title": "Synthetic: its numbers mean nothing",
    "tasks": [f"glue/{name}" for name in ("rte", "cola", "sst2", "mrpc", "qnli", "mnli", "qqp")] + ["squad"],
    "criteria": ["random", "magnitude", "movement", "sensitivity", "principled", "taylor"],
    "regularizers": ["none", "distillation"],
    "sparsities": [0.5, 0.6, 0.7, 0.8, 0.9],
    "training": {"steps": 100, "batch_size": 16, "lr": 0.001, "max_length": 64},
}
POINTS = 50
LAYERS = [
    f"bert.encoder.layer.{i}.{name}.weight"
    for i in range(3)
    for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
                 "intermediate.dense", "output.dense")
]  # fmt: skip
SIZE = 16384
"""Weights of a layer."""
VARIANTS = 40
"""Number of different curves, layers and outcomes; each record has one of them."""
ENVIRONMENT = {
    "python": "3.11.7", "platform": "Linux x86_64", "device": "synthetic", "precision": "fp32", "threads": "1",
    "commit": "0" * 12, "prunebench": "0", "torch": "0", "transformers": "0", "datasets": "0", "numpy": "0",
    "scikit-learn": "0", "seqeval": "0", "sacrebleu": "0", "rouge-score": "0",
}  # fmt: skip


def write_board(folder: Path, count: int, seed: int = 0) -> Suite:
    """A new board in `folder` with `count` records, the first cells of a grid; PrunebenchError if the folder exists."""
    if folder.exists():
        raise PrunebenchError(f"{folder} exists: a synthetic board is written into a new folder")
    suite = grid(count)
    (folder / "records").mkdir(parents=True)
    text = json.dumps(GRID | {"seeds": suite.seeds}, indent=1)  # JSON is YAML
    (folder / "suite.yaml").write_text(text + "\n", encoding="utf-8")
    writer = _Writer(folder / "records", seed)
    for spec in suite.cells()[:count]:
        writer.write(spec)
    return suite


def grid(count: int) -> Suite:
    """The suite with the fewest seeds that has at least `count` cells."""
    one = len(Suite.model_validate(GRID).cells())
    return Suite.model_validate(GRID | {"seeds": list(range(-(-count // one)))})


class _Writer:
    """Writes records; the long parts come from prepared variants, the rest is made for each spec."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, random.Random(seed)
        self.curves = [_inserted(_curve(self.random), 1) for _ in range(VARIANTS)]
        self.layers = [_inserted(_layers(self.random), 2) for _ in range(VARIANTS)]
        numbers = np.random.default_rng(seed)
        classes = [numbers.integers(0, 2, 300) for _ in range(VARIANTS)]
        shares = [numbers.random(300) for _ in range(VARIANTS)]
        self.outcomes = {
            False: [pack_outcomes({"label": found, "prediction": 1 - found}) for found in classes],
            True: [pack_outcomes({"exact_match": np.round(found), "f1": found}) for found in shares],
        }
        """By whether they are SQuAD's, which have no classes."""

    def write(self, spec: RunSpec) -> None:
        """Write the two files of one finished run, without syncing them to the disk."""
        i = self.random.randrange(VARIANTS)
        outcomes = self.outcomes[spec.task == "squad"][i]
        text = json.dumps(self._content(spec, hashlib.sha256(outcomes).hexdigest()), indent=1)
        text = text.replace('"curve": []', f'"curve": {self.curves[i]}').replace(
            '"layers": []', f'"layers": {self.layers[i]}'
        )
        record_path(self.folder, spec.id).write_text(text + "\n", encoding="utf-8")
        outcomes_path(self.folder, spec.id).write_bytes(outcomes)

    def _content(self, spec: RunSpec, checksum: str) -> dict[str, Any]:
        """A record as JSON, without curve and layers."""
        size, score = SIZE * len(LAYERS), 100 * self.random.random()
        seconds = 60 * self.random.lognormvariate(0, 0.3)
        return {
            "schema": SCHEMA, "id": spec.id, "spec": spec.model_dump(mode="json"), "metric": "accuracy",
            "metrics": {"accuracy": score, "f1": score / 2}, "floor": {"accuracy": 50.0}, "signatures": {},
            "sparsity": {"requested": spec.sparsity, "scheduled": spec.sparsity, "measured": round(spec.sparsity * size) / size,
                         "prunable": size, "zeros": round(spec.sparsity * size), "exact": True, "met": True, "layers": []},
            "selected": {"protocol": "last", "step": 100, "score": None, "optimistic": False}, "curve": [],
            "cost": {"total_seconds": seconds, "train_seconds": 0.9 * seconds, "evaluate_seconds": 0.05 * seconds,
                     "step_seconds": 0.009 * seconds, "criterion_seconds": 0.05 * seconds, "peak_bytes": 503652352, "steps": 100},
            "splits": {"train": "train", "reported": "dev"}, "counts": {"train": 1200, "reported": 300},
            "data_fingerprint": hashlib.sha256(spec.task.encode()).hexdigest(), "model_fingerprint": "1" * 64,
            "environment": ENVIRONMENT, "teacher": spec.dense().id if spec.regularizer != "none" else None,
            "outcomes_sha256": checksum, "notes": [],
        }  # fmt: skip


def _curve(numbers: random.Random) -> list[dict[str, Any]]:
    losses = (2.0 / (1 + step) + 0.1 * numbers.random() for step in range(POINTS))
    return [
        {
            "step": 2 * step + 2,
            "loss": loss,
            "lr": 1e-3 * (POINTS - step) / POINTS,
            "sparsity": step / POINTS,
            "score": None,
        }
        for step, loss in enumerate(losses)
    ]


def _layers(numbers: random.Random) -> list[dict[str, Any]]:
    return [{"name": name, "size": SIZE, "zeros": numbers.randrange(SIZE)} for name in LAYERS]


def _inserted(content: list[dict[str, Any]], depth: int) -> str:
    """The value as json.dumps writes it inside a record."""
    first, *lines = json.dumps(content, indent=1).splitlines()
    return "\n".join([first, *(" " * depth + line for line in lines)])


def changed(folder: Path, share: float) -> Iterator[Path]:
    """Rewrite a `share` of the records with the same content, so that they have a new time; yields their paths."""
    paths = sorted((folder / "records").glob("*.json"))
    for path in paths[:: max(1, round(1 / share))]:
        path.write_bytes(path.read_bytes())
        yield path


@contextmanager
def temporary_boards() -> Iterator[Path]:
    """A temporary folder for boards, which is deleted with the caches of the boards in it."""
    with tempfile.TemporaryDirectory() as name:
        try:
            yield Path(name)
        finally:
            for board in Path(name).iterdir():
                with suppress(PrunebenchError):  # there is no folder for caches
                    shutil.rmtree(board_cache(board), ignore_errors=True)
