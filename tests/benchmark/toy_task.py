"""A task without text, so that the harness can be watched: regression on random numbers, scores as they are scripted."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tasks.base import Batch, Evaluation, Prepared
from tests.benchmark.toys import Blocks


class Noisy(Blocks):
    """Blocks behind dropout, so that the global generator matters."""

    def forward(self, x: Tensor) -> Tensor:
        """[batch, width] -> [batch, 1]."""
        return super().forward(nn.functional.dropout(x, 0.2, self.training))


def _noise_to_come(device: torch.device) -> bytes:
    state = torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()
    return state.numpy().tobytes()


class ToyTask(Prepared):
    """Forty training and eight reported examples; notes the batches and the generator's state of every training forward."""

    metric = "score"
    splits: dict[str, str] = {"train": "toys", "reported": "toys", "heldout": "toys"}  # noqa: RUF012
    counts: dict[str, int] = {"train": 40, "reported": 8, "heldout": 8}  # noqa: RUF012
    rows: dict[str, int] = {"train": 40, "reported": 8}  # noqa: RUF012
    notes: list[str] = []  # noqa: RUF012
    data_fingerprint = "da7a"
    model_fingerprint = "30de1"

    def __init__(self, scores: Sequence[float] = (), spoil: float = 1.0) -> None:
        self.scores, self.spoil = list(scores), spoil
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(40, 4, generator=generator)
        self.y = self.x.sin().sum(dim=1)
        self.order: list[list[int]] = []
        self.states: list[bytes] = []
        self.asked: list[str] = []
        self.weights: list[Tensor] = []

    def build(self, seed: int) -> nn.Module:
        """The model, its weights by `seed`."""
        return Noisy(seed=seed).train()

    def batches(self, split: str, size: int, seed: int | None) -> Iterator[Batch]:
        """A seeded shuffle, or in order."""
        generator = torch.Generator().manual_seed(seed or 0)
        order = torch.arange(40) if seed is None else torch.randperm(40, generator=generator)
        for rows in order.split(size):
            yield {"x": self.x[rows], "y": self.y[rows], "index": rows}

    def forward(self, model: nn.Module, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Squared errors and predictions."""
        if model.training:
            self.order.append(batch["index"].tolist())
            self.states.append(_noise_to_come(batch["x"].device))
        logits: Tensor = model(batch["x"][:, : self.x.shape[1]])  # a GPU's batches are filled up to eight columns
        return self.spoil * (logits[:, 0] - batch["y"]).square(), logits

    def evaluate(self, model: nn.Module, split: str) -> Evaluation:
        """The next scripted score (50 once they are used up), and a copy of the weights that were looked at."""
        self.asked.append(split)
        self.weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
        score = self.scores.pop(0) if self.scores else 50.0
        return Evaluation({"score": score}, {"value": np.full(8, score)})

    def save(self, model: nn.Module, folder: Path) -> None:
        """Nothing is kept."""
