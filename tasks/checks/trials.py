"""A task opened on a few examples, on which its contract can be tried: what the checks share."""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from torch import nn

from tasks.base import Batch, Evaluation, Prepared, Setting, Task, TaskError

TRAIN, REPORTED, HELDOUT, LENGTH = 32, 8, 0.25, 64
"""Limits of the trial: examples trained on and reported, the held-out share, and tokens."""

SPLITS = {"train", "heldout", "reported"}

RowCount = Counter[tuple[Any, ...]]
"""How often each row's content occurs."""


@dataclass(frozen=True)
class Trial:
    """A task and the setting that it is tried in; opened once, with one model and one evaluation of it."""

    task: Task
    setting: Setting

    @property
    def name(self) -> str:
        """What the task is called in advice."""
        return type(self.task).__name__

    @cached_property
    def prepared(self) -> Prepared:
        """The task opened."""
        return self.prepare()

    @cached_property
    def evaluation(self) -> Evaluation:
        """The freshly built model on the reported examples."""
        return self.prepared.evaluate(self.build(), "reported")

    def prepare(self, **changes: Any) -> Prepared:
        """The task opened in a changed setting; AssertionError, with advice, where it cannot be."""
        setting = replace(self.setting, **changes)
        try:
            return self.task.prepare(setting)
        except TaskError as error:
            raise AssertionError(
                f"{self.name} cannot be opened on data {setting.data!r} with model {setting.model!r}: {error}. "
                "Where the embedded data are not for it, name its own: data=FOLDER, and model=FOLDER or a hub id "
                "(prunebench check TASK --data FOLDER, and --model)"
            ) from error

    def build(self, seed: int = 0) -> nn.Module:
        """A model of its own."""
        return self.prepared.build(seed)

    def batches(self, size: int = 8, seed: int | None = 0, split: str = "train") -> list[Batch]:
        """One pass over a split."""
        return list(self.prepared.batches(split, size, seed))


def contents(prepared: Prepared, split: str) -> RowCount:
    """The rows of a split, each alone in its batch (so that nothing pads it), without their positions."""
    return Counter(
        tuple((name, tuple(batch[name].tolist())) for name in sorted(batch) if name != "index")
        for batch in map(_flat, prepared.batches(split, 1, None))
    )


def _flat(batch: Batch) -> Batch:
    return {name: tensor.reshape(-1) for name, tensor in batch.items()}
