"""The hyperparameters of a board, a row each and a column for each task, as papers print them in an appendix."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from benchmark.board.record import Record
from benchmark.report.cells import Cell
from benchmark.report.facts import describe, subject_of
from benchmark.report.layout import Line
from benchmark.report.names import Names, distinct, percent
from benchmark.report.table import Table
from benchmark.suite.spec import RunSpec, portable

Setting = Callable[[RunSpec], str]


def _trained(setting: Setting) -> Setting:
    """The setting of a run that takes a step; nothing of others."""
    return lambda spec: setting(spec) if spec.is_trained else ""


ROWS: Mapping[str, Setting] = {
    "Model": lambda spec: portable(spec.model),
    "Optimizer": _trained(lambda spec: {"adamw": "AdamW", "adamax": "Adamax"}[spec.training.optimizer]),
    "Learning rate": _trained(lambda spec: "tuned" if spec.tuned.trials else f"{spec.training.lr:g}"),
    "Warm-up": _trained(
        lambda spec: f"{percent(share)} of steps" if (share := spec.training.warmup) < 1 else f"{share:g} steps"
    ),
    "Weight decay": _trained(lambda spec: f"{spec.training.weight_decay:g}"),
    "Gradient clipping": _trained(lambda spec: "none" if spec.training.clip is None else f"{spec.training.clip:g}"),
    "Batch size": lambda spec: f"{spec.training.batch_size}",
    "Training length": lambda spec: spec.training.length,
    "Longest input (tokens)": lambda spec: f"{spec.training.max_length}",
    "Sparsity schedule": lambda spec: "" if spec.is_dense else spec.schedule,
    "Scope of ranking": lambda spec: "" if spec.is_dense else spec.scope,
    "Layer inputs of calibration": lambda spec: "of pruned blocks" if spec.calibration_inputs == "pruned" else "",
    "Sparsities": lambda spec: "" if spec.is_dense else percent(spec.sparsity),
    "Weights reported": lambda spec: spec.selection.replace("_", " "),
    "Held out of training": lambda spec: percent(spec.heldout) if spec.heldout else "none",
    "Seeds": lambda spec: f"{spec.seed}",
}
"""Settings that were chosen; several values in one column are listed."""
COUNTED: Mapping[str, Callable[[Record], str]] = {
    "Training examples": lambda record: f"{record.counts['train']:,}" if "train" in record.counts else "",
    "Reported examples": lambda record: f"{record.counts['reported']:,}" if "reported" in record.counts else "",
    "Prunable weights": lambda record: f"{record.sparsity.prunable:,}",
}
"""What runs recorded."""


def settings_table(records: Sequence[Record], specs: Sequence[RunSpec], *, title: str = "", names: Names) -> Table:
    """One row a setting, one column a task; below it everything else that is known of how the numbers were made."""
    plan = list(specs) or [record.spec for record in records]
    planned = {spec.id for spec in plan}
    used = [record for record in records if record.id in planned]
    tasks = list(dict.fromkeys(spec.task for spec in plan))
    rows: list[tuple[str, list[str]]] = []
    for name, setting in ROWS.items():
        rows.append((name, [_values(setting(spec) for spec in plan if spec.task == task) for task in tasks]))
    for name, counted in COUNTED.items():
        rows.append((name, [_values(counted(record) for record in used if record.spec.task == task) for task in tasks]))
    facts = describe([[spec] for spec in plan], used, 0, len(records) - len(used), "sd", "headline")
    pruning = re.sub(r",(?=\S)", ", ", facts.get("Pruning", ""))  # a line may end after the comma
    own = f" Pruning: {pruning}." if any(spec.method for spec in plan) else ""
    return Table(
        title=f"{title}: settings" if title else "Settings",
        row_fields=("Setting",),
        column_fields=("task",),
        rows=tuple(Line((name,), (name,)) for name, _ in rows),
        columns=tuple(Line((task,), (word,)) for task, word in distinct(tasks, names.task).items()),
        cells=tuple(tuple(Cell(text=text) for text in found) for _, found in rows),
        facts=facts,
        sentence=f"How the runs of {subject_of(plan, names)} were trained and pruned.{own}",
    )


def _values(texts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(text for text in texts if text))
