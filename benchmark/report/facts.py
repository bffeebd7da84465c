"""The facts of a table, without which its numbers cannot be judged: seeds, selection, scope, what sparsity counts, model, data,
budget, version and commit. A fact on which the runs agree is said once; otherwise it is said for each task.

The caption says what is compared (`subject_of`, `seeds_of`); the facts go below it or into the notes.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import TypeVar

from benchmark.board.record import Record
from benchmark.report.floors import CONSTANT
from benchmark.report.names import Names, family, listed
from benchmark.report.numbers import count_of
from benchmark.suite.spec import RunSpec, portable

T = TypeVar("T", RunSpec, Record)

MEANS = {
    "sd": "mean ± standard deviation over the seeds (n - 1)",
    "interval": "mean [95 % t interval over the seeds]",
    "none": "mean over the seeds",
}
METRICS = {"headline": "each task's headline metric", "all": "all metrics"}
SELECTIONS = {
    "last": "weights after the last step",
    "heldout": "best weights on held-out training data",
    "best_dev": "best weights on the reported split itself (optimistic)",
}
SEVERAL_ROWS = ("squad", "text")
"""Families of tasks whose examples may have several rows each."""
MOST = 5
"""Tasks that a caption names one by one."""


def subject_of(specs: Sequence[RunSpec], names: Names) -> str:
    """`MODEL on TASKS` of the planned runs, repeats allowed; many tasks of one family are counted."""
    models = listed(names.word("model", portable(spec.model)) for spec in specs)
    tasks = list(dict.fromkeys(spec.task for spec in specs))
    glue = [task for task in tasks if family(task) == "glue"]
    words = [names.task(task) for task in tasks]
    if len(words) > MOST and len(glue) > 2:
        words = [f"{len(glue)} GLUE tasks", *(names.task(task) for task in tasks if task not in glue)]
    return f"{models} on {listed(words)}"


def seeds_of(runs: Sequence[Sequence[RunSpec]]) -> str:
    """`3 seeds`, or `1 to 3 seeds` where cells differ; `runs` as in `describe`."""
    counts = _counts(runs)
    few = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0])
    return f"{few} seed{'' if few == '1' else 's'}"


def _counts(runs: Sequence[Sequence[RunSpec]]) -> list[int]:
    by_method: dict[tuple[object, ...], set[int]] = {}
    for specs in runs:
        spec = specs[0]
        place = (spec.task, spec.row, spec.regularizer, spec.sparsity, spec.model)
        by_method.setdefault(place, set()).update(spec.seed for spec in specs)
    return sorted({len(found) for found in by_method.values()})


def describe(
    runs: Sequence[Sequence[RunSpec]],
    records: Sequence[Record],
    failed: int,
    left_out: int,
    spread: str,
    metric: str,
) -> dict[str, str]:
    """The facts in their order; `runs` are the planned ones, together those that differ in the seed alone, and `records`
    those shown (repeats allowed in both).

    `failed` and `left_out` count runs that failed, and records that are not of this board.
    """
    planned = len({spec.id for specs in runs for spec in specs})
    finished = len({record.id for record in records})
    specs, records = [specs[0] for specs in runs], _told_apart(records)
    prunable = _by_task(records, lambda record: f"{record.sparsity.prunable:,} prunable")
    facts = {
        "Cells": f"{MEANS[spread]}, {METRICS.get(metric, metric)} {_unit(records, metric)}; missing and failed runs are "
        "shown as such",
        "Seeds": _seeds(runs),
        "Selection": _by_task(specs, _selection),
        "Pruning": _pruning(specs),
        "Sparsity": "zeros / prunable weights, counted on the final weights" + (f"; {prunable}" if prunable else ""),
        "Model": _by_task(records, lambda r: f"{r.spec.model} [{r.model_fingerprint[:8]}]")
        or _by_task(specs, lambda spec: spec.model),
        "Data": _by_task(records, _data) or _by_task(specs, lambda spec: spec.data),
        "Budget": _by_task(specs, _budget),
        "Epochs": _by_task([record for record in records if record.cost.steps], _epochs),
        "Tuning": _by_task([spec for spec in specs if spec.tuned.trials], _tuning),
        "Made with": _made(records),
        "Runs": f"{finished} of {planned} finished" + (f", {failed} failed" if failed else ""),
    }
    if left_out:
        facts["Left out"] = f"{count_of(left_out, 'record')} that this board does not plan"
    facts["Remarks of the runs"] = _remarks(text for record in records for text in record.notes if text != CONSTANT)
    return {name: text for name, text in facts.items() if text}


HASHABLE = attrgetter(
    "spec.task", "spec.model", "spec.data", "spec.training.batch_size", "cost.steps", "cost.epochs", "sparsity.prunable",
    "model_fingerprint", "data_fingerprint",
)  # fmt: skip
UNHASHABLE = attrgetter("environment", "notes", "counts", "splits")
"""The parts of a record that the facts are made of."""


def _told_apart(records: Sequence[Record]) -> list[Record]:
    """The first of all records that say the same in every fact: of thousands a few are left."""
    told: list[Record] = []
    found: dict[object, list[object]] = {}
    for record in records:
        known, said = found.setdefault(HASHABLE(record), []), UNHASHABLE(record)
        if said not in known:
            known.append(said)
            told.append(record)
    return told


def _unit(records: Sequence[Record], metric: str) -> str:
    """Percent, and which of the metrics shown are errors in a unit of their own."""
    shown = [(record, name) for record in records for name in record.metrics if metric in (name, "all")]
    shown = [(record, record.metric) for record in records] if metric == "headline" else shown
    errors = dict.fromkeys(name for record, name in shown if record.less_is_better(name))
    if not errors:
        return "in percent"
    if any(name not in errors for _, name in shown):
        return f"in percent, but for {listed(errors)} (lower is better)"
    return "(lower is better)" if metric in errors else f"({listed(errors)}, lower is better)"


def _seeds(runs: Sequence[Sequence[RunSpec]]) -> str:
    seeds = sorted({spec.seed for specs in runs for spec in specs})
    counts = _counts(runs)
    n = f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]}"
    few = "; a single seed shows no spread" if counts[-1] == 1 else ""
    return f"{', '.join(map(str, seeds))} ({n} for each cell{few})"


def _selection(spec: RunSpec) -> str:
    share = f" ({spec.heldout:.0%} of it)" if spec.selection == "heldout" else ""
    return SELECTIONS[spec.selection] + share


def _pruning(specs: Sequence[RunSpec]) -> str:
    pruned = [spec for spec in specs if not spec.is_dense]
    shared = [spec for spec in pruned if not spec.method]
    named = dict.fromkeys(spec.method for spec in pruned if spec.method)
    own = [_by_task([spec for spec in pruned if spec.method == name], _method) for name in named]
    call = _by_task(pruned, lambda spec: f"criteria observe {spec.call_point} the optimizer step")
    scope = _by_task(shared, lambda spec: f"scope {spec.scope}")
    schedule = _by_task(shared, lambda spec: f"schedule {spec.schedule}")
    fed = _by_task(
        [spec for spec in shared if spec.calibration_inputs == "pruned"], lambda spec: f"{spec.criterion} {FED}"
    )
    return "; ".join((", ".join(part for part in (scope, schedule, call, fed) if part), *own))


FED = "calibrated on what pruned blocks give"
"""Said of a criterion whose layer inputs come from pruned earlier blocks."""


def _method(spec: RunSpec) -> str:
    """What a named method consists of, in what may differ from the board's other rows."""
    criterion = "" if spec.tuned.trials else f"{spec.criterion}, "
    fed = f", {FED}" if spec.calibration_inputs == "pruned" else ""
    return f"{spec.method}: {criterion}scope {spec.scope}, schedule {spec.schedule}{fed}"


