"""Smoothing of a noisy importance over training, with its uncertainty as a bonus: what PLATON and PINS share.

    I      the importance of this step (sensitivity: |theta g|; principled: |S|)
    k      = step % window;  M the running mean of I over the window:  M <- (M k + I)/(k + 1)
    at k = 0, first, with the previous window's M:
           A <- beta1 A + (1 - beta1) M
           U <- beta2 U + (1 - beta2) |M - A|        (A already updated)
           then M <- I
    score  = A U                                     (no uncertainty, or beta2 = 1: A)

Until the first window closes A and U are 0 and rank nothing; the published pruners never mask so early. Here M, scaled down
by 2^-64 (below the rounding of any later score), ranks until then, and |theta| before anything was observed.

A and U start at 0 and are not corrected for it. After k closed windows U holds 1 - beta2^k of its weight: with beta2 = .99 a tenth
after 11 windows, 95 % only after 300. In that burn-in (1 - beta2) is a factor common to all weights, so rankings under any beta2
near 1 agree, and a run of a few hundred steps never leaves it: it says nothing about the choice of beta2 there.

Reference: Zhang et al., PLATON, ICML 2022, https://arxiv.org/abs/2206.12562 (equations 6-9 and the released code)
"""

import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor

from criteria.base import Criterion, State, Step
from criteria.common.blocks import blocks, fresh
from criteria.common.options import require_at_least, require_range
from criteria.common.search import Linear, Log, Range

EARLY = 2.0**-64
"""The scale of the running mean while it stands in for the score."""


@dataclass(frozen=True)
class Smoothed(Criterion):
    """What the smoothed criteria share; each says what its `importance` is."""

    search: ClassVar[Mapping[str, Range]] = {
        "beta1": Linear(0.7, 0.95),
        "beta2": Linear(0.65, 0.99),
        "window": Log(5, 50),
    }

    beta1: float = 0.85
    """Decay of the moving average A of the window means."""
    beta2: float = 0.99
    """Decay of the moving uncertainty U; 1 switches it off."""
    window: int = 10
    """Steps whose importance is averaged before it enters A."""
    uncertainty: bool = True
    """Multiply A by U; without it the score is A."""
    smooth: bool = True
    """Smooth at all; without it the score is the last step's importance."""

    def __post_init__(self) -> None:
        """Refuse options outside their ranges."""
        super().__post_init__()
        require_range("beta1", self.beta1, 0, 1, open_high=True)
        require_range("beta2", self.beta2, 0, 1)
        require_at_least("window", self.window, 1)

    def searched(self) -> Mapping[str, Range]:
        """Nothing where nothing is smoothed, and no beta2 without the uncertainty that it smooths."""
        if not self.smooth:
            return {}
        return {name: found for name, found in self.search.items() if name != "beta2" or self.uncertainty}

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        """Statistics at zero, fp32: M, A and U (no U without uncertainty, M alone where nothing is smoothed).

        "seen" holds [observations, closed windows] and stays on the CPU, so that reading it never waits for an accelerator.
        """
        names = ["M"] + ["A"] * self.smooth + ["U"] * (self.smooth and self.uncertainty and self.beta2 < 1)
        state = {name: fresh(weight.shape, weight.device).zero_() for name in names}
        return {**state, "seen": torch.zeros(2, dtype=torch.int64)}

    @abstractmethod
    def importance(self, step: Step) -> "Importance":
        """What is smoothed."""

    def observe(self, state: State, weight: Tensor, grad: Tensor, step: Step) -> None:
        """Fold this step's importance into the window; a window that has ended first enters A and U."""
        started, k = bool(state["seen"][0]), step.index % self.window if self.smooth else 0
        closing = started and k == 0 and "A" in state
        averages = [state[name] for name in ("A", "U") if name in state]
        window = Window(k if started else 0, closing, (1 - self.beta1, 1 - self.beta2))
        fold_on(weight.device)(self.importance(step), window, weight, grad, state["M"], averages)
        state["seen"] += torch.tensor([1, closing])

    def version(self, state: State) -> int | None:
        """The number of closed windows: A and U do not change between them. None before the first, where M ranks."""
        return int(state["seen"][1]) or None if "A" in state else None

    def score(self, state: State, weight: Tensor) -> Tensor:
        """A U, or A, or the last I where nothing is smoothed; the module says what ranks before the first window closes."""
        observations, closed = state["seen"].tolist()
        out = fresh(weight.shape, weight.device)
        if not observations:
            return torch.abs(weight, out=out)
        if "A" not in state:
            return out.copy_(state["M"])
        if not closed:
            return torch.mul(state["M"], EARLY, out=out)
        return torch.mul(state["A"], state["U"], out=out) if "U" in state else out.copy_(state["A"])

    def predicted(self, state: State, weight: Tensor) -> Tensor | None:
        """A, the smoothed importance without the bonus: a change of the loss to first order. M until a window has closed."""
        observations, closed = state["seen"].tolist()
        if not observations:
            return None
        return state["A"].clone() if "A" in state and closed else state["M"].clone()


@dataclass(frozen=True)
class Importance:
    """I = |g (theta - eta g)|, which is |theta g| with eta = 0; `signed`: -g (theta - eta g)."""

    eta: float = 0.0
    signed: bool = False

    def __call__(self, out: Tensor, theta: Tensor, g: Tensor) -> Tensor:
        """`out` filled with I; all are flat views of one length."""
        moved = torch.sub(theta, g, alpha=self.eta, out=out) if self.eta else theta
        found = torch.mul(moved, g, out=out)
        return found.neg_() if self.signed else found.abs_()


@dataclass(frozen=True)
class Window:
    """Where a step stands: the `k`-th of its window (from 0), whether one just ended, and its shares of A and U."""

    k: int
    closing: bool
    shares: tuple[float, float]


def fold(
    importance: Importance, window: Window, weight: Tensor, grad: Tensor, m: Tensor, averages: list[Tensor]
) -> None:
    """Fold this step's importance into M; a window that has ended first enters `averages` (A, or A and U)."""
    for out, theta, g, mean, *parts in blocks(weight, grad, m, *averages):
        if window.closing:
            average, *uncertainty = parts
            average.lerp_(mean, window.shares[0])
            for spread in uncertainty:
                spread.lerp_(torch.sub(mean, average, out=out).abs_(), window.shares[1])
        if window.k:
            mean.lerp_(importance(out, theta, g), 1 / (window.k + 1))
        else:
            importance(mean, theta, g)


Fold = Callable[[Importance, Window, Tensor, Tensor, Tensor, list[Tensor]], None]


@cache
def fold_on(device: torch.device) -> Fold:
    """`fold`, as one kernel where that works: on CUDA with Triton and a C compiler, and where it gives what `fold` gives."""
    if device.type != "cuda":
        return fold
    try:
        from criteria.common.smoothing_kernel import checked

        return checked(device)
    except Exception as error:  # whatever a compiler may raise: the criterion goes on without it
        warnings.warn(f"smoothed criteria take several passes, for their kernel cannot be used: {error}", stacklevel=2)
        return fold
