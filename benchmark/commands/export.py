"""`prunebench export`: a finished cell as a Hugging Face model folder, mask applied, with a card made from its record."""

import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from benchmark.board.board import Board, require_outside
from benchmark.board.outcomes import pack_outcomes
from benchmark.board.record import Record
from benchmark.board.weights import check_fit, kept_weights, room, size_of, weight_problems
from benchmark.commands.measure import LARGE, measure_compressed
from benchmark.errors import PrunebenchError, choices
from benchmark.machine import environment, interrupt
from benchmark.machine.atomic import WriteError, reason_of, require_room, write_text
from benchmark.pruning.semi_structured import SCOPE, require_cuda
from benchmark.report.escape import clean, for_markdown
from benchmark.suite.spec import RunSpec
from benchmark.training.run import Options, build_model, open_task, run
from benchmark.training.teachers import Teachers
from tasks.base import Prepared
from tasks.pipeline.whole import make_folder

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""What weights may be written as."""


def export_cell(
    board: Board,
    spec: RunSpec,
    folder: Path,
    device: str = "auto",
    tell: Callable[[str], object] = lambda _: None,
    *,
    semi_structured: bool = False,
    dtype: str = "float32",
    trust_remote_code: bool = False,
) -> float:
    """Write model, tokenizer and card to `folder`; the score that the written weights, rounded to `dtype`, gave just now.

    Kept weights (`run --save-weights`) are used where they are; otherwise the cell is trained again. PrunebenchError, and
    nothing is written, where the weights do not give the recorded score. `tell` gets the room that the model will take, before it
    is taken. With `semi_structured` the weights are written in fp16, and the card says how fast they are compressed to 2:4;
    PrunebenchError for other scopes, and without CUDA.
    """
    if dtype not in DTYPES:
        raise PrunebenchError(f"dtype: found '{dtype}'; {choices(dtype, DTYPES)}")
    if semi_structured:
        if dtype == "bfloat16":
            raise PrunebenchError("dtype: found 'bfloat16'; --semi-structured stores float16")
        _require_semi_structured(spec, device)
    record = board.record(spec)
    require_outside(folder / "config.json")
    if folder.is_dir() and any(folder.iterdir()):
        raise PrunebenchError(f"{folder}: not empty; export writes to a new folder")
    require_room(folder, otherwise="; choose another folder")
    prepared, model, score = _finished(board, spec, record, _options(board, device, trust_remote_code))
    said, stored = "", torch.float16 if semi_structured else DTYPES[dtype]
    if stored is not torch.float32:
        score = _rounded(prepared, model, stored, spec.precision)
        said = f"\nThe weights are stored as {str(stored).removeprefix('torch.')}; so rounded they score {score:.2f} here.\n"
    if semi_structured:
        said += _compressed(prepared, model, record)
    _write(prepared, model.to(stored).cpu(), folder, record, said, tell)
    return score


def _finished(board: Board, spec: RunSpec, record: Record, options: Options) -> tuple[Prepared, nn.Module, float]:
    """The cell's model and its score; PrunebenchError where that is not the recorded one."""
    weights = kept_weights(board.weights_folder, spec.id)
    if weights is None:
        result = run(spec, options)
        prepared, model = result.prepared, result.model
        score, digest = result.record.score, result.record.outcomes_sha256
    else:
        chosen = environment.pick_device(options.device)
        prepared = open_task(spec, options)
        model = build_model(spec, prepared, chosen)
        load_kept(model, weights, record)
        with environment.autocast(chosen, spec.precision):
            evaluation = prepared.evaluate(model, "reported")
        score = evaluation.metrics[record.metric]
        digest = hashlib.sha256(pack_outcomes(evaluation.outcomes)).hexdigest()
    if digest != record.outcomes_sha256 and abs(score - record.score) > 0.005:
        raise PrunebenchError(
            f"{spec.cell}: these weights score {score:.2f}, the record says {record.score:.2f}: it was made on another machine or "
            "by another version, and cannot be made again bit for bit here"
        )
    return prepared, model, score


def _rounded(prepared: Prepared, model: nn.Module, dtype: torch.dtype, precision: str) -> float:
    """The score of the weights as they will be read back, in the precision of the record's score.

    What no file holds, such as the frequencies of rotary positions, is not rounded: who reads the folder computes it anew.
    """
    for stored in model.state_dict().values():
        if stored.is_floating_point():
            stored.copy_(stored.to(dtype))
    with environment.autocast(next(model.parameters()).device, precision):
        return prepared.evaluate(model, "reported").metrics[prepared.metric]


