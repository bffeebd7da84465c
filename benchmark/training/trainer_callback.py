"""Pruning under the Hugging Face Trainer: any criterion, as a callback.

    from benchmark import PruningCallback
    Trainer(model=model, ..., callbacks=[PruningCallback("principled", sparsity=0.8)]).train()

The criterion sees weights and gradients after clipping and before the optimizer, masks follow its step, and when training ends the
model holds exactly the target sparsity. Between maskings weights may regrow, so evaluations and checkpoints on the way show the
weights in training, not the final mask. Steps that an fp16 scaler skips are not counted. Masks and statistics are saved in the
Trainer's checkpoints, so that training resumes where it stopped, and the Trainer's logs show the sparsity. One process, fp32
weights (autocast is fine).
"""

import importlib.util
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from benchmark.board.weights import unshared
from benchmark.errors import PrunebenchError
from benchmark.machine.atomic import write_bytes
from benchmark.plugins import registry
from benchmark.pruning.arguments import require_bool, require_sparsity, require_whole
from benchmark.pruning.calibrate import calibrator, wants_calibration
from benchmark.pruning.masks import parse_scope
from benchmark.pruning.prunable import prunable_of
from benchmark.pruning.pruner import Pruner
from benchmark.pruning.schedules.one_shot import OneShot
from benchmark.pruning.scores import all_finite
from criteria.base import Criterion

STATE = "pruning.safetensors"
"""The pruner's file in each of the Trainer's checkpoint folders."""

logger = logging.getLogger(__name__)


