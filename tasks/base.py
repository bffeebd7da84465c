"""What a task is: data, a model head, a loss per decision, and metrics computed from per-example outcomes.

    task = Glue("rte")                              # options only: a frozen dataclass, nothing read yet
    prepared = task.prepare(Setting(data="mini", model="mini"))
    model = prepared.build(seed=0)
    for batch in prepared.batches("train", size=16, seed=0): losses, logits = prepared.forward(model, batch)
    prepared.evaluate(model, "reported").metrics

The harness sees only two classes, and neither knows that models get pruned:

    Task        options of a task. It must provide `prepare(setting)`, which reads and tokenizes the data and returns a Prepared,
                and `aggregate(outcomes)`, which makes metrics in percent of per-example outcomes.
    Prepared    a task opened on data and a model. It must provide `build`, `batches`, `forward`, `evaluate` and `save`, and the
                attributes that a record needs (metric, splits, counts, rows, notes, fingerprints).

The tasks here derive from `PreparedTask` (tasks/pipeline/prepared.py), which implements limits, the held-out part, the cache of
tokenized data, batching, evaluation and saving, and leaves to a task only `read_file`, `read_rows`, `encode`, `settings`, `forward`
and `outcomes`. `prunebench new task NAME` writes one that works.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

Batch = dict[str, Tensor]
"""Padded tensors, first dimension the batch; `index` [batch] holds each example's position in its split."""

Outcomes = dict[str, NDArray[Any]]
"""Per-example numbers, arrays of one first dimension: whatever the metrics sum over, never text."""


class TaskError(ValueError):
    """Data, a model or an option that does not fit; the message says what was found, where, and what was expected."""


class ModelError(TaskError):
    """A checkpoint that does not hold the model that it names, or a model that the task cannot use."""


class HubError(ModelError):
    """A model that is no folder here, and could not be had from the hub."""


@dataclass(frozen=True)
class Setting:
    """Where a task's data and model come from, and how much of them is used."""

    data: str = "mini"
    """`mini` (embedded), `hub` (datasets library), or a folder in the benchmark's own file format."""
    model: str = "mini"
    """`mini` (the embedded encoder or decoder, as the task needs), a hub id, a local folder, or a GGUF file; behind `random:` only its
    configuration and tokenizer are used and all weights are drawn."""
    max_length: int = 128
    heldout: float = 0.0
    """Share of the training examples carved out by `seed` for selection; they are never trained on."""
    seed: int = 0
    train_examples: int | None = None
    """At most so many training examples, the first of a fixed shuffle (the same for every seed)."""
    eval_examples: int | None = None
    """At most so many reported examples, chosen likewise: a declared sample, never comparable with published scores."""
    cache: Path | None = None
    """Folder of tokenized data, keyed by content; None keeps it in memory."""
    code: str = ""
    """A hash of the task's code where it is not built in: what other code read or tokenized is not taken from the cache."""
    trust_remote_code: bool = False


@dataclass(frozen=True)
class Evaluation:
    """One evaluation: `metrics` in percent, higher is better, but for the task's `lower_is_better`; `outcomes` per example;
    `predictions` as text."""

    metrics: dict[str, float]
    outcomes: Outcomes
    predictions: list[str] = field(default_factory=list)


