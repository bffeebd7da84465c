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

Reference: Zhang et al., PLATON, ICML 2022, https://arxiv.org/abs/2206.12562 (equations 6-9 and the released code)
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor

from criteria.base import Criterion, State, Step
from criteria.blocks import blocks, fresh
from criteria.kernels import REGISTER, AdamW, Kernels, load_for
from criteria.options import require_at_least, require_range
from criteria.search import Linear, Log, Range

Importance = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(out, weight, grad) -> out, filled with the importance of these weights; all three are flat views of one length."""

Rates = tuple[float, float]
"""How far a window's mean moves A, and |M - A| moves U: 1 - beta1 and 1 - beta2."""

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
        require_range("beta1", self.beta1, 0, 1, open_high=True)
        require_range("beta2", self.beta2, 0, 1)
        require_at_least("window", self.window, 1)

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        """M, A, U at zero; M alone where nothing is smoothed."""
        return start(weight, smooth=self.smooth, uncertainty=self.uncertainty and self.beta2 < 1)

    @abstractmethod
    def importance(self, step: Step) -> Importance:
        """What is smoothed."""

    def observe(self, state: State, weight: Tensor, grad: Tensor, step: Step) -> None:
        """Fold this step's importance into the window."""
        fold = self._fold(state, step)
        kernels = fold.compiled(weight, grad)
        if kernels is not None:
            fold.by_kernels(kernels, weight.reshape(-1), grad.reshape(-1))
        else:
            fold.by_blocks(weight, grad)
        fold.count(state)

    def observe_and_move(self, state: State, weight: Tensor, grad: Tensor, step: Step, adamw: AdamW) -> bool:
        """Both in one pass, where it is compiled; not for a plugin that observes in its own way."""
        fold = self._fold(state, step)
        kernels = fold.compiled(weight, grad)
        if kernels is None or not agree(kernels, moving=True) or type(self).observe is not Smoothed.observe:
            return False
        fold.by_kernels(kernels, weight, grad, adamw)
        fold.count(state)
        return True

    def version(self, state: State) -> int | None:
        """The number of closed windows: A and U stand still between them. None before the first, where M ranks."""
        return int(state["seen"][1]) or None if "A" in state else None

    def score(self, state: State, weight: Tensor) -> Tensor:
        """A U, or A, or the last importance."""
        return score(state, weight)

    def predicted(self, state: State, weight: Tensor) -> Tensor | None:
        """A, the smoothed importance without the bonus: a change of the loss to first order. M until a window has closed."""
        observations, closed = state["seen"].tolist()
        if not observations:
            return None
        return state["A"].clone() if "A" in state and closed else state["M"].clone()

    def _fold(self, state: State, step: Step) -> "Fold":
        started, k = bool(state["seen"][0]), step.index % self.window if self.smooth else 0
        closing = (1 - self.beta1, 1 - self.beta2) if started and k == 0 and "A" in state else None
        statistics = [state[name].reshape(-1) for name in ("M", "A", "U") if name in state]
        return Fold(statistics, self.importance(step), 1 / (k + 1) if started else 1.0, closing)


def start(weight: Tensor, *, smooth: bool, uncertainty: bool) -> State:
    """Statistics at zero, fp32: M, A and U (no U without `uncertainty`, M alone unless `smooth`).

    "seen" holds [observations, closed windows] and stays on the CPU, so that reading it never waits for an accelerator.
    """
    names = ["M"] + ["A"] * smooth + ["U"] * (smooth and uncertainty)
    state = {name: fresh(weight.shape, weight.device).zero_() for name in names}
    return {**state, "seen": torch.zeros(2, dtype=torch.int64)}


@dataclass(frozen=True)
class Product:
    """|g (theta - eta g)|, an Importance that kernels.c knows too; with eta = 0 it is |theta g|."""

    eta: float = 0.0

    def __call__(self, out: Tensor, theta: Tensor, g: Tensor) -> Tensor:
        """Into `out`."""
        moved = torch.sub(theta, g, alpha=self.eta, out=out) if self.eta else theta
        return torch.mul(moved, g, out=out).abs_()


@dataclass(frozen=True)
class Fold:
    """One step: M moves by `share` of the way to the importance, all of it where a window begins; before that M enters A and U, if
    `closing`. By torch's operations or by kernels.c, to the same bits."""

    statistics: Sequence[Tensor]
    """M, and A and U where these are kept; flat."""
    importance: Importance
    share: float
    closing: Rates | None

    def by_blocks(self, weight: Tensor, grad: Tensor) -> None:
        """In place, by torch's operations."""
        for out, theta, g, mean, *smoothed in blocks(weight, grad, *self.statistics):
            if self.closing is not None:
                average, *uncertainty = smoothed
                average.lerp_(mean, self.closing[0])
                for spread in uncertainty:
                    spread.lerp_(torch.sub(mean, average, out=out).abs_(), self.closing[1])
            if self.share < 1:
                mean.lerp_(self.importance(out, theta, g), self.share)
            else:
                self.importance(mean, theta, g)

    def by_kernels(self, kernels: Kernels, weight: Tensor, grad: Tensor, adamw: AdamW | None = None) -> None:
        """In place, in one pass; the optimizer's step after it, if given."""
        assert isinstance(self.importance, Product)
        kernels.observe(self.statistics, weight, grad, self.importance.eta, self.share, self.closing, adamw)

    def count(self, state: State) -> None:
        """The step was taken."""
        state["seen"] += torch.tensor([1, self.closing is not None])

    def compiled(self, weight: Tensor, grad: Tensor) -> Kernels | None:
        """What `by_kernels` takes; None where `by_blocks` is to be used."""
        plain = weight.device.type == "cpu" and weight.dtype == grad.dtype == torch.float32
        if not plain or not isinstance(self.importance, Product):
            return None
        kernels = load_for(self.statistics[0])
        return kernels if kernels is not None and agree(kernels) else None


@cache
def agree(kernels: Kernels, moving: bool = False) -> bool:
    """Whether a few steps by `kernels`, the optimizer's with them if `moving`, give torch's bits on this processor: results must not
    depend on who has a compiler."""
    size, generator = 257 * REGISTER if moving else 4099, torch.Generator().manual_seed(0)
    ours = torch.randn(6, size, generator=generator).abs_()  # weight, two moments, M, A, U
    theirs, grads = ours.clone(), torch.randn(4, size, generator=generator)
    rates = ((0.0, 1.0, None), (1e-3, 0.5, None), (0.1, 0.3, (0.15, 0.01)), (0.0, 0.1, (0.7, 0.5)))
    for steps, (grad, (eta, share, closing)) in enumerate(zip(grads, rates, strict=True), 1):
        folds = [Fold(rows[3:].unbind(), Product(eta), share, closing) for rows in (ours, theirs)]
        moves = [AdamW(rows[1], rows[2], steps, 0.1 / steps, (0.9, 0.999), 1e-8, 0.1) for rows in (ours, theirs)]
        folds[0].by_kernels(kernels, ours[0], grad, moves[0] if moving else None)
        folds[1].by_blocks(theirs[0], grad)
        if moving:
            moves[1].by_torch(theirs[0], grad)
    return torch.equal(ours, theirs)


def score(state: State, weight: Tensor) -> Tensor:
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
