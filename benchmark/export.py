"""`prunebench export`: a finished cell as a Hugging Face model folder, mask applied, with a card made from its record."""

import hashlib
from pathlib import Path

from benchmark import environment
from benchmark.atomic import write_text
from benchmark.board import Board
from benchmark.errors import PrunebenchError
from benchmark.record import Record, pack_outcomes
from benchmark.run import Options, open_task, run
from benchmark.spec import RunSpec
from benchmark.teachers import Teachers
from benchmark.weights import load_weights


def export_cell(board: Board, spec: RunSpec, folder: Path, device: str = "auto") -> float:
    """Write model, tokenizer and card to `folder`; the score that the written weights gave just now, in percent.

    Kept weights (`run --save-weights`) are used where they are; otherwise the cell is trained again. PrunebenchError, and
    nothing is written, where the weights do not give the recorded score.
    """
    record = board.record(spec)
    if folder.exists() and any(folder.iterdir()):
        raise PrunebenchError(f"{folder}: not empty; export writes to a new folder")
    options = Options(device=device, cache=board.cache / "data")
    options = Options(
        device=device, cache=options.cache, teacher=Teachers(board.cache / "teachers", board.locks, options).get
    )
    weights = load_weights(board.weights_folder, spec.id)
    if weights is None:
        result = run(spec, options)
        prepared, model = result.prepared, result.model
        score, digest = result.record.score, result.record.outcomes_sha256
    else:
        chosen = environment.pick_device(device)
        prepared = open_task(spec, options)
        model = prepared.build(spec.seed).to(chosen)
        model.load_state_dict(weights)
        with environment.autocast(chosen):
            evaluation = prepared.evaluate(model, "reported")
        score = evaluation.metrics[record.metric]
        digest = hashlib.sha256(pack_outcomes(evaluation.outcomes)).hexdigest()
    if digest != record.outcomes_sha256 and abs(score - record.score) > 0.005:
        raise PrunebenchError(
            f"{spec.cell}: these weights score {score:.2f}, the record says {record.score:.2f}: it was made on another machine or "
            "by another version, and cannot be made again bit for bit here"
        )
    prepared.save(model.cpu(), folder)
    write_text(folder / "README.md", card(record))
    return score


def card(record: Record) -> str:
    """A model card: what was pruned how, what it scores, how to make it again."""
    spec, sparsity = record.spec, record.sparsity
    metrics = "\n".join(f"| {name} | {value:.2f} |" for name, value in record.metrics.items())
    notes = "\n".join(f"- {note}" for note in record.notes)
    return f"""---
library_name: transformers
base_model: {spec.model}
tags: [prunebench, pruning, sparsity]
---

# {spec.model}, {spec.task}, {100 * sparsity.measured:.1f} % sparse

Fine-tuned and pruned by prunebench with criterion `{spec.criterion}`, regularizer `{spec.regularizer}`, schedule
`{spec.schedule}`, scope `{spec.scope}`, seed {spec.seed}.

{sparsity.zeros:,} of {sparsity.prunable:,} prunable weights (linear layers inside the Transformer blocks) are zero. The
weights are stored dense: zeros alone make a model neither smaller on disk nor faster.

| metric ({record.splits.get("reported", "reported split")}, percent) | value |
|---|---|
{metrics}

Selection: {record.selected.protocol}, step {record.selected.step} of {record.cost.steps}. Record `{record.id}`, commit
{record.environment.get("commit", "unknown")}, {record.environment.get("device", "unknown device")}.
{notes}
"""
