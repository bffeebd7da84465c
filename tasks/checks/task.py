"""The contract that every task must keep, for plugin authors: each assertion says what to do.

A plugin's own test needs no more than this:
    for name, seen in check_task(MyTask(), data="my/folder"):
        print(name, seen)
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_type_hints

import torch
from torch import nn

from tasks.base import Setting, Task
from tasks.checks import data as checks_data
from tasks.checks import scores as checks_scores
from tasks.checks.trials import HELDOUT, LENGTH, REPORTED, SPLITS, TRAIN, Trial, contents
from tasks.pipeline.checkpoints import fewer_messages

Seen = tuple[str, str]
"""A check's name and what was seen, in words; what does not apply is "skipped, because ..."."""

SIMPLE = {bool, int, float, str, int | None, float | None, str | None}


def check_task(task: Task, *, data: str = "mini", model: str = "mini") -> list[Seen]:
    """Try the contract on `task` as it is configured; AssertionError, with advice, where it is broken.

    A few examples of the embedded data and the embedded model are used; a task that these are not for needs `data`, a folder
    of its own files, and perhaps `model`, a folder or hub id.
    """
    return [(name, check()) for name, check in checks_of(task, data=data, model=model).items()]


def checks_of(task: Task, *, data: str = "mini", model: str = "mini") -> dict[str, Callable[[], str]]:
    """Every check by name, each to be called alone, whichever fails; the task is opened once for all of them."""
    setting = Setting(
        data, model, max_length=LENGTH, heldout=HELDOUT, seed=0, train_examples=TRAIN, eval_examples=REPORTED
    )
    trial = Trial(task, setting)
    return {name: partial(check, trial) for name, check in CHECKS.items()}


def options(trial: Trial) -> str:
    """Options are the fields of a frozen dataclass, numbers and words that can be written in a name."""
    cls = type(trial.task)
    assert "__dataclass_params__" in vars(cls), (  # its own, not those that it inherits
        f"decorate {trial.name} with @dataclass(frozen=True): its fields are its options"
    )
    hints = get_type_hints(cls)
    fields = [field for field in dataclasses.fields(cls) if field.name != "variant"]
    for field in fields:
        assert hints[field.name] in SIMPLE, (
            f"{trial.name}.{field.name} is of type {hints[field.name]}: options are bool, int, float or str (or None), "
            "so that they can be written in a name"
        )
    return f"{len(fields)} options"


def facts(trial: Trial) -> str:
    """What the record says of a task: headline, splits, counts within the limits, fingerprints, notes."""
    prepared, name = trial.prepared, trial.name
    assert prepared.metric == trial.task.metric != "", (
        f"{name} is headed by {trial.task.metric!r}, opened by {prepared.metric!r}: set headline, or the property metric, and "
        "take the prepared task's metric from it"
    )
    for fact in ("splits", "counts", "rows"):
        found = set(getattr(prepared, fact))
        assert found == SPLITS, (
            f"`{fact}` of {name} has {sorted(found)}; give it train, heldout (held-out examples were asked for) and reported"
        )
    counts, rows = prepared.counts, prepared.rows
    taken = {
        "train_examples": (counts["train"] + counts["heldout"], TRAIN),
        "eval_examples": (counts["reported"], REPORTED),
    }
    for limit, (count, most) in taken.items():
        assert count <= most, f"{name} takes {count} examples where {limit} is {most}: keep to the setting's limits"
    for split in SPLITS:
        assert 0 < counts[split] <= rows[split], (
            f"{name} has {counts[split]} {split} examples in {rows[split]} rows: every example makes at least one row"
        )
    for fact in ("data_fingerprint", "model_fingerprint"):
        assert getattr(prepared, fact), (
            f"`{fact}` of {name} is empty: give a hash of what was read, so that two boards can be told apart"
        )
    assert all(isinstance(note, str) for note in prepared.notes), f"`notes` of {name} must be a list of sentences"
    return ", ".join(f"{counts[split]} {split}" for split in ("train", "heldout", "reported"))


def build(trial: Trial) -> str:
    """A seed gives one model, in fp32 on the CPU, and the global generators are left alone."""
    state = torch.get_rng_state()
    first, second = trial.build(seed=1), trial.build(seed=1)
    assert torch.equal(torch.get_rng_state(), state), (
        f"{trial.name}.build draws from the global generator: wrap it in torch.random.fork_rng() and seed it there"
    )
    for (name, one), (_, other) in zip(first.named_parameters(), second.named_parameters(), strict=True):
        assert torch.equal(one, other), (
            f"two models of seed 1 differ in {name}: draw what the checkpoint lacks by the seed"
        )
        assert one.data_ptr() != other.data_ptr(), f"two models share {name}: build a new one (copy.deepcopy) each time"
        assert (one.dtype, one.device.type) == (torch.float32, "cpu"), (
            f"{name} is {one.dtype} on {one.device}: build in fp32 on the CPU, the harness moves it"
        )
    return f"{sum(parameter.numel() for parameter in first.parameters()):,} parameters, twice, bitwise"


