"""`prunebench verify`: holds every finished cell against itself: id, schema, checksums, counts, metrics, sparsity, weights.

Reads, and changes nothing. What is wrong makes the exit code 1; what is only worth knowing (a file that belongs to no cell) is
named and does not.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from benchmark.board.board import Board, Source
from benchmark.board.outcomes import load_outcomes
from benchmark.board.record import Record, RecordError, load_record, meets, record_path
from benchmark.board.weights import read_weights, weights_path
from benchmark.commands.views import aggregate
from benchmark.engine.sources import refuse_other_sources
from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from benchmark.plugins.files import files_run, is_file
from benchmark.pruning.masks import parse_scope
from benchmark.suite.spec import RunSpec
from benchmark.training.run import Options, open_task
from tasks.base import ModelError
from tasks.metrics.classification import is_constant
from tasks.pipeline.checkpoints import RANDOM

ENDINGS = (".predictions.json.gz", ".failed.json", ".json", ".npz")

SECONDS = ("total_seconds", "train_seconds", "evaluate_seconds", "step_seconds", "criterion_seconds")


@dataclass(frozen=True)
class Finding:
    """One line: what it is about, and what was found."""

    about: str
    words: str
    wrong: bool = True

    def __str__(self) -> str:
        return f"{'WRONG' if self.wrong else 'note '} {self.about}: {self.words}"


def verify_board(
    board: Board,
    cells: Sequence[RunSpec] | None = None,
    rerun: Callable[[RunSpec, Record], Finding] | None = None,
    more: Sequence[Finding] = (),
    tell: Callable[[str], None] = print,
) -> bool:
    """Tell every finding and a summary; whether anything is wrong.

    Of all cells, with whatever else lies among the records, where no `cells` are given. `rerun` runs a cell again and compares.
    """
    chosen = board.suite.cells() if cells is None else cells
    found: list[Finding] = []
    strangers = _strangers(board) if cells is None else iter(())
    parts = model_findings(board, chosen), verify(board, chosen, rerun), strangers
    for finding in chain(more, *parts):  # a cell that is run again takes its time
        found.append(finding)
        tell(str(finding))
    records = sum(record_path(board.records_folder, spec.id).exists() for spec in chosen)
    wrong = sum(finding.wrong for finding in found)
    tell(f"{records} of {len(chosen)} cells have a record: {wrong} wrong, {len(found) - wrong} notes")
    return wrong > 0


def verify(
    board: Board, cells: Sequence[RunSpec], rerun: Callable[[RunSpec, Record], Finding] | None = None
) -> Iterator[Finding]:
    """What is found about the finished ones of `cells`, one after the other."""
    first: dict[str, Record] = {}
    told: dict[str, set[str]] = {}
    for spec in cells:
        path = record_path(board.records_folder, spec.id)
        if not path.exists():
            continue
        try:
            record = load_record(path)
        except RecordError as error:
            yield Finding(_named(spec), error.reason)
            continue
        if spec.task not in first and _unread(spec.task):
            words = "its metrics are not made again, for its file is not run here (PRUNEBENCH_PLUGIN_FILES=yes runs it)"
            yield Finding(spec.task, words, wrong=False)
        told.setdefault(spec.task, set()).update(corpus_metrics(board, record))
        other = first.setdefault(spec.task, record)
        yield from (
            Finding(_named(spec), words)
            for words in (*record_problems(board, record), *_source(record, other), *_labels(board, record, other))
        )
        yield from (Finding(_named(spec), words, wrong=False) for words in rounding_noise(board, record))
        if rerun is not None:
            yield rerun(spec, record)
    for task, names in told.items():
        if names:
            words = f"{', '.join(sorted(names))} cannot be made again from outcomes: only --rerun checks them"
            yield Finding(task, words, wrong=False)


def model_findings(board: Board, cells: Sequence[RunSpec]) -> Iterator[Finding]:
    """Whether the model folder of each task with a record holds its model, and the one that the records were made with.

    A folder that is not at hand, a hub's model among them, is noted and not fetched; what the package brings is sound.
    """
    finished = [spec for spec in cells if record_path(board.records_folder, spec.id).exists()]
    absent: dict[str, None] = {}
    for spec in {(one.task, one.model): one for one in reversed(finished)}.values():
        if spec.model.removeprefix(RANDOM) == "mini" or _unread(spec.task):
            continue
        if not Path(spec.model.removeprefix(RANDOM)).expanduser().is_dir():
            absent[spec.model] = None
            continue
        yield from _opened(board, spec)
    for model in absent:
        yield Finding(f"model {model}", "is not at hand and was not looked at (--model FOLDER)", wrong=False)


def _opened(board: Board, spec: RunSpec) -> Iterator[Finding]:
    few = spec.training.model_copy(update={"train_examples": 8, "eval_examples": 8})
    try:
        prepared = open_task(spec.model_copy(update={"training": few}), Options())
        refuse_other_sources(board, spec, Source(prepared.data_fingerprint, prepared.model_fingerprint))
    except PrunebenchError as error:
        yield Finding(
            spec.task, str(error).removeprefix(f"{spec.task}: "), wrong=isinstance(error.__cause__, ModelError)
        )


def corpus_metrics(board: Board, record: Record) -> set[str]:
    """Metrics that the record's outcomes do not give: one number of a whole corpus, as some of the evaluate hub's."""
    if _unread(record.spec.task):
        return set()
    try:
        again = aggregate(record.spec.task)(load_outcomes(board.records_folder, record))
    except KeyboardInterrupt:
        raise
    except BaseException:  # said as a problem of the record
        return set()
    return {name for name in record.metrics if name not in again}


def record_problems(board: Board, record: Record) -> Iterator[str]:
    """What is wrong with a readable record, its outcomes, its teacher and its kept weights."""
    yield from _sparsity(record)
    yield from _course(record)
    yield from _outcomes(board, record)
    if record.selected.protocol != record.spec.selection:
        yield f"reports weights selected by {record.selected.protocol}, its cell asks for {record.spec.selection}"
    steps = record.spec.training.steps
    if steps is not None and record.cost.steps != steps:
        yield f"was trained for {record.cost.steps} steps, its cell asks for {steps}"
    if record.teacher is not None:
        if record.teacher != record.spec.dense().id:
            yield f"names {record.teacher} as its teacher, expected {record.spec.dense().id}"
        elif not record_path(board.records_folder, record.teacher).exists():
            yield f"its teacher, the dense cell {record.teacher}, has no record"
    path = weights_path(board.weights_folder, record.id)
    if path.is_file():
        try:
            yield from weight_problems(record, read_weights(path))
        except (OSError, ValueError) as error:
            yield f"kept weights {path.name}: {error}"


def weight_problems(record: Record, weights: Mapping[str, Tensor]) -> Iterator[str]:
    """Where weights do not have the zeros that the record counts, or are not finite."""
    for layer in record.sparsity.layers:
        if layer.name not in weights:
            yield f"its weights lack {layer.name}"
            continue
        weight = weights[layer.name]
        size, zeros = weight.numel(), int((weight == 0).sum())
        if (size, zeros) != (layer.size, layer.zeros):
            yield f"{layer.name} has {zeros} zeros of {size}, the record says {layer.zeros} of {layer.size}"
    for name, weight in weights.items():
        if weight.is_floating_point() and not bool(weight.isfinite().all()):
            yield f"{name} is not finite"


def of_exported(board: Board, folder: Path, cells: Sequence[RunSpec] | None) -> list[Finding]:
    """The weights of an exported folder, compared with the record that its card names (or that of the one cell given)."""
    from safetensors.torch import load_file

    spec = cells[0] if cells else _of_card(board, folder)
    weights: dict[str, Tensor] = {}
    try:
        for path in sorted(folder.glob("*.safetensors")):
            weights |= load_file(path)
    except Exception as error:  # the library's own error and the file system's
        return [Finding(str(folder), f"unreadable weights ({error})")]
    problems = [Finding(str(folder), words) for words in weight_problems(board.record(spec), weights)]
    return problems or [Finding(str(folder), f"the sparsity of {_named(spec)}, as recorded", wrong=False)]


def _of_card(board: Board, folder: Path) -> RunSpec:
    try:
        text = (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise PrunebenchError(f"{folder}: no model card that names a record; name the cell with --cell") from error
    found = [spec for spec in board.suite.cells() if f"`{spec.id}`" in text]
    if len(found) != 1:
        raise PrunebenchError(f"{folder}: its model card names no cell of this board; name it with --cell")
    return found[0]


def _sparsity(record: Record) -> Iterator[str]:
    found = record.sparsity
    size, zeros = (sum(getattr(layer, name) for layer in found.layers) for name in ("size", "zeros"))
    if (size, zeros) != (found.prunable, found.zeros):
        yield f"its layers have {zeros} zeros of {size}, the whole {found.zeros} of {found.prunable}"
    if wrong := [layer.name for layer in found.layers if layer.zeros > layer.size]:
        yield f"{wrong[0]} has more zeros than weights"
    if not found.prunable or not math.isclose(found.measured, found.zeros / found.prunable, rel_tol=1e-12):
        yield f"measured sparsity {found.measured} is not {found.zeros} of {found.prunable}"
    if found.requested != record.spec.sparsity:
        yield f"requested sparsity {found.requested}, its cell asks for {record.spec.sparsity}"
    asked = parse_scope(record.spec.scope).count(record.spec.sparsity, [(found.prunable, 1)])
    if not record.spec.is_dense and found.met != meets(record.spec, found.zeros, asked):
        yield f"says that it {'met' if found.met else 'missed'} its sparsity: {found.zeros} zeros where {asked} are asked for"
    if found.exact and not found.met and not any(note.startswith("missed its sparsity") for note in record.notes):
        yield f"missed its sparsity without a note: {found.zeros} of {found.prunable} weights are zero"


def _course(record: Record) -> Iterator[str]:
    """Where curve, selection and cost tell of another run than one of the recorded steps."""
    steps, last = [point.step for point in record.curve], record.cost.steps
    if steps != sorted(set(steps)) or (steps[-1] if steps else 0) != last:
        yield f"its curve has {len(steps)} points, the last of step {steps[-1] if steps else 0}, in a run of {last} steps"
    chosen = record.selected
    if chosen.step > last or (chosen.protocol == "last" and (chosen.step != last or chosen.score is not None)):
        yield f"reports the weights of step {chosen.step} (selected by {chosen.protocol}) in a run of {last} steps"
    if chosen.optimistic != (chosen.protocol == "best_dev"):
        yield f"says that its selection by {chosen.protocol} is {'' if chosen.optimistic else 'not '}optimistic"
    cost = record.cost
    if below := [name for name in SECONDS if getattr(cost, name) < 0]:
        yield f"{below[0]} is {getattr(cost, below[0])}, expected 0 or more"
    if cost.train_seconds > cost.total_seconds + 1:
        yield f"took {cost.train_seconds:g} s to train, {cost.total_seconds:g} s in all"


def _labels(board: Board, record: Record, other: Record) -> Iterator[str]:
    """Whether two records of one task were scored against the same labels, example for example."""
    if record is other or record.data_fingerprint != other.data_fingerprint:
        return
    try:
        own, first = (load_outcomes(board.records_folder, one).get("label") for one in (record, other))
    except RecordError:  # said already
        return
    if own is not None and first is not None and not np.array_equal(own, first):
        yield f"was scored against other labels than {_named(other.spec)}"


def _outcomes(board: Board, record: Record) -> Iterator[str]:
    try:
        outcomes = load_outcomes(board.records_folder, record)
    except RecordError as error:
        yield f"{error.path.name}: {error.reason}"
        return
    count = record.counts.get("reported")
    for name, values in outcomes.items():
        if values.shape[:1] != (count,):
            yield f"outcome '{name}' has shape {values.shape} for {count} reported examples"
        if not np.isfinite(values).all():
            yield f"outcome '{name}' is not finite"
    if _unread(record.spec.task):
        return
    try:
        again = aggregate(record.spec.task)(outcomes)
        task = registry.configure("tasks", record.spec.task)
        headline, errors = task.metric, task.lower_is_better
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a task's own code, on outcomes that it may not expect
        yield f"its metrics cannot be made again from its outcomes ({type(error).__name__}: {error})"
        return
    if record.metric != headline:
        yield f"its headline is {record.metric} {record.metrics[record.metric]}, that of its task is {headline}"
    if sorted(record.lower_is_better) != sorted(errors & record.metrics.keys()):
        yield f"says that less is better of {record.lower_is_better}, its task says {sorted(errors & record.metrics.keys())}"
    noise = _noise(outcomes, record)
    for name in sorted(again.keys() & record.metrics.keys() - noise):
        if not math.isclose(again[name], record.metrics[name], rel_tol=1e-9, abs_tol=1e-9):
            yield f"{name} is {record.metrics[name]}, its outcomes give {again[name]}"


def rounding_noise(board: Board, record: Record) -> Iterator[str]:
    """Correlations that an earlier version made of one answer's last bits: worth knowing, no damage."""
    if not record.metrics.keys() & {"pearson", "spearman"}:
        return
    try:
        noise = _noise(load_outcomes(board.records_folder, record), record)
    except RecordError:  # said already
        return
    if noise:
        found = ", ".join(f"{name} {record.metrics[name]:.2f}" for name in sorted(noise))
        yield f"records {found}, rounding noise of a constant prediction: no correlation, shown as 0"


