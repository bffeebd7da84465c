"""One pass through memory where torch's operations take several: kernels.c, compiled by this machine's C compiler.

What a smoothed criterion adds to a step on a CPU is traffic: weights and gradients are read, a statistic is read and written. As four
operations of torch on blocks in the cache that takes more than twice the time of the traffic alone; compiled, hardly more.

    kernels = load_for(vector)      # None without a C compiler: callers then take torch's operations, with the same results

Less still where the optimizer's step is taken in the same pass, since that reads weights and gradients too (`AdamW` below).

Compiled once a process, for this very processor, in a fifth of a second, and only where a vector is long enough to repay that; nothing
is left behind, so there is no cache that could be stale or another machine's. CC names another compiler than cc; CC= is none.

Its threads are torch's. A second OpenMP library would have threads of its own, and the two sets would wait for each other: so none is
linked, and its functions are found in the one that torch has loaded, or the compiler counts as none.
"""

import ctypes
import math
import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.adamw import adamw

SOURCE = Path(__file__).with_suffix(".c")
LEAST = 1 << 20
"""Entries of a vector from which compiling repays itself."""
REGISTER = 16
"""Entries of a processor's longest register; torch's fused optimizer may round those past the last full one otherwise."""
SLACK = 256
"""Positions for which `look` has room in short vectors, besides one for each eight values."""
# No contraction: kernels.c says itself where a product and a sum are rounded once.
COMPILE = ("-c", "-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-fopenmp", "-fPIC")
LINK = ("-shared", "-nostdlib")
SECONDS = 60
"""How long a compiler may take."""


@dataclass(frozen=True)
class AdamW:
    """One step of torch's fused AdamW for a flat vector of whole registers; `steps` counts this one too."""

    first: Tensor
    second: Tensor
    """Its moments [n], moved in place."""
    steps: int
    lr: float
    betas: tuple[float, float]
    epsilon: float
    weight_decay: float

    def by_torch(self, weight: Tensor, grad: Tensor) -> None:
        """Take it by torch's own function, in place: what a pass that takes it along must give, to the bit."""
        beta1, beta2 = self.betas
        adamw(
            [weight], [grad], [self.first], [self.second], [], [torch.tensor(self.steps - 1.0)], fused=True, amsgrad=False,
            beta1=beta1, beta2=beta2, lr=self.lr, weight_decay=self.weight_decay, eps=self.epsilon, maximize=False,
        )  # fmt: skip


class _Fold(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("mean", "average", "spread")),
        *((name, ctypes.c_float) for name in ("eta", "share", "fresh", "bonus")),
    )


class _AdamW(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("first", "second")),
        *((name, ctypes.c_float) for name in ("fresh", "old", "squared", "decay", "size", "root", "epsilon")),
    )

    @classmethod
    def of(cls, step: AdamW) -> Self:
        """The step's numbers, worked out in double precision as torch does."""
        (beta1, beta2), moments = step.betas, (_address(step.first), _address(step.second))
        size, root = step.lr / (1 - beta1**step.steps), math.sqrt(1 - beta2**step.steps)
        return cls(*moments, 1 - beta1, beta2, 1 - beta2, 1 - step.lr * step.weight_decay, size, root, step.epsilon)


class Kernels:
    """The functions of kernels.c. Tensors are fp32 on the CPU, contiguous and of one length; nothing is checked here."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library

    def observe(
        self,
        statistics: Sequence[Tensor],
        weight: Tensor,
        grad: Tensor,
        eta: float,
        share: float,
        closing: tuple[float, float] | None = None,
        adamw: AdamW | None = None,
    ) -> None:
        """Move the first of `statistics` by `share` of the way to |grad (weight - eta grad)|, in place.

        With `closing`, before that: move the second by closing[0] of the way to the first, and the third, if any, by closing[1] of the
        way to their distance. With `adamw`, after it: take the optimizer's step.
        """
        mean, *smoothed = (_address(statistic) for statistic in statistics)
        average, spread = ([*smoothed, None, None] if closing else [None, None])[:2]
        fold = _Fold(mean, average, spread, eta, share, *(closing or (0.0, 0.0)))
        moving = None if adamw is None else ctypes.byref(_AdamW.of(adamw))
        self.library.observe(*_team(weight), ctypes.byref(fold), _address(weight), _address(grad), moving)

    def gate(self, vector: Tensor, mask: Tensor, out: Tensor) -> None:
        """`vector` where `mask` (bool) holds and 0.0 elsewhere, into `out`, which may be `vector`."""
        self.library.gate(*_team(vector), _address(vector), _address(mask), _address(out))

    def look(
        self, values: NDArray[np.float32], low: float, high: float
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]] | None:
        """Which `values` [n] lie above `low`, and the positions of those that lie below `high` too; None if these are many."""
        n, parts = len(values), torch.get_num_threads()
        room = n // (8 * parts) + SLACK
        keep, places, found = np.empty(n, np.bool_), np.empty((parts, room), np.int64), np.empty(parts, np.int64)
        value, kept, place, count = (ctypes.c_void_p(array.ctypes.data) for array in (values, keep, places, found))
        size, team, least, most = ctypes.c_int64(n), ctypes.c_int(parts), ctypes.c_float(low), ctypes.c_float(high)
        self.library.look(size, team, value, least, most, kept, ctypes.c_int64(room), place, count)
        counts = found.tolist()
        if min(counts) < 0:
            return None
        return keep, np.concatenate([piece[:length] for piece, length in zip(places, counts, strict=True)])


@cache
def load() -> Kernels | None:
    """Compile and load; None where that fails."""
    with tempfile.TemporaryDirectory(prefix="prunebench-") as folder:
        compiled, linked = (str(Path(folder) / f"kernels.{kind}") for kind in ("o", "so"))
        try:
            compiler = shlex.split(os.environ.get("CC", "cc"))  # of CC= no program is left to be found
            _call([*compiler, *COMPILE, str(SOURCE), "-o", compiled])
            _call([*compiler, *LINK, compiled, "-o", linked])
            return Kernels(ctypes.CDLL(linked))
        except (OSError, ValueError, subprocess.SubprocessError):
            return None


def load_for(vector: Tensor | NDArray[np.float32]) -> Kernels | None:
    """`load`, for a vector that is long enough; None for others."""
    return load() if len(vector) >= LEAST else None


def _call(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)


def _team(vector: Tensor) -> tuple[ctypes.c_int64, ctypes.c_int]:
    """Entries and threads, as every function begins."""
    return ctypes.c_int64(vector.numel()), ctypes.c_int(torch.get_num_threads())


def _address(vector: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(vector.data_ptr())
