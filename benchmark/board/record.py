"""The record of a finished run: its schema, and how it is saved, loaded and checked.

records/<id>.json                   spec, metrics, measured sparsity, curve, cost, provenance
records/<id>.npz                    per-example outcomes, numbers only (outcomes.py), so that paired tests need neither text nor
                                    model
records/<id>.failed.json            the reason of a run that failed; never counted as a record
records/<id>.predictions.json.gz    the predicted text, where it was asked for
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct, field
from pydantic import ValidationError

from benchmark.errors import PrunebenchError, pydantic_reason
from benchmark.machine.atomic import write_bytes
from benchmark.machine.safe_read import MAX_RECORD, read_regular_file
from benchmark.suite.spec import SEEDS, RunSpec

SCHEMA = 1

Number = Annotated[float, Meta(ge=-1e60, le=1e60)]
"""Finite, and small enough that sums of squares over many records stay finite."""
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]

RECORD, OUTCOMES, FAILED, PREDICTIONS = ".json", ".npz", ".failed.json", ".predictions.json.gz"
"""What the names of a run's files end with, behind its id."""
ERRORS = frozenset(
    {"ter", "ter_score", "wer", "cer", "character_cer_score", "mse", "mae", "mape", "smape", "mase", "brier_score"}
)
"""Metrics of the evaluate hub of which less is better, which no task says."""


class RecordError(PrunebenchError):
    """A record that cannot be read, or whose parts contradict each other."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a record, immutable. Types and bounds are checked when a record is loaded and before one is saved."""


class Layer(Part, frozen=True, kw_only=True, gc=False):
    """One prunable matrix: its size and its zeros, counted on the final weights."""

    name: str
    size: Count
    zeros: Count


class Sparsity(Part, frozen=True, kw_only=True, gc=False):
    """Requested and measured sparsity of the final weights."""

    requested: Number
    scheduled: Number
    """What the schedule asked for at the last step."""
    measured: Number
    """zeros / prunable."""
    prunable: Count
    zeros: Count
    exact: bool
    """Whether the criterion promises the exact count; if not, it decides itself how much to prune."""
    met: bool
    """Whether zeros is what was requested (`meets`)."""
    layers: list[Layer]


class Point(Part, frozen=True, kw_only=True, gc=False):
    """One point of the training curve; loss is the mean since the point before."""

    step: Count
    loss: Number | None
    lr: Number
    sparsity: Number
    """Measured, as evaluation sees the weights at this step."""
    score: Number | None = None
    """Held-out (or dev, under best_dev) score where one was taken."""


class Cost(Part, frozen=True, kw_only=True, gc=False):
    """What the run cost, seconds by the wall clock."""

    total_seconds: Number
    train_seconds: Number
    evaluate_seconds: Number
    step_seconds: Number
    """Seconds of a typical training step: the mean within each interval of the curve, and the median of those."""
    criterion_seconds: Number
    """Seconds spent on observing, scoring and masking, over all steps."""
    peak_bytes: Count
    """Peak memory: CUDA allocations, or resident memory on a CPU."""
    steps: Count
    epochs: Number | None = None
    """Passes over the rows of the training split, of which an example may have several. Records of versions up to 0.2 hold none."""
    resumed: list[Count] = field(default_factory=list)
    """Steps at which the run resumed from a checkpoint."""


class Selected(Part, frozen=True, kw_only=True, gc=False):
    """Which weights are reported: the last ones, or those with the best score."""

    protocol: Literal["last", "heldout", "best_dev"]
    step: Count
    score: Number | None = None
    """The score that selected them."""
    optimistic: bool = False
    """True if that score is of the reported split itself, which makes the reported score too good."""


class Record(Part, frozen=True, kw_only=True, gc=False):
    """One finished run. Metrics are percentages, higher is better, but for those in `lower_is_better`."""

    schema_version: int = field(name="schema")
    id: str
    spec: RunSpec
    metric: str
    """The headline metric, a key of `metrics`."""
    metrics: dict[str, Number]
    lower_is_better: list[str] = field(default_factory=list)
    """Metrics of which less is better, in a unit of their own, as the task says (perplexity)."""
    floor: dict[str, Number] = field(default_factory=dict)
    """Metrics of the best constant answer on the reported split where the task defines one. Records of versions up to 0.1 hold
    that of the training split's majority; reports compute it from the outcomes."""
    signatures: dict[str, str] = field(default_factory=dict)
    """How metrics were computed, for instance sacrebleu's signature."""
    sparsity: Sparsity
    selected: Selected
    curve: list[Point]
    cost: Cost
    splits: dict[str, str]
    counts: dict[str, Count]
    data_fingerprint: str
    model_fingerprint: str
    environment: dict[str, str]
    """The machine, its software and the day of the run (`date`: UTC, as 2026-01-31). Records of versions up to 0.2 hold no day."""
    teacher: str | None = None
    """Id of the dense run that taught this one."""
    outcomes_sha256: str
    notes: list[str] = field(default_factory=list)
    """What a reader must know, for instance that a sample was evaluated, or that the sparsity was missed."""

    @property
    def score(self) -> float:
        """The headline metric's value, in percent unless less of it is better."""
        return self.metrics[self.metric]

    def less_is_better(self, metric: str) -> bool:
        """Whether less of `metric` is better."""
        return metric in self.lower_is_better or metric in ERRORS

    @property
    def utility(self) -> float:
        """The headline metric's value, negated where less is better: more is better."""
        return -self.score if self.less_is_better(self.metric) else self.score


def record_path(folder: Path, run_id: str) -> Path:
    """Path of the record of `run_id` in a board's records folder."""
    return folder / f"{run_id}{RECORD}"


