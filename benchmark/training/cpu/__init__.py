"""Prepares a model for training on its device.

On a CPU every file of this folder makes it faster (docs/speed.md says how much); on a GPU attention masks are made without the host
reading them (../unread_masks.py).
"""

from collections.abc import Callable

import torch
from torch import nn

from benchmark.training.cpu.allocator import keep_freed_memory
from benchmark.training.cpu.dropout import draw_in_bulk
from benchmark.training.cpu.linear import multiply_by_onednn
from benchmark.training.unread_masks import always_make_masks

WAYS: dict[str, Callable[[nn.Module], object]] = {
    "linear": multiply_by_onednn,
    "dropout": draw_in_bulk,
    "allocator": lambda model: keep_freed_memory(),  # noqa: ARG005 - of the whole process, whatever the model
}
"""Functions that change a model on a CPU, or the process. `prunebench bench cell --without NAME` measures a cell without one."""


def prepare(model: nn.Module, device: torch.device) -> nn.Module:
    """Move `model` to `device`, and make it train faster there. Parameters and state dict stay as they are."""
    model = model.to(device)
    if device.type == "cpu":
        for change in WAYS.values():
            change(model)
    else:
        always_make_masks(model)
    return model