class PruningCallback(TrainerCallback):
    """Prunes the Trainer's model to `sparsity` in [0, 1) with a criterion: its name with options, a file, or an object.

    `schedule`, `scope` and `seed` are as in a suite. A model with frozen linear layers, or most of whose weights belong to none,
    is refused unless `skip_frozen` asks for its trained ones alone. PrunebenchError for what is out of range, now or when
    training begins.
    """

    def __init__(
        self,
        criterion: str | Criterion,
        sparsity: float,
        schedule: str = "gradual",
        scope: str = "global",
        seed: int = 0,
        skip_frozen: bool = False,
    ) -> None:
        # Without it the Trainer fails, and names an extra of its own.
        if importlib.util.find_spec("accelerate") is None:
            raise PrunebenchError(
                "pruning under the Hugging Face Trainer needs accelerate: python -m pip install 'prunebench[trainer]'"
            )
        require_sparsity(sparsity)
        require_whole("seed", seed, 0)
        require_bool("skip_frozen", skip_frozen)
        parse_scope(scope)
        self.criterion: Criterion = (
            registry.configure("criteria", criterion) if isinstance(criterion, str) else criterion
        )
        if not isinstance(self.criterion, Criterion):
            raise PrunebenchError(f"criterion {criterion!r}: expected a name such as 'magnitude', or a configured one")
        self.schedule = registry.configure("schedules", schedule)
        self.sparsity, self.scope, self.seed, self.skip_frozen = sparsity, scope, seed, skip_frozen
        self.pruner: Pruner | None = None
        """Set while training runs, and kept afterwards: `pruner.mask`, `pruner.measure()`."""
        self.compared = False
        """Whether the Trainer's best evaluation is one of weights that were pruned to the target."""

    # The Trainer's signatures, used or not.
    # ruff: noqa: ARG002

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Lay the prunable weights out flat, start the criterion or resume it; PrunebenchError for what cannot work."""
        if args.world_size > 1:
            raise PrunebenchError(f"pruning under the Trainer runs in one process, found {args.world_size}")
        model: nn.Module = kwargs["model"]
        saved = _saved(args, state) if state.global_step else None
        pruner = self.pruner = Pruner(
            model,
            self.criterion,
            self.schedule,
            sparsity=self.sparsity,
            total=state.max_steps,
            scope=self.scope,
            seed=self.seed,
            skip_frozen=self.skip_frozen,
        )
        pruner.peak = _peak(_groups(kwargs["optimizer"], pruner))
        prunable, linear = prunable_of(model)
        logger.log(
            logging.INFO if prunable == linear else logging.WARNING,
            f"{prunable:,} of {linear:,} linear weights inside the blocks are pruned to {self.sparsity:g}",
        )
        if wants_calibration(pruner):
            batches = _batches(kwargs["train_dataloader"], args)
            # As suites do: only what is pruned once goes on with what its pruned earlier blocks give.
            pruner.calibrate = calibrator(model, _loss, batches, by_block=isinstance(self.schedule, OneShot))
        self.compared = False
        if saved is not None:
            self.compared = bool(saved.pop("compared", False))
            pruner.load_state_dict(saved)
            if not self.compared:
                state.best_model_checkpoint = None

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """After clipping, before the optimizer; gradients that an fp16 scaler still holds scaled are brought to their size."""
        assert self.pruner is not None
        optimizer = kwargs["optimizer"]
        scaler, finite = getattr(optimizer, "scaler", None), None
        if scaler is not None:
            with suppress(RuntimeError):  # done already, by clipping or to log the norm
                scaler.unscale_(_inner(optimizer))
            grads = [p.grad for p in kwargs["model"].parameters() if p.grad is not None]
            # Of the whole model: the scaler skips a step for the head's gradients too.
            finite = all_finite(torch.stack(torch._foreach_norm(grads)))
        elif self.pruner.mask.is_cuda:
            finite = True  # nothing skips such a step: training ends with weights that are not finite
        self.pruner.observe(max(float(group["lr"]) for group in _groups(optimizer, self.pruner)), finite)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """After the optimizer."""
        assert self.pruner is not None
        self.pruner.prune()

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **kwargs: Any
    ) -> None:
        """Add the sparsity that an evaluation under the mask in force would see, a share of the prunable weights."""
        if self.pruner is not None and isinstance(logs, dict):
            logs["sparsity"] = self.pruner.measure()
            if state.log_history:
                state.log_history[-1]["sparsity"] = logs["sparsity"]

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Only evaluations of weights under a mask at the target compete for the Trainer's best; earlier ones are forgotten."""
        pruner, metrics = self.pruner, kwargs.get("metrics")
        if pruner is None or pruner.settled:
            return
        if not _at_target(pruner):
            if self.compared and args.load_best_model_at_end and metrics and args.metric_for_best_model:
                name = args.metric_for_best_model
                # Never better than another.
                metrics[name if name.startswith("eval_") else f"eval_{name}"] = float("nan")
        elif not self.compared:
            self.compared = True
            state.best_metric, state.best_model_checkpoint, state.best_global_step = None, None, None

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Put the pruner's state into the checkpoint that was just written."""
        from safetensors.torch import save

        assert self.pruner is not None
        if not self.compared:
            state.best_model_checkpoint = None  # never loaded at the end: its weights are not at the target
        tensors = {**self.pruner.state_dict(), "compared": torch.tensor(self.compared)}
        data = save(unshared(tensors))
        folder = _folder(args, state.global_step)
        if folder.is_dir():
            write_bytes(folder / STATE, data)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The final mask, zeros in place; of the best checkpoint where the Trainer has loaded that."""
        assert self.pruner is not None
        best = state.best_model_checkpoint if args.load_best_model_at_end and self.compared else None
        if best is not None:
            self.pruner.load_state_dict(_read(Path(best) / STATE))
            self.pruner.settle()
        elif self.pruner.steps_taken + self.pruner.steps_skipped < self.pruner.total and self.pruner.reached:
            self.pruner.settle()  # stopped early, as EarlyStoppingCallback does, at the target
        else:
            self.pruner.finish()


def _groups(optimizer: Any, pruner: Pruner) -> list[dict[str, Any]]:
    """The optimizer's group of each parameter that is pruned; PrunebenchError where it does not have all of them."""
    own = {id(parameter) for parameter in pruner.weights.parameters}
    found = [group for group in optimizer.param_groups for one in group["params"] if id(one) in own]
    if len(found) < len(own):
        raise PrunebenchError(
            f"the optimizer trains {len(found)} of the {len(own)} parameters that are pruned: give it the others too, or freeze "
            "them and pass skip_frozen=True"
        )
    return found


