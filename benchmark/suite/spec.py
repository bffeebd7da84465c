"""RunSpec: every choice that can change a result, and the stable id made of them."""

import hashlib
import json
from functools import cached_property, lru_cache
from math import ceil
from operator import itemgetter
from pathlib import PurePath
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Selection = Literal["last", "heldout", "best_dev"]
CallPoint = Literal["before", "after"]
Inputs = Literal["dense", "pruned"]
Precision = Literal["fp32", "bf16", "fp16"]

GATE = 10.0
"""Points above its floor that every dense run of a task has to score for the task to count, unless a suite says otherwise."""
DENSE = "dense"
"""The criterion of unpruned runs: no plugin, nothing is ranked."""

SEED = "<seed>"
"""Stands for the seed in the text that an id is a hash of."""
_AS_KEY = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)

RANDOM = "random:"
"""Before a model's name: only its configuration and tokenizer are used, and all weights are drawn."""

MODES = ("mini", "hub")
"""Data sources that are not folders."""


Whole = Annotated[int, Field(strict=True, gt=-(2**53), lt=2**53)]
Real = Annotated[float, Field(strict=True)]
"""Numbers must be written as numbers: `seeds: [true]` is a mistake, not seed 1, and so are "3" and 3.0."""
SEEDS = range(2**32)
"""Seeds that all random generators accept."""
Seed = Annotated[Whole, Field(ge=0, lt=2**32)]


def _some_or_none(share: float) -> float:
    if 0 < share < 0.001:
        raise ValueError("less than a thousandth of the training examples: expected 0, or 0.001 to 0.5")
    return share


Rate = Annotated[Real, Field(ge=1e-9, le=10)]
"""A learning rate."""
Heldout = Annotated[Real, Field(ge=0, le=0.5), AfterValidator(_some_or_none)]
"""A share of the training split that is kept aside."""


