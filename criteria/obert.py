"""Keeps the weights whose removal costs most to second order, by a block-diagonal inverse Fisher matrix (optimal BERT surgeon).

    F     = damp I + 1/m sum_k g_k g_k'         g_k the gradient of one of m examples; blocks of `block` consecutive weights
    score = 1/2 theta^2 / [F^-1]_ii             what the loss grows by when theta_i goes and the block's others answer to it
    update of the kept weights K of a block for its pruned ones Q:
            theta_K <- theta_K + (F_KK)^-1 F_KQ theta_Q      the same as  theta <- theta - F^-1[:, Q] ([F^-1]_QQ)^-1 theta_Q

Departures: the released code builds F^-1 by Woodbury's recursion, F^-1 <- F^-1 - (F^-1 g)(F^-1 g)' / (m + g' F^-1 g) from I / damp,
one pass over F^-1 for each gradient. Here the outer products are summed, several gradients in a pass, and inverted once by
Cholesky in double precision: the same matrix (the tests hold both against each other) many times faster, and m need not be
known in advance. Where gradients are so large that `damp` would vanish in the rounding of the sums, that rounding takes its
place, and a warning says for how many blocks.
Gradients are those of single examples, not of small batches. The update is the paper's joint one, where the released code
sums the updates of single weights. Pruned weights may regrow, where the released code never lets them. Without calibration
theta^2 ranks and nothing is updated. The sums take `block` + 16 numbers a weight.

References: Kurtic et al., The Optimal BERT Surgeon, EMNLP 2022, https://arxiv.org/abs/2203.07259
            Singh & Alistarh, WoodFisher, NeurIPS 2020, https://arxiv.org/abs/2004.14340
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from criteria.base import Criterion, State
from criteria.common.options import require_at_least, require_positive
from criteria.common.search import Choice, Log, Range

WAITING = 16
"""Gradients that wait until their outer products are added in one pass."""
CHUNK = {"cpu": 1 << 9, "cuda": 1 << 14}
"""Blocks worked on at once, so that temporaries stay small; a GPU wants many, and is waited for at each such chunk."""


@dataclass(frozen=True)
class Obert(Criterion):
    """1/2 theta^2 / [F^-1]_ii, with updates."""

    elementwise: ClassVar[bool] = False
    search: ClassVar[Mapping[str, Range]] = {"block": Choice((4, 50, 100)), "damp": Log(1e-8, 1e-5)}

    block: int = 50
    """Weights of a block of F."""
    damp: float = 1e-7
    """What is added to the diagonal of F."""
    update: bool = True
    """Let the kept weights of each block make up for the pruned ones."""

    def __post_init__(self) -> None:
        """Refuse options outside their ranges."""
        super().__post_init__()
        require_at_least("block", self.block, 1)
        require_positive("damp", self.damp)

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        """Nothing but the count of examples: the sums take room only once calibration begins."""
        empty = torch.zeros(0, device=weight.device)
        return {"sum": empty, "waiting": empty.clone(), "m": torch.zeros((), dtype=torch.int64)}

    def begin_calibration(self, state: State, weight: Tensor) -> None:
        """Sums [blocks, block, block] and waiting gradients [blocks, 16, block] at zero."""
        count = -(-weight.numel() // self.block)
        state["sum"] = torch.zeros(count, self.block, self.block, device=weight.device)
        state["waiting"] = torch.zeros(count, WAITING, self.block, device=weight.device)
        state["m"].zero_()

    def observe_example(self, state: State, weight: Tensor, grad: Tensor) -> None:
        """Let the gradient wait; add all that wait when they are complete."""
        position = int(state["m"]) % WAITING
        state["waiting"][:, position] = self._blocked(grad)
        state["m"] += 1
        if position == WAITING - 1:
            _add_waiting(state)

    def score(self, state: State, weight: Tensor) -> Tensor:
        """1/2 theta^2 / [F^-1]_ii; theta^2 without calibration."""
        if not state["m"].item():
            return weight.square()
        _add_waiting(state)
        scores = self._blocked(weight).square_().mul_(0.5)
        if floored := int((self._rounding(state["sum"], state) > self.damp).sum()):
            warnings.warn(
                f"obert: gradients are too large for damp={self.damp:g} in {floored} of {len(scores)} blocks of a matrix; "
                "the rounding of their sums takes its place there, so the ranking is not that of this damp: raise it",
                stacklevel=2,
            )
        for outer, part in _chunks(state["sum"], scores):
            part.div_(_inverse_diagonal(self._fisher(outer, state)))
        return self._unblocked(scores, weight)

    def predicted(self, state: State, weight: Tensor) -> Tensor | None:
        """The score is a loss: what it grows by once the block's other weights have answered."""
        return self.score(state, weight) if state["m"].item() else None

    def compensate(self, state: State, weight: Tensor, mask: Tensor) -> None:
        """The joint update of every block, in place."""
        if not self.update or not state["m"].item():
            return
        _add_waiting(state)
        theta, kept = self._blocked(weight), self._blocked(mask.to(weight.dtype))
        for outer, thetas, keep in _chunks(state["sum"], theta, kept):
            thetas.copy_(_joint_update(self._fisher(outer, state), thetas.double(), keep.double()))
        weight.copy_(self._unblocked(theta, weight))

    def _fisher(self, outer: Tensor, state: State) -> Tensor:
        """F of some blocks [n, block, block], in double precision."""
        f = outer.double().div_(int(state["m"]))
        f.diagonal(dim1=1, dim2=2).add_(self._rounding(outer, state).clamp_(min=self.damp))
        return f

    def _rounding(self, outer: Tensor, state: State) -> Tensor:
        """What the rounding of the sums of some blocks amounts to on their diagonals [n, 1], in double precision."""
        largest = outer.diagonal(dim1=1, dim2=2).double().div_(int(state["m"])).amax(1, keepdim=True)
        return largest.mul_(4 * self.block * torch.finfo(outer.dtype).eps)

    def _blocked(self, tensor: Tensor) -> Tensor:
        """A copy of `tensor` as [blocks, block], padded with zeros."""
        flat = tensor.reshape(-1)
        return torch.nn.functional.pad(flat, (0, -len(flat) % self.block)).view(-1, self.block).clone()

    def _unblocked(self, tensor: Tensor, like: Tensor) -> Tensor:
        """The inverse of `_blocked`."""
        return tensor.reshape(-1)[: like.numel()].view(like.shape)