def _data(record: Record) -> str:
    counts = ", ".join(f"{count:,} {split}" for split, count in record.counts.items() if split in ("train", "reported"))
    source = record.splits.get("reported", "")
    return f"{record.spec.data}: {counts}{f' from {source}' if source else ''} [{record.data_fingerprint[:8]}]"


def _budget(spec: RunSpec) -> str:
    training = spec.training
    if not spec.is_trained:
        kept = "" if spec.precision == "fp32" else f", weights in {spec.precision}"
        return f"no training, calibrated in batches of {training.batch_size}{kept}"
    rate = "learning rate tuned" if spec.tuned.trials else f"learning rate {training.lr:g}"
    return f"{training.length} of batch {training.batch_size}, {training.optimizer}, {rate}"


def _epochs(record: Record) -> str:
    passes, examples = passes_over_data(record), record.counts.get("train", 0)
    return (
        f"{count_of(f'{passes:.2g}', 'pass')} over the {examples:,} training examples"
        if passes
        else "passes not recorded"
    )


def passes_over_data(record: Record) -> float:
    """Passes over the training split that the steps come to, which steps alone do not say; 0 where that is not known.

    Records of versions up to 0.2 count examples and not their rows, which are windows of a text, or the texts of one meaning.
    """
    if record.cost.epochs is not None or family(record.spec.task) in SEVERAL_ROWS:
        return record.cost.epochs or 0.0
    trained = record.counts.get("train", 0)
    return record.cost.steps * record.spec.training.batch_size / trained if trained else 0.0


