"""Keeps the weights that a layer's output cannot do without, and lets the kept ones make up for the others.

    H = 2 X'X / n + damp mean(diag) I           X [n tokens, in] what the layer was fed
    U = upper Cholesky factor of H^-1           U_jj^2 = [(H_j:,j:)^-1]_jj: columns left of j are done with, the others free
    score_ij = W_ij^2 / U_jj^2                  what the layer's squared error grows by when W_ij goes (twice that, exactly)
    update, for j = 1 ... in, rows with W_ij pruned:
        W_i,j: <- W_i,j: - (W_ij / U_jj) U_j,j:
    the mask is chosen on the way, for 128 columns at once (m for an n:m pattern), from weights already updated

The paper writes [H^-1]_jj for U_jj. Each update is the least-squares optimal answer of the columns from j on to the loss of
W_ij; the columns beyond a block of 128 wait for it to be complete, which is faster and changes nothing.

The published method settles each matrix by itself: that is the suite's `scope: layer`, or n:m. Scopes in which matrices compete
(`global`, `published`, `block[h,w]`) need all scores before any weight is updated: there the mask is ranked first, from the
weights as they are, and the sweep follows it. The price is a layer error that may exceed that of magnitude (docs/criteria.md).

Departures: masks prune exactly the requested count, each block of columns its share of it, where the released code prunes up to
one weight more a block. Under `scope: row` each row of the block gives that share. Weights on inputs that were never active
score 0, where the released code zeroes them at once; in mean(diag) such an input counts as 0 here and as 1 in the released code.
Without calibration W^2 ranks and nothing is updated.

Reference: Frantar & Alistarh, SparseGPT: Massive Language Models Can Be Accurately Pruned in One-Shot, ICML 2023,
           https://arxiv.org/abs/2301.00774
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from criteria.base import Choose, Criterion, State
from criteria.common.options import require_positive
from criteria.common.search import Log, Range

COLUMNS = 128
"""Columns chosen from together, and swept before the rest of the matrix is updated."""


@dataclass(frozen=True)
class _Given:
    """Chooses what a mask [out, in] says that is there already."""

    mask: Tensor
    group: int = 1

    def __call__(self, scores: Tensor, start: int) -> Tensor:
        return self.mask[:, start : start + scores.shape[1]]


@dataclass(frozen=True)
class SparseGPT(Criterion):
    """W^2 / U_jj^2, with least-squares updates."""

    elementwise: ClassVar[bool] = False
    search: ClassVar[Mapping[str, Range]] = {"damp": Log(1e-3, 1e-1)}

    damp: float = 0.01
    """What is added to the diagonal of H, as a share of its mean."""
    update: bool = True
    """Let the kept weights make up for the pruned ones."""

    def __post_init__(self) -> None:
        """Refuse a damping that is not positive: H could not be inverted."""
        super().__post_init__()
        require_positive("damp", self.damp)

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        """X'X [in, in] at zero, and the tokens seen (on the CPU)."""
        size = weight.shape[-1]
        return {"XX": torch.zeros(size, size, device=weight.device), "tokens": torch.zeros((), dtype=torch.int64)}

    def begin_calibration(self, state: State, weight: Tensor) -> None:
        """Forget the last masking's inputs."""
        state["XX"].zero_()
        state["tokens"].zero_()

    def observe_inputs(self, state: State, weight: Tensor, inputs: Tensor) -> None:
        """Add the products of `inputs` [tokens, in]."""
        state["tokens"] += len(inputs)
        state["XX"].addmm_(inputs.T, inputs)

    def score(self, state: State, weight: Tensor) -> Tensor:
        """W^2 / U_jj^2, 0 where the input was never active; W^2 without calibration."""
        if not _calibrated(state):
            return weight.square()
        score = (weight / self._factor(state).diagonal()).square_().to(weight.dtype)
        return score.mul_(state["XX"].diagonal() > 0)

    def compensate(self, state: State, weight: Tensor, mask: Tensor) -> None:
        """Sweep `weight` [out, in] in place, given the mask."""
        if self.update and _calibrated(state):
            self._swept(state, weight, _Given(mask))

    def sweep(self, state: State, weight: Tensor, choose: Choose) -> Tensor:
        """Choose and update block by block; in one go where nothing is updated."""
        if not self.update or not _calibrated(state):
            return choose(self.score(state, weight), 0)
        return self._swept(state, weight, choose)

    def _swept(self, state: State, weight: Tensor, choose: Choose) -> Tensor:
        """The mask [out, in] that `choose` gives on the way through the columns of `weight`, which is updated in place."""
        u = self._factor(state)
        w = weight.to(u.dtype, copy=True)
        scale = u.diagonal().reciprocal() * (state["XX"].diagonal() > 0)
        mask = torch.ones(w.shape, dtype=torch.bool, device=w.device)
        width = max(COLUMNS - COLUMNS % choose.group, choose.group)
        stride = choose.group if choose.group > 1 else width
        for start in range(0, w.shape[1], width):
            stop = min(start + width, w.shape[1])
            errors = torch.zeros(w.shape[0], stop - start, dtype=w.dtype, device=w.device)
            for j in range(start, stop):
                if (j - start) % stride == 0:
                    near = slice(j, min(j + stride, stop))
                    mask[:, near] = choose((w[:, near] * scale[near]).square_().to(weight.dtype), j)
                error = w[:, j] * ~mask[:, j] / u[j, j]
                w[:, j:stop].addr_(error, u[j, j:stop], alpha=-1)
                errors[:, j - start] = error
            w[:, stop:].addmm_(errors, u[start:stop, stop:], alpha=-1)
        weight.copy_(w)
        return mask

    def _factor(self, state: State) -> Tensor:
        """U [in, in], in double precision."""
        h = state["XX"].double().mul_(2 / int(state["tokens"]))
        h.diagonal().add_(self.damp * h.diagonal().mean())
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(h))
        factor: Tensor = torch.linalg.cholesky(inverse, upper=True)
        return factor


def _calibrated(state: State) -> bool:
    """Whether any input was ever active."""
    return bool(state["tokens"].item()) and bool(state["XX"].diagonal().any())
