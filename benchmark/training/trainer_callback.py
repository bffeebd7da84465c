"""Pruning under the Hugging Face Trainer: any criterion, as a callback.

    from benchmark import PruningCallback
    Trainer(model=model, ..., callbacks=[PruningCallback("principled", sparsity=0.8)]).train()

The criterion sees weights and gradients after clipping and before the optimizer, masks follow its step, and when training ends the
model holds exactly the target sparsity. Between maskings weights may regrow, so evaluations and checkpoints on the way show the
weights in training, not the final mask. One process, fp32 weights (autocast is fine).
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from benchmark.errors import PrunebenchError
from benchmark.plugins import registry
from benchmark.pruning.calibrate import calibrator, wants_calibration
from benchmark.pruning.pruner import Pruner
from criteria.base import Criterion


class PruningCallback(TrainerCallback):
    """Prunes the Trainer's model to `sparsity` in [0, 1) with a criterion: its name with options, a file, or an object."""

    def __init__(
        self,
        criterion: str | Criterion,
        sparsity: float,
        schedule: str = "gradual",
        scope: str = "global",
        seed: int = 0,
    ) -> None:
        self.criterion: Criterion = (
            registry.configure("criteria", criterion) if isinstance(criterion, str) else criterion
        )
        self.schedule = registry.configure("schedules", schedule)
        self.sparsity, self.scope, self.seed = sparsity, scope, seed
        self.pruner: Pruner | None = None
        """Set while training runs, and kept afterwards: `pruner.mask`, `pruner.measure()`."""

    # The Trainer's signatures, used or not.
    # ruff: noqa: ARG002

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Lay the prunable weights out flat and start the criterion; PrunebenchError for what cannot work."""
        _refuse(args, state)
        model: nn.Module = kwargs["model"]
        self.pruner = Pruner(
            model,
            self.criterion,
            self.schedule,
            sparsity=self.sparsity,
            total=state.max_steps,
            scope=self.scope,
            seed=self.seed,
            peak=args.learning_rate,
        )
        if wants_calibration(self.pruner):
            batches = _batches(kwargs["train_dataloader"], args)
            self.pruner.calibrate = calibrator(model, _loss, batches)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """After clipping, before the optimizer."""
        assert self.pruner is not None
        self.pruner.observe(kwargs["optimizer"].param_groups[0]["lr"])

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """After the optimizer."""
        assert self.pruner is not None
        self.pruner.prune()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The final mask, zeros in place."""
        assert self.pruner is not None
        self.pruner.finish()


def _refuse(args: TrainingArguments, state: TrainerState) -> None:
    if state.global_step:
        raise PrunebenchError(
            f"pruning cannot resume at step {state.global_step}: a Trainer's checkpoint lacks masks and statistics; start anew"
        )
    if args.load_best_model_at_end:
        raise PrunebenchError(
            "load_best_model_at_end would bring back weights from before the final mask: leave it out, and evaluate after training"
        )
    if args.world_size > 1:
        raise PrunebenchError(f"pruning under the Trainer runs in one process, found {args.world_size}")


def _loss(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    loss: Tensor = model(**{name: tensor for name, tensor in batch.items() if name != "index"}).loss
    return loss


def _batches(loader: DataLoader[Any], args: TrainingArguments) -> Any:
    """Calibration batches: the first training examples in order, so that the Trainer's own shuffling is left alone."""

    def first(count: int) -> Iterable[Mapping[str, Tensor]]:
        plain = DataLoader(loader.dataset, batch_size=args.per_device_train_batch_size, collate_fn=loader.collate_fn)
        with torch.random.fork_rng(devices=[]):
            for batch, _ in zip(plain, range(count), strict=False):
                moved = {name: tensor.to(args.device) for name, tensor in batch.items()}
                yield moved | {"index": torch.arange(len(next(iter(moved.values()))))}

    return first