def forward(trial: Trial) -> str:
    """Losses [decisions] and logits [decisions, classes], fp32 and finite, that give gradients to the whole model."""
    name, model, batch = trial.name, trial.build(), trial.batches()[0]
    copies = {key: tensor.clone() for key, tensor in batch.items()}
    losses, logits = trial.prepared.forward(model, batch)
    assert all(torch.equal(batch[key], copies[key]) for key in copies), f"{name}.forward changes its batch: use copies"
    assert (losses.dim(), logits.dim()) == (1, 2) and 0 < len(losses) == len(logits), (  # noqa: PT018 (one thing)
        f"{name}.forward gives losses {list(losses.shape)} and logits {list(logits.shape)}: expected [decisions] and "
        '[decisions, classes], one row for each loss (reduction="none"); one column in regression'
    )
    for what, tensor in (("losses", losses), ("logits", logits)):
        assert tensor.dtype == torch.float32, (
            f"{what} of {name}.forward are {tensor.dtype}: call .float() on the logits"
        )
        assert tensor.isfinite().all(), (
            f"{what} of {name}.forward are not finite: mask by a large negative number, not by infinity"
        )
        assert tensor.requires_grad, f"{what} of {name}.forward have no gradient: no detach(), no torch.no_grad()"
    losses.mean().backward()
    return _reached(name, model)


def saving(trial: Trial) -> str:
    """What `save` writes is opened by `from_pretrained`, and by the task itself: the same weights, the same tokens."""
    model = trial.build()
    advice = f"let {trial.name}.save call save_pretrained of model and tokenizer"
    with TemporaryDirectory() as place, fewer_messages():
        trial.prepared.save(model, Path(place))
        try:
            again: nn.Module = type(model).from_pretrained(place)  # type: ignore[attr-defined]
        except Exception as error:  # the library raises whatever its parts do
            raise AssertionError(f"what {trial.name} saved cannot be opened ({error}): {advice}") from error
        try:
            opened = trial.prepare(model=place)
        except AssertionError as error:
            raise AssertionError(f"what {trial.name} saved cannot be opened ({error}): {advice}") from error
        tokens = contents(opened, "reported")
        for reader, read in (("from_pretrained", again), (trial.name, opened.build(seed=1))):
            wrong = _differing(model, read)
            assert not wrong, f"what {trial.name} saved has another {wrong[0]} when {reader} reads it: {advice}"
    assert tokens == contents(trial.prepared, "reported"), f"what {trial.name} saved makes other tokens: {advice}"
    return "the same weights and tokens"


CHECKS: dict[str, Callable[[Trial], str]] = {
    "options": options,
    "facts": facts,
    "build": build,
    "batches": checks_data.batches,
    "padding": checks_data.padding,
    "held out": checks_data.held_out,
    "forward": forward,
    "evaluation": checks_scores.evaluation,
    "outcomes": checks_scores.outcomes,
    "metrics": checks_scores.metrics,
    "resampling": checks_scores.resampling,
    "saving": saving,
}
"""The checks by name, in the order in which they run; each takes a trial and says what was seen."""


def _reached(name: str, model: nn.Module) -> str:
    """How many parameters have a gradient; AssertionError where it is not most of them, or one is not finite."""
    parameters = dict(model.named_parameters())
    gradients = {key: parameter.grad for key, parameter in parameters.items() if parameter.grad is not None}
    for key, grad in gradients.items():
        assert grad.isfinite().all(), (
            f"the gradient of {key} is not finite: {name}.forward divides by or takes the log of zero"
        )
    reached = sum(bool(grad.any()) for grad in gradients.values())
    assert reached > len(parameters) / 2, (
        f"the loss of {name} reaches {reached} of {len(parameters)} parameters: compute it from the whole model's output, "
        "without detach() or torch.no_grad()"
    )
    return f"gradients in {reached} of {len(parameters)} parameters"


def _differing(model: nn.Module, other: nn.Module) -> list[str]:
    ours, theirs = model.state_dict(), other.state_dict()
    return [name for name in ours if name not in theirs or not torch.equal(ours[name], theirs[name])]
