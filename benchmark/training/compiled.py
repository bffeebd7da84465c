"""Compiles training steps with torch.compile, for GPUs: kernels are made once for all widths of a batch, and launched as CUDA graphs.

Of every width that batches have (a multiple of eight, prefetch.py) a forward and a backward graph are recorded, so that the host
launches two graphs a step in place of a thousand kernels. Graphs hold addresses. Those of the parameters are the same in every forward
pass of training: masks and rewinds write into the vectors that they are views of, and only an evaluation, which is not compiled,
points them elsewhere for a while (`Pruner.evaluating`).

The mask, the criterion and the optimizer work on flat vectors outside the model and are not compiled: they are a handful of
kernels as they are. Results may differ in the last bits, as they do between devices; the record says that the run was compiled.
Dropout draws from torch's generators, as without.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import nn

BACKEND = "inductor"
OPTIONS = {"triton.cudagraphs": True, "fallback_random": True}
"""CUDA graphs, where there is CUDA; and torch's own dropout, whose draws are those of a run that is not compiled."""
GRAPHS = 64
"""Compilations of one function before dynamo gives up on it and runs it as it is: its own limit is eight, and a head takes two."""
LONG = 10_000
"""Steps from which "auto" compiles, on CUDA: an estimate, not measured on a GPU. Tracing the model, whatever the device, takes 17
seconds of processor time for MiniLM's shape and 31 for BERT-base's. A compiled step launches 480 and 910 kernels fewer; if each
costs the host 5 microseconds, that is made up for after 7,000 steps. The rest is for the seconds in which kernels are made."""

Choice = bool | Literal["auto"]


def repays(choice: Choice, device: torch.device, total: int) -> bool:
    """Whether to compile a run of `total` steps on `device`."""
    return (device.type == "cuda" and total >= LONG) if choice == "auto" else choice


def compile_steps(model: nn.Module) -> None:
    """Compile the model's own `forward`, in place: names and state dict stay, a copy of the model is not compiled."""
    import torch._dynamo  # a second of imports, for those who compile
    import torch._inductor.config

    config: Any = torch._dynamo.config
    config.cache_size_limit = max(config.cache_size_limit, GRAPHS)
    graphs: Any = torch._inductor.config.triton
    graphs.cudagraph_dynamic_shape_warn_limit = None  # a graph of every width is what is wanted
    model.compile(backend=BACKEND, dynamic=True, options=OPTIONS)


def forget() -> None:
    """Drop all graphs of this process: they hold addresses of one cell's parameters and memory of their own, which would pile up."""
    torch.compiler.reset()


@contextmanager
def eager() -> Iterator[None]:
    """Within, compiled models run uncompiled: evaluation has many shapes, too many to compile for a few uses each."""
    with torch.compiler.set_stance("force_eager"):
        yield
