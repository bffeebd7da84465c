"""`prunebench verify --rerun`: a finished cell run again, in memory, and compared with its record."""

from dataclasses import dataclass, field
from statistics import stdev

from torch import Tensor

from benchmark.board.board import Board
from benchmark.board.record import Record
from benchmark.commands.verify_others import Finding
from benchmark.machine.environment import pick_device
from benchmark.suite.spec import RunSpec
from benchmark.training.make_record import RESUMED
from benchmark.training.run import Options, Result, run, train_teacher
from tasks.base import Prepared

WITHIN = 2.0
"""Standard deviations over seeds that still count as the recorded spread."""
FACTS = (
    *("metric", "metrics", "outcomes_sha256", "sparsity", "selected", "curve"),
    *("floor", "signatures", "splits", "counts", "teacher", "notes"),
)
"""What a run on the same machine with the same versions repeats to the last bit on a CPU. Its cost is measured, and never the same."""


@dataclass
class Rerun:
    """Runs cells again; the board is only read, and a teacher is trained again, once for all cells that share it."""

    board: Board
    device: str = "auto"
    trust_remote_code: bool = False
    teachers: dict[tuple[str, str, str], dict[str, Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """PrunebenchError for a device that this machine lacks, before any cell."""
        pick_device(self.device)

    def __call__(self, spec: RunSpec, record: Record) -> Finding:
        """Equal, inside the spread of its row where machine or versions changed, or off."""
        about = spec.named
        try:
            result = run(spec, self._options())
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever fails a cell
            return Finding(about, f"cannot be run again: {error}")
        words, wrong = compare(record, result, self._scores_of_other_seeds(record))
        return Finding(about, words, wrong)

    def _options(self) -> Options:
        return Options(device=self.device, trust_remote_code=self.trust_remote_code, teacher=self._teacher)

    def _teacher(self, spec: RunSpec, prepared: Prepared) -> dict[str, Tensor]:
        key = (spec.id, prepared.data_fingerprint, prepared.model_fingerprint)
        if key not in self.teachers:
            self.teachers[key] = train_teacher(spec, self._options())
        return self.teachers[key]

    def _scores_of_other_seeds(self, record: Record) -> list[float]:
        """Recorded scores of the same cell with the other seeds: a forged score must not widen the spread that it is compared with."""
        wanted = {spec.id for spec in self.board.suite.cells() if spec.recorded().but_seed == record.spec.but_seed}
        return [other.score for other in self.board.records()[0] if other.id in wanted - {record.id}]


def _fact(record: Record, name: str) -> object:
    """The record's field `name`; of its notes, those on resuming are left out, because another run does not repeat them."""
    found: object = getattr(record, name)
    return [note for note in record.notes if not note.startswith(RESUMED)] if name == "notes" else found


def compare(record: Record, result: Result, others: list[float]) -> tuple[str, bool]:
    """(what a run that was made again gives beside its record, whether that is off).

    With the same machine and versions on a CPU every one of `FACTS` is equal, or the record is wrong. Otherwise the score may lie
    inside the spread of its row: two standard deviations of the `others`, the scores of its other seeds, and the one made again.
    """
    again = result.record
    for name in ("data_fingerprint", "model_fingerprint"):
        if getattr(again, name) != getattr(record, name):
            return f"not comparable: its {name.split('_')[0]} is not what it was recorded with", True
    told = f"run again: {again.score:.4f}, recorded {record.score:.4f}"
    different = [name for name in FACTS if _fact(again, name) != _fact(record, name)]
    different += ["steps"] if again.cost.steps != record.cost.steps else []
    if not different:
        return f"run again: score {again.score:.4f} and outcomes are bitwise the same", False
    machines = again.environment, record.environment
    names = (machines[0].keys() | machines[1].keys()) - {"date"}
    changed = sorted(name for name in names if machines[0].get(name) != machines[1].get(name))
    if not changed and record.environment.get("precision", "fp32") == "fp32":
        loose = (
            "; the commit has local changes (+), which may differ"
            if record.environment.get("commit", "").endswith("+")
            else ""
        )
        return f"{told}: other {', '.join(different)} on the same machine with the same versions{loose}", True
    why = f"; since then changed: {', '.join(changed)}" if changed else ""
    if not {"metrics", "outcomes_sha256"} & set(different):
        told = f"run again: score {again.score:.4f} and outcomes are bitwise the same"
        if "sparsity" in different:
            return f"{told}, but its zeros lie elsewhere{why}", changed == ["commit"]  # other code must not move them
        return f"{told}, but its {', '.join(different)} differ{why}", False
    if again.score == record.score:
        return f"{told}: the same score, other {', '.join(different)}{why}", False
    if not others:
        return f"{told}: off, and with one seed there is no spread to compare it with{why}", True
    spread = WITHIN * stdev([*others, again.score])
    inside = abs(again.score - record.score) <= spread
    place = "inside" if inside else "off, outside"
    return f"{told}: {place} the spread of its row (+-{spread:.4f} over {len(others) + 1} seeds){why}", not inside