def outcomes_path(folder: Path, run_id: str) -> Path:
    """Path of the per-example outcomes of `run_id`."""
    return folder / f"{run_id}{OUTCOMES}"


def failure_path(folder: Path, run_id: str) -> Path:
    """Path of the note that `run_id` failed."""
    return folder / f"{run_id}{FAILED}"


def predictions_path(folder: Path, run_id: str) -> Path:
    """Path of the predicted text of `run_id`."""
    return folder / f"{run_id}{PREDICTIONS}"


def failure_reason(path: Path) -> str:
    """Why a run failed, from the file it left."""
    try:
        return str(json.loads(read_regular_file(path, MAX_RECORD))["reason"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return f"unreadable {path.name}"


def as_json(part: Struct) -> dict[str, Any]:
    """A record, or a part of one, as JSON values, every field by its name in the file."""
    raw: dict[str, Any] = msgspec.to_builtins(part, enc_hook=_plain)
    return raw


def _plain(value: Any) -> Any:
    if isinstance(value, RunSpec):
        return value.model_dump(mode="json")
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no place in a record")


def _to_bytes(record: Record) -> bytes:
    """The content of the record's file. A character that UTF-8 cannot encode (half of a surrogate pair) becomes '?'."""
    text = json.dumps(as_json(record), indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode(errors="replace")


def meets(spec: RunSpec, zeros: int, asked: int) -> bool:
    """Whether so many zeros are what the spec asks for: exactly so many after training, at least so many without any.

    A model that is not trained keeps the zeros that its files had, as those of weights that were stored in four bits.
    """
    return zeros == asked if spec.is_trained else zeros >= asked


def as_read_back(record: Record) -> Record:
    """The record as it would be loaded from its file, with plain Python numbers; RecordError names a field that would not load."""
    return parse_record(record_path(Path(), record.id), _to_bytes(record))


def save_record(folder: Path, record: Record, outcomes: bytes) -> Path:
    """Write outcomes, then the record (its presence means finished), then drop an old failure; returns the record's path.

    RecordError, and nothing is written, where the record could not be read back.
    """
    path, data = record_path(folder, record.id), _to_bytes(record)
    parse_record(path, data)
    write_bytes(outcomes_path(folder, record.id), outcomes)
    write_bytes(path, data)
    failure_path(folder, record.id).unlink(missing_ok=True)
    return path


def load_record(path: Path) -> Record:
    """Read and check one record; RecordError says what is wrong with which file."""
    try:
        data = read_regular_file(path, MAX_RECORD)
    except (OSError, ValueError) as error:
        raise RecordError(path, f"not a readable record ({error})") from error
    return parse_record(path, data)


def parse_record(path: Path, data: bytes) -> Record:
    """The record in `data`, the content of `path`; RecordError says what is wrong.

    Types are strict: "1" is not a number, and neither is NaN.
    """
    try:
        record = READER.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise RecordError(path, _why_not(data, error)) from error
    if record.schema_version != SCHEMA:
        raise RecordError(path, _other_schema(record.schema_version))
    if record.id != record.spec.id or path.stem != record.id:
        raise RecordError(path, f"file, id ({record.id}) and spec ({record.spec.id}) do not belong together")
    if record.metric not in record.metrics:
        raise RecordError(path, f"headline metric '{record.metric}' is not among {sorted(record.metrics)}")
    return record


def decode_spec(_: type, value: Any) -> Any:
    """The spec of a record from its JSON value, for msgspec, which knows all other types; ValueError names the wrong field."""
    try:
        if isinstance(value, dict) and type(seed := value.get("seed", 0)) is int and seed in SEEDS:
            return _with_seed_0(msgspec.json.encode(value | {"seed": 0})).with_seed(seed)
        return RunSpec.model_validate(value, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{where}: {pydantic_reason(first)}" if where else pydantic_reason(first)) from error


@lru_cache(4096)
def _with_seed_0(raw: bytes) -> RunSpec:
    """Specs that differ only in their seed, as most of a large board do, are validated once."""
    return RunSpec.model_validate_json(raw, strict=True)


READER = msgspec.json.Decoder(Record, dec_hook=decode_spec)


def _why_not(data: bytes, error: Exception) -> str:
    """Why `data` could not be decoded: not JSON, of another schema, or else the field that `error`, the decoder's, names."""
    try:
        raw = json.loads(data.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError) as fault:
        return f"not a readable record ({fault or type(fault).__name__})"
    version = raw.get("schema") if isinstance(raw, dict) else None
    if version != SCHEMA or isinstance(version, bool):
        return _other_schema(version)
    return _sentence(str(error)) if isinstance(error, msgspec.ValidationError) else f"not a readable record ({error})"


def _other_schema(version: object) -> str:
    return f"record schema {version!r}, this version reads schema {SCHEMA}"


def _sentence(said: str) -> str:
    """A message of msgspec (``Expected `float`, got `str` - at `$.cost.steps` ``) with the field named first."""
    what, _, where = said.partition(" - at `$")
    where = where.strip("`.")
    return f"field '{where}': {what}" if where else what


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def load_records(folder: Path) -> tuple[list[Record], list[RecordError]]:
    """All records of a folder, sorted by id, and the errors of files that could not be read, which are left as they are."""
    records: list[Record] = []
    problems: list[RecordError] = []
    for path in sorted(folder.glob(f"*{RECORD}")):
        if path.name.endswith(FAILED):
            continue
        try:
            records.append(load_record(path))
        except RecordError as error:
            problems.append(error)
    return records, problems