def _add_waiting(state: State) -> None:
    """Add the outer products of the gradients that wait; those not there yet are zero and change nothing."""
    for outer, g in _chunks(state["sum"], state["waiting"]):
        outer.baddbmm_(g.mT, g)
    state["waiting"].zero_()


def _chunks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Matching views of some blocks of `tensors` [blocks, ...]."""
    size = CHUNK["cpu" if tensors[0].device.type == "cpu" else "cuda"]
    return zip(*(tensor.split(size) for tensor in tensors), strict=True)


def _inverse_diagonal(f: Tensor) -> Tensor:
    """The diagonals [n, block] of the inverses of `f` [n, block, block]: F = L L', so [F^-1]_ii = sum_k (L^-1)_ki^2.

    By a batched triangular solve, for CUDA's inverse from a Cholesky factor takes one call a matrix.
    """
    identity = torch.eye(f.shape[-1], dtype=f.dtype, device=f.device).expand_as(f)
    inverse: Tensor = torch.linalg.solve_triangular(torch.linalg.cholesky(f), identity, upper=False)
    return inverse.square().sum(1)


def _joint_update(f: Tensor, theta: Tensor, kept: Tensor) -> Tensor:
    """theta_K + (F_KK)^-1 F_KQ theta_Q, and 0 on Q, for blocks [n, block]; `kept` is 1 on K.

    Rows and columns outside K become those of the identity, so that one batched solve serves sets K of any size.
    """
    effect = kept * torch.bmm(f, (theta * (1 - kept)).unsqueeze(2)).squeeze(2)
    restricted = f * kept.unsqueeze(1) * kept.unsqueeze(2) + torch.diag_embed(1 - kept)
    answer = torch.cholesky_solve(effect.unsqueeze(2), torch.linalg.cholesky(restricted)).squeeze(2)
    return (theta + answer) * kept