def _peak(groups: list[dict[str, Any]]) -> float:
    """The highest learning rate of the weights that are pruned in the run to come; a warning where they have several."""
    # Warm-up may have set `lr` to 0: schedulers note the rate that they scale as `initial_lr`, OneCycleLR its highest as `max_lr`.
    rates = [max(float(group.get(name) or 0) for name in ("lr", "initial_lr", "max_lr")) for group in groups]
    if min(rates) < max(rates):
        logger.warning(
            "the weights that are pruned have learning rates from %g to %g: criteria are told the highest",
            min(rates),
            max(rates),
        )
    return max(rates)


def _at_target(pruner: Pruner) -> bool:
    """Whether the weights as they are now lie under a mask that was made at the target sparsity."""
    return pruner.reached and not bool(pruner.effective[~pruner.mask].any())


def _folder(args: TrainingArguments, step: int) -> Path:
    """Where the Trainer puts its checkpoint of `step`."""
    return Path(str(args.output_dir)) / f"checkpoint-{step}"


def _saved(args: TrainingArguments, state: TrainerState) -> dict[str, Tensor]:
    """The pruner's state at the step where training resumes; PrunebenchError where no checkpoint holds it."""
    named = [Path(args.resume_from_checkpoint)] if isinstance(args.resume_from_checkpoint, str) else []
    folders = [*named, _folder(args, state.global_step)]
    for path in (folder / STATE for folder in folders):
        if path.is_file():
            saved = _read(path)
            if "taken" not in saved:
                raise PrunebenchError(f"{path}: no state of a pruner")
            if (found := int(saved["taken"]) + int(saved.get("skipped", 0))) != state.global_step:
                raise PrunebenchError(f"{path} is of step {found}, training resumes at step {state.global_step}")
            return saved
    raise PrunebenchError(
        f"pruning cannot resume at step {state.global_step}: no {STATE} in {' or '.join(map(str, folders))}. Checkpoints that were "
        "written with this callback have it; of one that lies elsewhere, give TrainingArguments its folder as resume_from_checkpoint"
    )


def _read(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return dict(load(path.read_bytes()))
    except (OSError, SafetensorError) as error:
        raise PrunebenchError(f"{path}: no state of a pruner: {error}") from error


def _inner(optimizer: Any) -> torch.optim.Optimizer:
    """The optimizer inside its wrappers."""
    while hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    found: torch.optim.Optimizer = optimizer
    return found


def _loss(model: nn.Module, batch: Mapping[str, Tensor]) -> Any:
    """The model's own loss, which stands where the Trainer looks for it; None where it gives none."""
    outputs = model(**{name: tensor for name, tensor in batch.items() if name != "index"})
    return outputs.get("loss") if isinstance(outputs, Mapping) else outputs[0]


def _batches(loader: DataLoader[Any], args: TrainingArguments) -> Any:
    """Calibration batches: the first training examples in order, so that the Trainer's own shuffling is left alone."""

    def first(count: int) -> Iterable[Mapping[str, Tensor]]:
        plain = DataLoader(loader.dataset, batch_size=args.per_device_train_batch_size, collate_fn=loader.collate_fn)
        with torch.random.fork_rng(devices=[]):
            for batch in islice(plain, count):
                tensors = {name: value.to(args.device) for name, value in batch.items() if isinstance(value, Tensor)}
                yield {**batch, **tensors, "index": torch.arange(len(next(iter(tensors.values()))))}

    return first
