"""Weights & Biases: a run for each cell in the project `prunebench`, grouped by board (WANDB_PROJECT, WANDB_MODE and so on apply)."""

import os
from pathlib import Path
from typing import Any

import wandb  # type: ignore[import-not-found, unused-ignore]

from benchmark.suite.spec import RunSpec


class WandB:
    """One run."""

    def __init__(self, run: Any) -> None:
        self.run = run

    def log(self, step: int, values: dict[str, float]) -> None:
        """Numbers at `step`."""
        self.run.log(values, step=step)

    def end(self, values: dict[str, float], reason: str | None) -> None:
        """The summary; a failed run is marked so."""
        self.run.summary.update(values if reason is None else {**values, "failed": reason})
        self.run.finish(exit_code=0 if reason is None else 1)


def open_session(spec: RunSpec, settings: dict[str, str], folder: Path) -> WandB:
    """A new run; several may be open at a time."""
    return WandB(
        wandb.init(
            project=os.environ.get("WANDB_PROJECT", "prunebench"),
            group=folder.resolve().name,
            name=spec.recorded().cell,
            config=settings,
            reinit="create_new",
        )
    )
