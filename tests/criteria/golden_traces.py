"""Reads the traces of the published PINS and PLATON pruners that lie in tests/criteria/golden."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

FOLDER = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Moment:
    """One step of a trace: rate, share of weights that remain, score cut-off where it masks, tensors by kind and parameter."""

    index: int
    lr: float
    remaining: float
    threshold: float | None
    tensors: dict[str, dict[str, Tensor]]

    def ranked(self, kind: str) -> dict[str, Tensor]:
        """Tensors of `kind` (theta_before, grad, theta_after, score) of the parameters that were ranked."""
        return {name: self.tensors[kind][name] for name in self.tensors["score"]}

    def flat(self, kind: str) -> Tensor:
        """The same as one vector."""
        return torch.cat([tensor.reshape(-1) for tensor in self.ranked(kind).values()])


@dataclass(frozen=True)
class Trace:
    """A whole trace: the pruner's hyperparameters and its steps."""

    config: dict[str, float]
    moments: list[Moment]


def load(name: str) -> Trace:
    """The trace `name` (pins or platon)."""
    header = json.loads((FOLDER / f"{name}.json").read_text())
    tensors = load_file(FOLDER / f"{name}.safetensors")
    return Trace(header["config"], list(_moments(header["steps"], tensors)))


def _moments(steps: list[dict[str, float]], tensors: dict[str, Tensor]) -> Iterator[Moment]:
    found: dict[int, dict[str, dict[str, Tensor]]] = {}
    for key in sorted(tensors):
        number, kind, parameter = key.split("/", 2)
        found.setdefault(int(number), {}).setdefault(kind, {})[parameter] = tensors[key]
    for step in steps:
        index = int(step["step"])
        yield Moment(index, step["lr"], step["remaining_ratio"], step["mask_threshold"], found[index])
