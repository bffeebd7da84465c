"""Five tiny tasks, one of each shape of decisions, on which `checks` tries regularizers in milliseconds.

Each has a model with dropout, one padded batch and a forward of the form that real tasks have.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EXAMPLES, LENGTH, WORDS, WIDTH = 6, 5, 16, 8


class ToyModel(nn.Module):
    """Embedding, dropout, linear: words [batch, length] -> [batch, length, columns]."""

    def __init__(self, columns: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.words = nn.Parameter(torch.randn(WORDS, WIDTH, generator=generator))
        self.head = nn.Parameter(torch.randn(WIDTH, columns, generator=generator))
        self.bias = nn.Parameter(torch.zeros(columns))
        self.dropout = nn.Dropout(0.1)

    def forward(self, words: Tensor) -> Tensor:
        hidden: Tensor = self.dropout(F.embedding(words, self.words))
        return hidden @ self.head + self.bias


@dataclass(frozen=True)
class ToyTask:
    """A shape of decisions: `columns` of the model's output, and how they become losses and logits."""

    name: str
    columns: int
    scale: float = 1.0
    """What logits are multiplied by: far above 1 every decision is as good as certain."""

    def model(self, seed: int) -> ToyModel:
        """A model in training mode, drawn from `seed`."""
        return ToyModel(self.columns, seed)

    def batch(self) -> dict[str, Tensor]:
        """Six examples of three to five words; labels for every shape."""
        generator = torch.Generator().manual_seed(7)
        lengths = torch.tensor([5, 4, 3, 5, 3, 4])
        return {
            "index": torch.arange(EXAMPLES),
            "words": torch.randint(WORDS, (EXAMPLES, LENGTH), generator=generator),
            "real": torch.arange(LENGTH) < lengths[:, None],
            "classes": torch.randint(self.columns, (EXAMPLES, LENGTH), generator=generator),
            "numbers": torch.randn(EXAMPLES, generator=generator),
            "ends": torch.randint(3, (EXAMPLES, 2), generator=generator),
        }

    def forward(self, model: nn.Module, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """losses [decisions], logits [decisions, classes]."""
        output = model(batch["words"]) * self.scale
        if self.name == "spans":
            outside = ~batch["real"][:, None].expand(-1, 2, -1)
            logits = output.transpose(1, 2).masked_fill(outside, torch.finfo(output.dtype).min).flatten(0, 1)
            return F.cross_entropy(logits, batch["ends"].flatten(), reduction="none"), logits
        if self.name == "tokens":
            logits = output[batch["real"]]
            return F.cross_entropy(logits, batch["classes"][batch["real"]], reduction="none"), logits
        logits = (output * batch["real"][..., None]).mean(dim=1)
        if self.name == "regression":
            return (logits[:, 0] - batch["numbers"]).square(), logits
        return F.cross_entropy(logits, batch["classes"][:, 0], reduction="none"), logits


TOY_TASKS = (
    ToyTask("classification", columns=3),
    ToyTask("certain classification", columns=3, scale=1000),
    ToyTask("regression", columns=1),
    ToyTask("tokens", columns=4),
    ToyTask("spans", columns=2),
)
"""One per shape; spans mark positions outside the passage with the lowest finite logit."""