def _tuning(spec: RunSpec) -> str:
    tuned = spec.tuned
    return (
        f"rows marked (tuned): options and learning rate by {tuned.trials} trials each at seed {tuned.seed}, scored on "
        f"{tuned.heldout:.0%} of the training data held out, never on the reported split"
    )


MADE = {"prunebench": "prunebench ", "commit": "commit ", "torch": "torch ", "device": "", "precision": ""}
"""What is said of versions and machine, and the words before each."""


def _made(records: Sequence[Record]) -> str:
    """Versions and machine, with all commits of the runs of a task that have the same."""

    def machine(record: Record) -> object:
        return record.spec.task, *(record.environment.get(name) for name in MADE if name != "commit")

    def made(record: Record) -> str:
        found = [commit for commit in commits[machine(record)] if commit]
        known = record.environment | ({"commit": listed(found)} if found else {})
        words = MADE | ({"commit": "commits "} if len(found) > 1 else {})
        return ", ".join(f"{word}{known[name]}" for name, word in words.items() if name in known)

    commits: dict[object, dict[str, None]] = {}
    for record in records:
        commits.setdefault(machine(record), {})[record.environment.get("commit", "")] = None
    return _by_task(records, made)


def _remarks(texts: Iterable[str]) -> str:
    """Every remark once; those that differ in their first number alone are one, with the least and the greatest."""
    numbers: dict[str, list[int]] = {}
    for text in texts:
        first, _, rest = text.rstrip(".").partition(" ")
        if re.fullmatch(r"\d{1,18}", first):
            numbers.setdefault(rest, []).append(int(first))
        else:
            numbers.setdefault(text.rstrip("."), [])
    said = []
    for text, found in numbers.items():
        ends = sorted({min(found), max(found)}) if found else []
        said.append(f"{' to '.join(map(str, ends))} {text}".lstrip())
    return "; ".join(said)


def _by_task(items: Sequence[T], describe_one: Callable[[T], str]) -> str:
    """One text where all agree, else `text (task, task); text (task)`, tasks in order."""
    tasks: dict[str, list[str]] = {}
    for item in items:
        spec = item if isinstance(item, RunSpec) else item.spec
        tasks.setdefault(describe_one(item), []).append(spec.task)
    if len(tasks) <= 1:
        return next(iter(tasks), "")
    return "; ".join(f"{text} ({', '.join(dict.fromkeys(found))})" for text, found in tasks.items())
