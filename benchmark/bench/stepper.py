"""Steps of the harness on a random model, for measuring what a step costs.

BERT's architecture at several sizes; time does not depend on the weights.
"""

import re
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.errors import PrunebenchError
from benchmark.machine.environment import autocast
from benchmark.plugins import registry
from benchmark.pruning.dense import Dense
from benchmark.pruning.flat import PrunableWeights
from benchmark.pruning.prunable import find_prunable
from benchmark.pruning.pruner import Pruner
from benchmark.pruning.schedules.base import Schedule
from benchmark.suite.spec import DENSE, Training
from benchmark.training.cpu import prepare
from benchmark.training.optimizer import FlatOptimizer, rate

SPARSITY = 0.8


@dataclass(frozen=True)
class Shape:
    """A model's size and the batch it is timed on."""

    name: str
    layers: int
    hidden: int
    heads: int
    batch: int
    length: int
    vocabulary: int = 30522

    @property
    def words(self) -> str:
        """Its description in titles."""
        return f"{self.name}: {self.layers} layers of {self.hidden}, batch {self.batch} x {self.length}"


LONGEST = 512
"""Positions of the model."""

MINILM = Shape("MiniLM shape", 6, 384, 12, batch=16, length=64)
BERT_BASE = Shape("BERT-base shape", 12, 768, 12, batch=32, length=128)
TINY = Shape("tiny shape", 2, 32, 2, batch=4, length=16, vocabulary=200)


def shape_for(device: torch.device, quick: bool) -> Shape:
    """The shape to time: MiniLM's on a CPU, BERT-base's on CUDA, a tiny one for quick runs."""
    if quick:
        return TINY
    return BERT_BASE if device.type == "cuda" else MINILM


def sized(shape: Shape, batch: str | None) -> Shape:
    """`shape` with a batch of ROWSxLENGTH, or its own if that is None; PrunebenchError if it is not of that form."""
    if batch is None:
        return shape
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", batch)
    if found is None or int(found[2]) > LONGEST:
        raise PrunebenchError(
            f"--batch {batch}: expected ROWSxLENGTH with at most {LONGEST} tokens a row, such as 32x12"
        )
    return replace(shape, batch=int(found[1]), length=int(found[2]))


def build(shape: Shape, device: torch.device) -> nn.Module:
    """A classifier of two classes with dropout as BERT has it, in training mode."""
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=shape.vocabulary,
        num_hidden_layers=shape.layers,
        hidden_size=shape.hidden,
        num_attention_heads=shape.heads,
        intermediate_size=4 * shape.hidden,
    )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        model: Any = BertForSequenceClassification(config)
    trained: nn.Module = model.to(device).train()
    return trained


def batch(shape: Shape, device: torch.device, seed: int = 0) -> dict[str, Tensor]:
    """Full-length token ids, their mask and labels."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, shape.vocabulary, (shape.batch, shape.length), generator=generator)
    label = torch.randint(0, 2, (shape.batch,), generator=generator)
    made = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "label": label}
    return {name: tensor.to(device) for name, tensor in made.items()}


def loss_of(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Cross-entropy, in the device's precision."""
    with autocast(batch["label"].device):
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    return nn.functional.cross_entropy(logits.float(), batch["label"])


class Stepper:
    """The harness's step on one batch: flat vectors, fused optimizer, a criterion or none."""

    def __init__(
        self,
        shape: Shape,
        device: torch.device,
        criterion: str,
        schedule: Schedule,
        total: int,
        beside: "Stepper | None" = None,
    ) -> None:
        """With `beside`, these steps are taken on that one's model by that one's optimizer, so that nothing but the criterion differs.

        Where two models lie in memory makes as much of a difference as a criterion.
        """
        self.training, self.total, self.taken = Training(), total, 0
        if beside is None:
            self.model, self.batch = prepare(build(shape, device), device), batch(shape, device)
            self.weights = PrunableWeights(find_prunable(self.model))
            self.optimizer = FlatOptimizer(self.model, self.weights, self.training)
        else:
            self.model, self.batch = beside.model, beside.batch
            self.weights, self.optimizer = beside.weights, beside.optimizer
        self.pruner: Pruner | Dense = Dense(self.weights)
        if criterion != DENSE:
            self.pruner = Pruner(
                self.model,
                registry.configure("criteria", criterion),
                schedule,
                sparsity=SPARSITY,
                total=total,
                weights=self.weights,
            )

    def __call__(self) -> None:
        """forward, backward, clip, observe, optimizer, prune."""
        lr = rate(self.taken, self.total, self.training)
        # A latent criterion whose turn it was left its own weights in the model.
        self.weights.point_at(self.pruner.effective if isinstance(self.pruner, Pruner) else self.weights.vector.data)
        loss_of(self.model, self.batch).backward()
        self.optimizer.clip(self.training.clip)
        self.pruner.observe(lr, finite=True)
        self.optimizer.step(lr)
        self.pruner.prune()
        self.optimizer.zero_grad()
        self.taken += 1
