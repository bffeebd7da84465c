"""What is measured on the weights themselves: bytes after compression, and latency dense against pruned."""

import gzip
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

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


def compressed_bytes(state: "Mapping[str, Tensor]", level: int = 6) -> int:
    """Bytes of the packed weights as a gzipped safetensors file: what pruning saves on disk and in transfer."""
    from safetensors.torch import save

    return len(gzip.compress(save(packed(state)), compresslevel=level, mtime=0))


def measure(
    dense: "nn.Module",
    pruned: "nn.Module",
    inputs: "Mapping[str, Tensor]",
    repeats: int = 20,
    warmup: int = 3,
    names: Collection[str] | None = None,
) -> Measured:
    """Compressed bytes of `pruned`, and the latency of `model(**inputs)` of both, in turns, so that drift affects both alike.

    Bytes are of the tensors called `names` (all if None).
    """
    import torch

    device = next(pruned.parameters()).device
    state = {name: value for name, value in pruned.state_dict().items() if names is None or name in names}

    def forward(model: "nn.Module") -> Callable[[], None]:
        def run() -> None:
            model(**inputs)
            if device.type == "cuda":
                torch.cuda.synchronize(device)

        return run

    modes = dense.training, pruned.training
    dense.eval()
    pruned.eval()
    with torch.inference_mode():
        first, second = in_turns(forward(dense), forward(pruned), repeats, warmup)
    dense.train(modes[0])
    pruned.train(modes[1])
    return Measured(compressed_bytes(state), first, second, str(device))


def in_turns(first: Callable[[], None], second: Callable[[], None], repeats: int, warmup: int) -> tuple[float, float]:
    """Median milliseconds of two calls, alternating."""
    taken: tuple[list[float], list[float]] = ([], [])
    for i in range(warmup + repeats):
        for call, times in zip((first, second), taken, strict=True):
            start = time.perf_counter()
            call()
            if i >= warmup:
                times.append(1000 * (time.perf_counter() - start))
    return median(taken[0]), median(taken[1])


def latency_note(measured: Collection[Measured]) -> str:
    """What the forward passes say about speed, in one sentence for all models that were timed; empty if none was."""
    timed = [one for one in measured if one.device]
    if not timed:
        return ""
    ratios = [one.dense_milliseconds / one.pruned_milliseconds for one in timed]
    device, models = timed[0].device, f"{len(timed)} {'model' if len(timed) == 1 else 'models'}"
    spread = (
        f"{min(ratios):.2f}"
        if len(timed) == 1
        else f"{min(ratios):.2f} to {max(ratios):.2f}, median {median(ratios):.2f}"
    )
    if median(ratios) < 1 / (1 - NOISE):
        return f"zeros bring no speed-up on this device ({device}): the dense model takes {spread} times as long ({models})"
    return f"on this device ({device}) the dense model takes {spread} times as long as the pruned one ({models})"
