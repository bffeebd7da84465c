"""`prunebench verify --rerun`: a finished cell run again, in memory, and held against its record."""

from dataclasses import dataclass, field
from statistics import stdev

from torch import Tensor

from benchmark.board.board import Board
from benchmark.board.record import Record
from benchmark.commands.verify import Finding
from benchmark.suite.spec import RunSpec
from benchmark.training.run import Options, Result, run, train_teacher
from tasks.base import Prepared

WITHIN = 2.0
"""Standard deviations over seeds that still count as the recorded spread."""
MADE_BY = ("device", "threads", "products", "torch", "transformers", "numpy", "commit")
"""What of the environment can change a result in its last bits."""


@dataclass
class Rerun:
    """Runs cells again; the board is only read, and a teacher is trained anew, once for all cells that share it."""

    board: Board
    device: str = "auto"
    trust_remote_code: bool = False
    teachers: dict[tuple[str, str, str], dict[str, Tensor]] = field(default_factory=dict)

    def __call__(self, spec: RunSpec, record: Record) -> Finding:
        """Bitwise equal, inside the recorded spread, or off."""
        about = f"{spec.cell} ({spec.id})"
        try:
            result = run(spec, self._options())
        except Exception as error:  # whatever fails a cell
            return Finding(about, f"cannot be run again: {error}")
        words, wrong = compare(record, result, self._scores_of_row(record))
        return Finding(about, words, wrong)

    def _options(self) -> Options:
        return Options(device=self.device, trust_remote_code=self.trust_remote_code, teacher=self._teacher)

    def _teacher(self, spec: RunSpec, prepared: Prepared) -> dict[str, Tensor]:
        key = (spec.id, prepared.data_fingerprint, prepared.model_fingerprint)
        if key not in self.teachers:
            self.teachers[key] = train_teacher(spec, self._options())
        return self.teachers[key]

    def _scores_of_row(self, record: Record) -> list[float]:
        """Recorded scores of the same cell with every seed."""
        wanted = {
            spec.id
            for spec in self.board.suite.cells()
            if spec.recorded().model_copy(update={"seed": 0}) == record.spec.model_copy(update={"seed": 0})
        }
        return [other.score for other in self.board.records()[0] if other.id in wanted]


def compare(record: Record, result: Result, seeds: list[float]) -> tuple[str, bool]:
    """(what a run that was made again gives beside its record, whether that is off); `seeds`: recorded scores of its row."""
    again = result.record
    for name in ("data_fingerprint", "model_fingerprint"):
        if getattr(again, name) != getattr(record, name):
            return f"not comparable: its {name.split('_')[0]} is not what it was recorded with", True
    changed = [name for name in MADE_BY if again.environment.get(name) != record.environment.get(name)]
    why = f"; since then changed: {', '.join(changed)}" if changed else ""
    if again.outcomes_sha256 == record.outcomes_sha256 and again.metrics == record.metrics:
        told = f"run again: score {again.score:.4f} and outcomes are bitwise the same"
        if again.sparsity == record.sparsity:
            return told, False
        return f"{told}, but its zeros lie elsewhere{why}", changed in ([], ["commit"])  # other code must not move them
    told = f"run again: {again.score:.4f}, recorded {record.score:.4f}"
    if again.score == record.score:
        return f"{told}: the same score, other outcomes{why}", False
    if len(seeds) < 2:
        return f"{told}: off, and with one seed there is no spread to hold it against{why}", True
    spread = WITHIN * stdev(seeds)
    inside = abs(again.score - record.score) <= spread
    place = "inside" if inside else "off, outside"
    return f"{told}: {place} the recorded spread (+-{spread:.4f} over {len(seeds)} seeds){why}", not inside