class Prepared(ABC):
    """What `Task.prepare` returns: a task opened on data and a checkpoint. Its attributes go into the record."""

    metric: str
    """Headline metric: a key of every evaluation's `metrics`."""
    lower_is_better: frozenset[str] = frozenset()
    """Metrics of which less is better, in a unit of their own; all others are percentages of which more is better."""
    splits: dict[str, str]
    """What `train`, `heldout` and `reported` were read from, for instance {"train": "train.tsv", "reported": "dev.tsv"}."""
    counts: dict[str, int]
    """Examples in each split, after limits and carving."""
    rows: dict[str, int]
    """Rows that a pass over each split yields: more than examples where a long one makes several windows."""
    notes: list[str]
    """What a reader of the numbers must know: a sampled benchmark, limits."""
    data_fingerprint: str
    """Hash of the files (or hub ids and revisions) read."""
    model_fingerprint: str
    """Hash of the checkpoint's files."""

    @property
    def floor(self) -> dict[str, float]:
        """Metrics of the best constant answer on the reported split, each metric's own; empty where none is defined."""
        return {}

    @property
    def drawn(self) -> frozenset[str]:
        """Parameters that the model's files lack and `build` draws, such as a fresh head; empty where none is known of."""
        return frozenset()

    @property
    def pads(self) -> Mapping[str, int]:
        """What columns of a batch are padded with, by name; all others with zeros."""
        return {"labels": -100}

    @property
    def signatures(self) -> dict[str, str]:
        """How metrics were computed, for instance {"bleu": sacrebleu's signature}."""
        return {}

    @abstractmethod
    def build(self, seed: int) -> nn.Module:
        """The pretrained model with this task's head, in fp32 on the CPU; `seed` draws what the checkpoint lacks."""

    @abstractmethod
    def batches(self, split: str, size: int, seed: int | None) -> Iterator[Batch]:
        """One pass over `split` in batches of at most `size`: grouped by length in a seeded shuffle, or in order (None)."""

    @abstractmethod
    def forward(self, model: nn.Module, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """losses [decisions] and logits [decisions, classes] of a batch; a decision is an example, an unpadded token (tagging,
        generation) or a span end. Logits have one column in regression. Loss and logits are fp32 and finite."""

    def losses(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """The losses [decisions] of `forward` alone: a task with a large vocabulary may then hold few logits at a time."""
        return self.forward(model, batch)[0]

    @abstractmethod
    def evaluate(self, model: nn.Module, split: str) -> Evaluation:
        """Metrics, per-example outcomes and predictions of `model` (put in eval mode, then back) on `heldout` or `reported`."""

    @abstractmethod
    def save(self, model: nn.Module, folder: Path) -> None:
        """Write model and tokenizer as a Hugging Face folder that `from_pretrained` opens."""


@dataclass(frozen=True)
class Task(ABC):
    """A task's options; `variant` is what follows the slash of `family/variant`, empty where a family has none."""

    label: ClassVar[str] = ""
    """What tables and figures call it; the name of the class in words if left empty."""

    variants: ClassVar[tuple[str, ...]] = ()
    headline: ClassVar[str] = ""
    """Name of the headline metric where all variants share one."""
    lower_is_better: ClassVar[frozenset[str]] = frozenset()
    """Names of the metrics of which less is better (perplexity): tables, marks, tests and selection then turn round."""

    variant: str = ""
    skip_malformed: bool = False
    """Pass over records that cannot be read instead of stopping at the first; their number and the first one's place are noted."""

    def __post_init__(self) -> None:
        """TaskError where an option is not of its type; a subclass that checks more calls this first."""
        require_types(self)

    @property
    def metric(self) -> str:
        """The headline metric of this task."""
        return self.headline

    @abstractmethod
    def prepare(self, setting: Setting) -> Prepared:
        """Read, check and tokenize the data, and open the checkpoint. TaskError names file and line of what is wrong."""

    @abstractmethod
    def aggregate(self, outcomes: Outcomes) -> dict[str, float]:
        """Metrics from per-example outcomes, in percent (those of `lower_is_better` in their own unit): what `evaluate` reports,
        and what paired tests resample."""

    def constants(self, outcomes: Outcomes) -> Iterator[Outcomes]:
        """What each constant answer would leave on the examples of `outcomes`: each class of `label` [examples] in turn, or
        its mean where labels are no classes. None where outcomes have no `prediction` [examples] beside it."""
        label, prediction = outcomes.get("label"), outcomes.get("prediction")
        if label is None or prediction is None or label.ndim != 1 or prediction.shape != label.shape or not label.size:
            return
        kept = {name: values for name, values in outcomes.items() if not name.startswith("extra_")}
        for answer in np.unique(label) if label.dtype.kind in "biu" else [label.mean()]:
            yield {**kept, "prediction": np.full_like(prediction, answer)}

    def floor(self, outcomes: Outcomes) -> dict[str, float]:
        """The best that a constant answer scores on the examples of `outcomes`, for each metric; empty where none is known."""
        best: dict[str, float] = {}
        for constant in self.constants(outcomes):
            for name, value in self.aggregate(constant).items():
                better = min if name in self.lower_is_better else max
                best[name] = better(value, best.get(name, value))
        return best


def resample(outcomes: Outcomes, index: NDArray[np.intp]) -> Outcomes:
    """The outcomes of the examples at `index` (repeats allowed): one bootstrap sample."""
    return {name: values[index] for name, values in outcomes.items()}


@contextmanager
def in_eval_mode(model: nn.Module) -> Iterator[None]:
    """Within, no module of `model` trains; afterwards each is in the mode that it was in."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


TYPES: dict[object, tuple[type, str]] = {
    bool: (bool, "True or False"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    str: (str, "a text"),
}
"""What options of these types may hold, and how that is called."""


def require_types(options: object) -> None:
    """Raise TaskError unless every option of this dataclass is of its field's type, and finite; True is no number."""
    for option in dataclasses.fields(options):  # type: ignore[arg-type]
        value, known = getattr(options, option.name), TYPES.get(option.type)
        if known is None or value is option.default:
            continue
        kind, words = known
        if not isinstance(value, kind) or isinstance(value, bool) != (option.type is bool):
            raise TaskError(f"{option.name}={value!r}: expected {words}")
        if isinstance(value, float) and not isfinite(value):
            raise TaskError(f"{option.name}={value!r}: expected a finite number")