def load_kept(model: nn.Module, weights: dict[str, Tensor], record: Record) -> None:
    """Load weights that a run kept; PrunebenchError where they are not those that `record` counts, or not this model's."""
    try:
        check_fit(weights, model.state_dict())
        problem = next(weight_problems(record, weights), "")
    except ValueError as error:
        problem = str(error)
    if problem:
        raise PrunebenchError(
            f"{record.spec.cell}: its kept weights do not fit its record: {problem}. Without weights/{record.id}.safetensors the "
            "cell is trained again"
        )
    model.load_state_dict(weights)


def _require_semi_structured(spec: RunSpec, device: str) -> None:
    if spec.scope != SCOPE or spec.is_dense:
        raise PrunebenchError(
            f"{spec.cell}: --semi-structured is for cells of scope '{SCOPE}', and this one is '{spec.scope}'"
        )
    require_cuda(environment.pick_device(device))


def _compressed(prepared: Prepared, model: nn.Module, record: Record) -> str:
    """The card's lines on the model compressed to 2:4: its score, its speed, how to load it. `model` is fp16 afterwards."""
    compressed, dense_ms, ms = measure_compressed(prepared, model)
    score = prepared.evaluate(compressed, "reported").metrics[record.metric]
    where = for_markdown(environment.describe(next(compressed.parameters()).device)["device"])
    return f"""
Compressed to 2:4 on {where} it scores {score:.2f}, and a batch of {LARGE} takes {ms:.2f} ms instead of {dense_ms:.2f}, both
in fp16 ({dense_ms / ms:.2f} times as fast). To compress: load the model in fp16, move it to CUDA, and
`from benchmark.pruning.semi_structured import convert; convert(model)`.
"""


def _options(board: Board, device: str, trust_remote_code: bool) -> Options:
    """How to open or train the cell: with the board's caches, or in memory alone where nothing can be written there."""
    try:
        make_folder(board.locks)
        with tempfile.TemporaryFile(dir=board.locks):
            pass
    except OSError:
        return Options(device=device, trust_remote_code=trust_remote_code)
    return Teachers(board, Options(device, board.cache / "data", trust_remote_code)).options


def _write(
    prepared: Prepared, model: nn.Module, folder: Path, record: Record, said: str, tell: Callable[[str], object]
) -> None:
    """The whole folder or nothing: written beside its place, then renamed into it."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        tell(f"the model will take {room(size_of(dict(model.named_parameters())), folder)}")
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as place:
            made = Path(place) / "model"
            prepared.save(model, made)
            write_text(made / "README.md", card(record) + said)
            with interrupt.deferred():  # a signal between these two would leave an empty folder beside the model
                made.replace(folder)
                Path(place).rmdir()
        interrupt.raise_if_signalled()
    except (OSError, SafetensorError) as error:  # the latter wraps the system's error in its own words
        raise WriteError(str(folder), reason_of(error) if isinstance(error, OSError) else str(error)) from error


def card(record: Record) -> str:
    """A model card: what was pruned how, what it scores, how to make it again."""
    spec, sparsity = record.spec, record.sparsity
    metrics = "\n".join(f"| {for_markdown(name)} | {value:.2f} |" for name, value in record.metrics.items())
    notes = "\n".join(f"- {for_markdown(note)}" for note in record.notes)
    row = [clean(text).replace("`", "'") for text in (spec.criterion, spec.regularizer, spec.schedule, spec.scope)]
    criterion, regularizer, schedule, scope = row
    unit = "" if record.less_is_better(record.metric) else ", percent"
    made = "Fine-tuned and pruned" if spec.is_trained else "Pruned without training"
    return f"""---
library_name: transformers
base_model: {json.dumps(clean(spec.model))}
tags: [prunebench, pruning, sparsity]
---

# {for_markdown(spec.model)}, {for_markdown(spec.task)}, {100 * sparsity.measured:.1f} % sparse

{made} by prunebench with criterion `{criterion}`, regularizer `{regularizer}`, schedule
`{schedule}`, scope `{scope}`, seed {spec.seed}.

{sparsity.zeros:,} of {sparsity.prunable:,} prunable weights (linear layers inside the Transformer blocks) are zero. The
weights are stored dense: zeros alone make a model neither smaller on disk nor faster.

| metric ({for_markdown(record.splits.get("reported", "reported split"))}{unit}) | value |
|---|---|
{metrics}

Selection: {record.selected.protocol}, step {record.selected.step} of {record.cost.steps}. Record `{record.id}`, commit
{for_markdown(record.environment.get("commit", "unknown"))}, {for_markdown(record.environment.get("device", "unknown device"))}.
{notes}
"""
