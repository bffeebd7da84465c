"""What is measured on the weights themselves: bytes after compression, and latency dense against pruned."""

import gzip
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

NOISE = 0.05
"""A speed-up smaller than this share counts as none."""


@dataclass(frozen=True)
class Measured:
    """Of one model: bytes of its compressed weights, and milliseconds of a forward pass, medians."""

    compressed_bytes: int
    dense_milliseconds: float = float("nan")
    pruned_milliseconds: float = float("nan")
    device: str = ""
    """Where the forward passes were timed; empty if they were not."""


def packed(state: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """Every tensor as a bit per entry (`NAME.mask`, uint8) and its non-zero values (`NAME.values`), flat.

    A tensor that this would not make smaller is kept as it is. Nothing is lost but the sign of -0.0.
    """
    import torch

    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        flat = tensor.detach().cpu().contiguous().flatten()
        kept = flat != 0
        values = flat[kept]
        if values.numel() * flat.element_size() + (flat.numel() + 7) // 8 >= flat.numel() * flat.element_size():
            found[name] = tensor.detach().cpu().contiguous().clone()
            continue
        padded = torch.nn.functional.pad(kept.to(torch.uint8), (0, -kept.numel() % 8)).view(-1, 8)
        found[f"{name}.mask"] = (padded << torch.arange(8, dtype=torch.uint8)).sum(1).to(torch.uint8)
        found[f"{name}.values"] = values.clone()
    return found


def compressed_bytes(state: "Mapping[str, Tensor]") -> int:
    """Bytes of the packed weights as a gzipped safetensors file: what pruning saves on disk and in transfer."""
    from safetensors.torch import save

    return len(gzip.compress(save(packed(state)), compresslevel=6, mtime=0))


def latency_note(measured: Collection[Measured]) -> str:
    """What the forward passes say about speed, a part for each device on which models were timed; empty if none was."""
    timed = [one for one in measured if one.device]
    devices = dict.fromkeys(one.device for one in timed)
    return "; ".join(_on(device, [one for one in timed if one.device == device]) for device in devices)


def _on(device: str, timed: Collection[Measured]) -> str:
    """What they say of the models that were timed on one device."""
    ratios = [one.dense_milliseconds / one.pruned_milliseconds for one in timed]
    models = f"{len(timed)} {'model' if len(timed) == 1 else 'models'}"
    spread = (
        f"{min(ratios):.2f}"
        if len(timed) == 1
        else f"{min(ratios):.2f} to {max(ratios):.2f}, median {median(ratios):.2f}"
    )
    if median(ratios) < 1 / (1 - NOISE):
        return f"zeros bring no speed-up on this device ({device}): the dense model takes {spread} times as long ({models})"
    return f"on this device ({device}) the dense model takes {spread} times as long as the pruned one ({models})"
