"""Compiles training steps with torch.compile, for GPUs: one graph for all widths of a batch. Evaluation is not compiled.

The mask, the criterion and the optimizer work on flat vectors outside the model and are not compiled: they are a handful of
kernels as they are. Results may differ in the last bits, as they do between devices; the record says that the run was compiled.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

BACKEND = "inductor"
GRAPHS = 64
"""Compilations of one function before dynamo gives up on it for good. All heads and tasks of a process share those of the
library's model classes, and of dynamo's own eight every head takes two."""


def compile_steps(model: nn.Module) -> None:
    """Compile the model's own `forward`, in place: names and state dict stay, a copy of the model is not compiled."""
    import torch._dynamo  # a second of imports, for those who compile

    config: Any = torch._dynamo.config
    config.cache_size_limit = max(config.cache_size_limit, GRAPHS)
    model.compile(backend=BACKEND, dynamic=True)


@contextmanager
def eager() -> Iterator[None]:
    """Within, compiled models run uncompiled: evaluation has many shapes, too many to compile for a few uses each."""
    with torch.compiler.set_stance("force_eager"):
        yield
