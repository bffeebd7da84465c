"""A model of two residual blocks whose layers answer to each other, and what the released loops of Wanda and SparseGPT make of it."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

WIDTH, HIDDEN, SAMPLES, TOKENS = 8, 16, 6, 5
TRACES = Path(__file__).with_name("two_blocks.json")
"""`weights` by name, `inputs` [samples, tokens, width], `runs` by name: the weights that the released code left.

Made with locuslab/wanda at 8e8fc87 (`lib/prune.py`: `prune_wanda`, `prune_sparsegpt`, with their `Catcher`, `WrappedGPT` and
`SparseGPT`; columns in blocks of 4, so that there are several). SparseGPT there prunes int(n s) + 1 weights of a block of n: at
s = 0.495 and 0.745 that is half and three quarters of it.
"""


class Block(nn.Module):
    """x + down(relu(up(x + mix(x)))), called and answering as the released loops expect of a decoder layer."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(WIDTH, WIDTH, bias=False)
        self.up = nn.Linear(WIDTH, HIDDEN, bias=False)
        self.down = nn.Linear(HIDDEN, WIDTH, bias=False)

    def forward(
        self, x: Tensor, attention_mask: Tensor | None = None, position_ids: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """[batch, tokens, width] -> the same, in a tuple."""
        x = x + self.mix(x)
        return (x + self.down(torch.relu(self.up(x))),)


class TwoBlocks(nn.Module):
    """The blocks one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Block(), Block()])

    def forward(self, x: Tensor) -> Tensor:
        """[batch, tokens, width] -> the same."""
        for layer in self.layers:
            x = layer(x, attention_mask=None, position_ids=None)[0]
        return x


def traces() -> dict[str, Any]:
    """What the file holds, with tensors for lists."""
    raw: dict[str, Any] = json.loads(TRACES.read_text())
    tensors = {name: torch.tensor(rows) for name, rows in raw["weights"].items()}
    runs = {run: {name: torch.tensor(rows) for name, rows in left.items()} for run, left in raw["runs"].items()}
    return {"weights": tensors, "inputs": torch.tensor(raw["inputs"]), "runs": runs}


def model_of(weights: dict[str, Tensor]) -> TwoBlocks:
    """The model with these weights."""
    model = TwoBlocks()
    model.load_state_dict(weights)
    return model
