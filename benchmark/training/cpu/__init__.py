"""What makes training faster on a CPU. One door: `prepare`; one file for each way; their gains are in docs/speed.md."""

from collections.abc import Callable

import torch
from torch import nn

from benchmark.training.cpu.allocator import keep_freed_memory
from benchmark.training.cpu.dropout import draw_in_bulk
from benchmark.training.cpu.linear import multiply_by_onednn

WAYS: dict[str, Callable[[nn.Module], object]] = {
    "linear": multiply_by_onednn,
    "dropout": draw_in_bulk,
    "allocator": lambda model: keep_freed_memory(),  # noqa: ARG005 - of the whole process, whatever the model
}
"""Each changes a model that lies on a CPU, or its process; `prunebench bench cell --without NAME` measures a cell without one."""


def prepare(model: nn.Module, device: torch.device) -> nn.Module:
    """`model` moved to `device`, and made ready to train fast there if that is a CPU: parameters and state dict stay as they are."""
    model = model.to(device)
    if device.type == "cpu":
        for change in WAYS.values():
            change(model)
    return model
