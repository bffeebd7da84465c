"""Models and batches to time: BERT's architecture at several sizes, drawn at random, for time does not depend on the weights."""

import re
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.errors import PrunebenchError


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
        """As a title says it."""
        return f"{self.name}: {self.layers} layers of {self.hidden}, batch {self.batch} x {self.length}"


LONGEST = 512
"""Positions of the model."""

MINILM = Shape("MiniLM shape", 6, 384, 12, batch=16, length=64)
BERT_BASE = Shape("BERT-base shape", 12, 768, 12, batch=32, length=128)
TINY = Shape("tiny shape", 2, 32, 2, batch=4, length=16, vocabulary=200)


def shape_for(device: torch.device, quick: bool) -> Shape:
    """What a step is timed on: MiniLM's shape on a CPU, BERT-base's on CUDA; a tiny one to try the code."""
    if quick:
        return TINY
    return BERT_BASE if device.type == "cuda" else MINILM


def sized(shape: Shape, batch: str | None) -> Shape:
    """`shape` with a batch of ROWSxLENGTH, its own where that is None; PrunebenchError for other words."""
    if batch is None:
        return shape
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", batch)
    if found is None or int(found[2]) > LONGEST:
        raise PrunebenchError(
            f"--batch {batch}: expected ROWSxLENGTH with at most {LONGEST} tokens a row, such as 32x12"
        )
    return replace(shape, batch=int(found[1]), length=int(found[2]))


def build(shape: Shape, device: torch.device, seed: int = 0) -> nn.Module:
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
        torch.default_generator.manual_seed(seed)
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
    from benchmark.machine.environment import autocast

    with autocast(batch["label"].device):
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    return nn.functional.cross_entropy(logits.float(), batch["label"])
