"""Counts what a device would be asked to launch, and what the host would wait for, on any machine.

A tensor on torch's `meta` device has no values, so that the code takes the branches that it takes on a GPU and every value that the
host reads is seen: a read (`.item()`, `if tensor`) is answered with 1 here and noted by the line that asked for it. An operation on
tensors of both devices raises, as it would on a GPU; torch itself lets many of them pass on `meta`.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

META = torch.device("meta")

NO_LAUNCH = {
    "view", "_unsafe_view", "t", "transpose", "expand", "slice", "select", "split", "split_with_sizes", "detach", "alias", "unsqueeze",
    "squeeze", "permute", "as_strided", "empty", "empty_like", "empty_strided", "unbind", "_reshape_alias",
}  # fmt: skip
"""Views and memory: nothing that runs on the device."""

MOVES = {"copy_", "_to_copy", "_foreach_copy_"}
"""What takes tensors from one device to another."""

PACKAGES = ("benchmark", "criteria", "tasks", "transformers")


class Watch(TorchDispatchMode):
    """Counts `launches`, the `bytes` that they read and write, and `reads` by the line of the project's or the library's code that
    made them."""

    def __init__(self) -> None:
        super().__init__()
        self.launches, self.bytes, self.reads = 0, 0, Counter[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        away = any(_is_away(one) for one in (*args, *kwargs.values()))
        if away and func is torch.ops.aten._local_scalar_dense.default:
            self.reads[_line()] += 1
            return 1
        if away and func is torch.ops.aten.nonzero.default:
            self.reads[_line()] += 1
            return torch.zeros(args[0].numel(), args[0].dim(), dtype=torch.int64, device=META)
        if away and func is torch.ops.aten.index.Tensor:
            args = (args[0], [place for one in args[1] for place in self._places(one)])
        if away and func.overloadpacket.__name__ not in MOVES and any(map(_is_here, (*args, *kwargs.values()))):
            raise AssertionError(f"{_line()}: {func} of tensors on the device and on the CPU")
        given = func(*args, **kwargs)
        if away and func.overloadpacket.__name__ not in NO_LAUNCH:
            self.launches += 1
            self.bytes += _bytes((*args, *kwargs.values(), given))
        return given

    def _places(self, index: torch.Tensor | None) -> Sequence[torch.Tensor | None]:
        """`index` itself, or for a mask the places of its True entries, a tensor for each dimension.

        The host has to wait for their number; here all entries count as True.
        """
        if index is None or index.dtype != torch.bool:
            return [index]
        self.reads[_line()] += 1
        return torch.zeros(index.numel(), index.dim(), dtype=torch.int64, device=index.device).unbind(1)


def _is_away(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_is_away, value))
    return (
        value == META if isinstance(value, torch.device) else isinstance(value, torch.Tensor) and value.device == META
    )


def _is_here(value: Any) -> bool:
    """Whether a tensor lies on the CPU; one without dimensions may, for it is sent along as a number."""
    if isinstance(value, (list, tuple)):
        return any(map(_is_here, value))
    return isinstance(value, torch.Tensor) and value.device.type == "cpu" and value.dim() > 0


def _bytes(value: Any) -> int:
    """Of all tensors on the device among `value`, each as large as it is seen."""
    if isinstance(value, (list, tuple)):
        return sum(map(_bytes, value))
    return value.numel() * value.element_size() if isinstance(value, torch.Tensor) and value.device == META else 0


def _line() -> str:
    frame: Any = sys._getframe(2)
    while frame and not any(f"/{part}/" in frame.f_code.co_filename for part in PACKAGES):
        frame = frame.f_back
    return "/".join(Path(frame.f_code.co_filename).parts[-2:]) + f":{frame.f_lineno}" if frame else "?"
