"""Which cells are measured, and the task opened for both sides."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from benchmark.suite.spec import RunSpec, Training
from benchmark.training.run import Options, open_task
from tasks.pipeline.prepared import PreparedTask


@dataclass(frozen=True)
class Cell:
    """One cell to compare: the task, our regularizer, the published batch size, and how many times faster it should be."""

    task: str
    regularizer: str
    batch: int
    bound: float


CELLS = (
    Cell("glue/rte", "self_regularization", 16, 2.5),
    Cell("glue/cola", "none", 32, 10),
    Cell("glue/sst2", "none", 32, 10),
)
"""Batch sizes of the published recipes; both sides see max_length 128, as published."""

MINI_CELLS = (Cell("glue/sst2", "self_regularization", 16, 1), Cell("glue/sst2", "none", 16, 1))
"""On the embedded data; no target is set for a model so small."""


@dataclass(frozen=True)
class Place:
    """Data, model and step count of the measured cells."""

    data: str = "mini"
    model: str = "mini"
    steps: int = 60
    eval_examples: int | None = None
    naive: bool = True
    """Whether the naive loop runs them too, and several run at once; without, the harness runs one at a time."""

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Those whose files are at hand."""
        if self.data == "mini":
            return MINI_CELLS
        from tasks.glue import VARIANTS

        folder = Path(self.data) / "glue"
        return tuple(cell for cell in CELLS if (folder / VARIANTS[cell.task.partition("/")[2]].folder).is_dir())

    def spec(self, cell: Cell) -> RunSpec:
        """The cell under the controlled protocol."""
        return RunSpec(
            task=cell.task,
            data=self.data,
            model=self.model,
            criterion="principled",
            regularizer=cell.regularizer,
            sparsity=0.8,
            training=Training(
                steps=self.steps, batch_size=cell.batch, lr=1e-4, max_length=128, eval_examples=self.eval_examples
            ),
        )


def opened(spec: RunSpec) -> PreparedTask[Any]:
    """The task of `spec`, read and tokenized in memory: neither side pays for it again."""
    return cast("PreparedTask[Any]", open_task(spec, Options()))


def ready() -> None:
    """Import what a cell would import on its first evaluation, so that no clock runs while libraries are read from the disk."""
    for library in ("sklearn.metrics", "transformers"):
        import_module(library)