class Strict(BaseModel):
    """Immutable; unknown keys are errors, and so are infinities."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Training(Strict):
    """The budget and the optimizer, shared by every cell of a board."""

    epochs: Annotated[Real, Field(ge=0.001, le=10_000)] | None = None
    """Passes over the training split; exactly one of epochs and steps (3 epochs if neither is given)."""
    steps: Annotated[Whole, Field(ge=0, le=10**9)] | None = None
    """Optimizer steps. 0 trains nothing: a pretrained model is pruned once and evaluated."""
    batch_size: Annotated[Whole, Field(gt=0, le=2**16)] = 32
    lr: Rate = 5e-5
    """Peak learning rate: linear warm-up, then linear decay to zero."""
    warmup: Annotated[Real, Field(ge=0)] = 0.1
    """A share of all steps below 1, else steps."""
    optimizer: Literal["adamw", "adamax"] = "adamw"
    weight_decay: Annotated[Real, Field(ge=0, le=10)] = 0.0
    """On weight matrices only: decoupled under adamw; under adamax torch's L2 term, added to the gradient after clipping."""
    clip: Annotated[Real, Field(ge=1e-6, le=1e6)] | None = 1.0
    """Largest gradient norm."""
    max_length: Annotated[Whole, Field(gt=0)] = 128
    """Longest input in tokens."""
    checkpoints: Annotated[Whole, Field(gt=0, le=10_000)] = 10
    """Evaluations during training, evenly spaced: a regularizer may adopt a teacher there, and the protocol may score the model."""
    train_examples: Annotated[Whole, Field(ge=4)] | None = None
    """Train on at most so many examples."""
    eval_examples: Annotated[Whole, Field(ge=2)] | None = None
    """Report on at most so many examples: a declared sample."""

    @model_validator(mode="after")
    def _one_budget(self) -> "Training":
        if self.epochs is not None and self.steps is not None:
            raise ValueError(f"give epochs or steps, not both (epochs={self.epochs}, steps={self.steps})")
        if self.steps and (problem := self.warmup_problem(self.steps)):
            raise ValueError(problem)
        return self

    def warmup_problem(self, total: int) -> str:
        """What is wrong with the warm-up in a run of `total` steps; empty where it ends in time."""
        return (
            f"a warm-up of {self.warmup:g} steps does not end in a run of {total}"
            if self.warmup > max(1, total)
            else ""
        )

    @property
    def length(self) -> str:
        """`500 steps` or `3 epochs`."""
        return f"{self.steps} steps" if self.steps is not None else f"{self.epochs or 3:g} epochs"

    def total(self, examples: int) -> int:
        """Optimizer steps for a training split of `examples`."""
        if self.steps is not None:
            return self.steps
        return max(1, round((self.epochs or 3.0) * self.steps_per_epoch(examples)))

    def steps_per_epoch(self, examples: int) -> int:
        """Optimizer steps for one pass over `examples`, of which the last may take fewer than a batch."""
        return -(-examples // self.batch_size)


class Plugins(Strict):
    """Third-party plugins of a cell: `distribution version hash-of-source`, or the hash alone of a file; empty: built in."""

    task: str = ""
    criterion: str = ""
    regularizer: str = ""
    schedule: str = ""


class Tuned(Strict):
    """How a tuned cell's options and learning rate were found; without trials nothing was tuned."""

    row: str = ""
    """The criterion as its board names it, before tuning."""
    trials: Annotated[Whole, Field(ge=0)] = 0
    """Number of trials, the same for every row."""
    lr: Annotated[Real, Field(ge=0)] = 0.0
    """The learning rate before tuning, which dense runs (and so teachers) keep."""
    seed: Annotated[Whole, Field(ge=0)] = 0
    """Seed of the trials."""
    heldout: Heldout = 0.0
    """Share of the training split that the trials were scored on, and not trained on."""
    space: str = ""
    """Hash of what was searched."""


class RunSpec(Strict):
    """One cell of a board: task x model x criterion x regularizer x sparsity x seed, under one protocol."""

    task: str
    model: str = "mini"
    data: str = "mini"
    criterion: str = DENSE
    regularizer: str = "none"
    sparsity: Annotated[Real, Field(ge=0, lt=1)] = 0.0
    """Share of the prunable weights to remove; 0 is the dense model."""
    seed: Seed = 0
    schedule: str = "cubic"
    """The schedule of records that name none. Suites always name one, `gradual` by default."""
    scope: str = "global"
    """Where scores compete: global, layer, row, n:m, block[h,w], erk, owl, owl[row], alphapruning, alphapruning[row],
    alphapruning[tau=t], alphapruning[row,tau=t], published."""
    selection: Selection = "last"
    """Which weights are reported: those after the last step, the best on held-out training data, or the best on the
    reported split itself (optimistic, flagged)."""
    heldout: Heldout = 0.0
    """Share of the training split kept for selection."""
    call_point: CallPoint = "before"
    """Criteria observe before the optimizer step (after clipping) or after it, with the same gradient."""
    calibration_inputs: Inputs = "dense"
    """What layers are fed where a criterion is calibrated on their inputs: what the dense model gives, or what pruned earlier
    blocks give. Suites say `pruned` for one-shot pruning in scopes that settle each matrix by itself."""
    precision: Precision = "fp32"
    """What weights are kept as; anything but fp32 only where nothing is trained."""
    training: Training = Training()
    plugins: Plugins = Plugins()
    """Identities of plugins that are not built in, so that a changed plugin makes a new cell (identity.py)."""
    method: str = ""
    """The suite's name of this row, if it is a method with its own scope or schedule; else empty."""
    tuned: Tuned = Tuned()
    """How criterion and learning rate were tuned, if they were; part of the id."""

    @model_validator(mode="after")
    def _dense_is_dense(self) -> "RunSpec":
        if (self.sparsity == 0) != (self.criterion == DENSE):
            raise ValueError(
                f"sparsity 0 and criterion '{DENSE}' go together: found {self.criterion} at sparsity {self.sparsity}"
            )
        if self.selection == "heldout" and self.heldout == 0:
            raise ValueError("selection 'heldout' needs heldout > 0")
        if (pool := self.training.train_examples) is not None and (problem := self.heldout_problem(pool)):
            raise ValueError(problem)
        return self

    def heldout_problem(self, examples: int) -> str:
        """Why nothing can be held out of so many training examples, though it should be; else empty."""
        if not 0 < self.heldout * examples < 1:
            return ""
        return (
            f"heldout {self.heldout:g} of {examples} training examples is less than one example: expected "
            f"{ceil(1 / self.heldout)} examples or more, or a larger heldout"
        )

    @cached_property
    def id(self) -> str:
        """16 hex digits of a hash of everything that differs from the defaults; paths of model, data and plugins do not count."""
        return _hashed(_AS_KEY.encode(self.keyed))

    @cached_property
    def keyed(self) -> dict[str, Any]:
        """What the id is a hash of: JSON values of the recorded spec that differ from the defaults."""
        return self.recorded().model_dump(exclude_defaults=True, mode="json")

    @cached_property
    def _keyed_with_any_seed(self) -> str:
        """The text that the id of a cell with another seed is a hash of, with SEED in the seed's place."""
        return _AS_KEY.encode(self.keyed | {"seed": SEED})

    def __copy__(self) -> Self:
        """A copy without cached values, which `model_copy` will change fields of."""
        copied = super().__copy__()
        for name in ("id", "keyed", "_keyed_with_any_seed"):
            copied.__dict__.pop(name, None)
        return copied

    def with_seed(self, seed: int) -> Self:
        """The same cell with another seed, made with its id in a few microseconds: large grids differ in seeds mostly."""
        copied = self.__copy__()
        copied.__dict__["seed"] = seed
        if seed:  # 0 is the default, which ids leave out
            copied.__dict__["id"] = _hashed(self._keyed_with_any_seed.replace(f'"seed":"{SEED}"', f'"seed":{seed}'))
        return copied

    @property
    def but_seed(self) -> tuple[object, ...]:
        """Every choice but the seed, the same for all runs that one cell of a table is the mean of."""
        found: tuple[object, ...] = _BUT_SEED(vars(self))
        return found

    @property
    def is_dense(self) -> bool:
        """Whether this is a dense run: nothing is pruned."""
        return self.sparsity == 0

    @property
    def is_trained(self) -> bool:
        """Whether any optimizer step is taken."""
        return self.training.steps != 0

    @property
    def cell(self) -> str:
        """A readable name: task, criterion, regularizer, sparsity and seed."""
        return f"{self.unseeded} seed {self.seed}"

    @property
    def unseeded(self) -> str:
        """`cell` without the seed."""
        regularizer = "" if self.regularizer == "none" else f"+{self.regularizer}"
        sparsity = "" if self.is_dense else f" {self.sparsity:g}"
        return f"{self.task} {self.row}{regularizer}{sparsity}"

    @property
    def named(self) -> str:
        """`cell` and the id, as messages give them."""
        return f"{self.cell} ({self.id})"

    @property
    def row(self) -> str:
        """The row's name in tables: its method or criterion, or `name (tuned)`, whatever options tuning chose."""
        return f"{self.tuned.row} (tuned)" if self.tuned.trials else self.method or self.criterion

    def dense(self) -> "RunSpec":
        """The dense run with the same task, data, seed and budget, which is distillation's teacher."""
        training = self.training.model_copy(update={"lr": self.tuned.lr}) if self.tuned.trials else self.training
        return self.model_copy(
            update={
                "criterion": DENSE,
                "regularizer": "none",
                "sparsity": 0.0,
                "schedule": "cubic",
                "scope": "global",
                "call_point": "before",
                "calibration_inputs": "dense",
                "training": training,
                "method": "",
                "tuned": Tuned(),
                "plugins": Plugins(task=self.plugins.task),
            }
        )

    def recorded(self) -> "RunSpec":
        """This spec without folders: model and plugin files by their names, a data folder as 'files'. The id is the same.

        A task's file keeps its path, because tables load the task for its metrics.
        """
        changes: dict[str, object] = {}
        if (model := portable(self.model)) != self.model:
            changes["model"] = model
        if self.data not in MODES:
            changes["data"] = "files"
        for field in ("criterion", "regularizer", "schedule"):
            if (name := portable_plugin(getattr(self, field))) != getattr(self, field):
                changes[field] = name
        if (row := portable_plugin(self.tuned.row)) != self.tuned.row:
            changes["tuned"] = self.tuned.model_copy(update={"row": row})
        return self.model_copy(update=changes) if changes else self


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


_BUT_SEED = itemgetter(*(name for name in RunSpec.model_fields if name != "seed"))


@lru_cache(1000)
def portable(model: str) -> str:
    """A model's name: the last part of its hub id or path, so that one board has the same ids on every machine.

    A folder that is called `mini` is not the embedded model.
    """
    if model.startswith(RANDOM):
        return RANDOM + portable(model.removeprefix(RANDOM))
    name = PurePath(model).name
    return f"{name} (folder)" if name == "mini" != model else name


@lru_cache(1000)
def portable_plugin(text: str) -> str:
    """A configured plugin that is named by its file, without the folder: `ideas/mine.py[power=2]` is `mine.py[power=2]`."""
    if ".py" not in text:
        return text
    name, bracket, options = text.partition("[")
    location, colon, cls = name.partition(":")
    return f"{PurePath(location).name}{colon}{cls}{bracket}{options}" if location.endswith(".py") else text


def portable_row(row: str) -> str:
    """A row (`criterion + regularizer`, or either) as records and tables spell it: files without their folders."""
    return " + ".join(map(portable_plugin, row.split(" + ")))
