"""A study: the trials of one row at one task and sparsity, saved in BOARD/tuning/ after every trial."""

import json
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from benchmark.errors import PrunebenchError
from benchmark.machine.atomic import write_text
from benchmark.suite.spec import RunSpec, Strict
from benchmark.tune.space import Point

SCHEMA = 1
FOLDER = "tuning"


State = Literal["done", "missed", "failed"]
"""missed: the criterion does not prune to an exact sparsity, and ended below the requested one."""


class Trial(Strict):
    """One training run of the row with options to try, scored on held-out training data."""

    point: Point
    state: State
    score: float | None = None
    """The headline metric on the held-out examples."""
    sparsity: float | None = None
    """Measured."""
    seconds: float
    reason: str = ""

    @property
    def counted(self) -> float | None:
        """The score, if the trial was not failed or missed."""
        return self.score if self.state == "done" else None


class Study(Strict):
    """What is searched, and the trials; only these change after the first trial."""

    schema_version: Annotated[int, Field(alias="schema")] = SCHEMA
    spec: RunSpec
    """The row's spec with the trials' seed and held-out share, before any option is changed."""
    space: dict[str, str]
    space_hash: str
    metric: str
    lower_is_better: bool = False
    """Less of the metric is better."""
    heldout_examples: int
    data_fingerprint: str
    model_fingerprint: str
    trials: list[Trial] = Field(default_factory=list)

    @property
    def name(self) -> str:
        """Task, row and sparsity."""
        return self.spec.unseeded

    def best(self, trials: int) -> Trial | None:
        """The best of the first `trials`, the earlier one of equals; None if all failed or missed."""
        done = [trial for trial in self.trials[:trials] if trial.counted is not None]
        return max(done, key=lambda trial: self.utility(trial) or 0.0, default=None)

    def utility(self, trial: Trial) -> float | None:
        """The score, negated where less is better; None where it does not count."""
        return -trial.counted if self.lower_is_better and trial.counted is not None else trial.counted

    def refuse_other(self, other: "Study", path: Path) -> None:
        """PrunebenchError if `other`, which would continue in this study's file, searches something else."""
        for field in ("space", "data_fingerprint", "model_fingerprint"):
            if getattr(self, field) != getattr(other, field):
                raise PrunebenchError(
                    f"{path}: its trials have {field} {getattr(self, field)}, now it is {getattr(other, field)}: go on as they were "
                    "made, or move the file away to start from the beginning"
                )


def study_path(board: Path, spec: RunSpec) -> Path:
    """Path of the study of the row that `spec` trains, named by row and id."""
    row = re.sub(r"[^A-Za-z0-9]+", "-", spec.unseeded).strip("-")
    return board / FOLDER / f"{row}-{spec.id}.json"


def save_study(path: Path, study: Study) -> None:
    """Write the study atomically, with the best trial's number beside the trials."""
    best = study.best(len(study.trials))
    content = study.model_dump(mode="json", by_alias=True)
    content["best"] = None if best is None else study.trials.index(best)
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def load_study(path: Path) -> Study | None:
    """The study; None if there is none yet. PrunebenchError if the file cannot be read."""
    if not path.exists():
        return None
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        del raw["best"]
        return Study.model_validate(raw)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PrunebenchError(
            f"{path}: not a readable study ({type(error).__name__}): move it away to start from the beginning"
        ) from error