def _noise(outcomes: Mapping[str, np.ndarray[Any, Any]], record: Record) -> set[str]:
    """Names of the correlations that are not 0 only for the last bits of a constant prediction."""
    found: set[str] = set()
    prediction, label = outcomes.get("prediction"), outcomes.get("label")
    if prediction is None or label is None or not is_constant(prediction) or not np.ptp(prediction):
        return found
    from scipy.stats import pearsonr, rankdata

    sides = {"pearson": (prediction, label), "spearman": (rankdata(prediction), rankdata(label))}
    for name, (one, other) in sides.items():
        raw = 100 * float(pearsonr(one.astype(np.float64), other.astype(np.float64)).statistic)
        if name in record.metrics and record.metrics[name] and abs(record.metrics[name] - raw) < 1e-3:
            found.add(name)
    return found


def _unread(task: str) -> bool:
    """Whether the task is a file that this command does not run."""
    return is_file(task) and not files_run()


def _source(record: Record, other: Record) -> Iterator[str]:
    """Where two records of one task are of different data or models."""
    for name in ("data_fingerprint", "model_fingerprint"):
        if getattr(record, name) != getattr(other, name):
            yield f"has another {name.replace('_', ' ')} than {_named(other.spec)}"


def _strangers(board: Board) -> Iterator[Finding]:
    """Files among the records that belong to no finished cell."""
    known = {spec.id for spec in board.suite.cells()}
    if not board.records_folder.is_dir():
        return
    for path in sorted(board.records_folder.iterdir()):
        ending = next((ending for ending in ENDINGS if path.name.endswith(ending)), "")
        run_id = path.name.removesuffix(ending)
        finished = record_path(path.parent, run_id).exists()
        if not ending:
            yield Finding(path.name, "is nothing that a run leaves", wrong=False)
        elif ending == ".json" and run_id not in known:
            yield _stranger(path)
        elif ending in (".npz", ".predictions.json.gz") and not finished:
            yield Finding(path.name, "belongs to no record: its run did not end", wrong=False)
        elif ending == ".failed.json" and finished:
            yield Finding(path.name, "is of a cell that has been finished since", wrong=False)


def _stranger(path: Path) -> Finding:
    try:
        record = load_record(path)
    except RecordError as error:
        return Finding(path.name, f"belongs to no cell of this suite, and {error.reason}")
    return Finding(path.name, f"belongs to no cell of this suite ({record.spec.cell})", wrong=False)


def _named(spec: RunSpec) -> str:
    return f"{spec.cell} ({spec.id})"
