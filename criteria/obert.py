"""Keeps the weights whose removal costs most to second order, by the inverse of a block-diagonal Fisher matrix (optimal BERT surgeon).

    F     = damp I + 1/m sum_k g_k g_k'         g_k the gradient of one example; blocks of `block` consecutive weights
    score = 1/2 theta^2 / [F^-1]_ii             what the loss grows by when theta_i goes and the block's others answer to it
    update, for the pruned weights Q of a block:  theta <- theta - F^-1[:, Q] ([F^-1]_QQ)^-1 theta_Q

F^-1 is built without ever forming F, by Woodbury's identity for K gradients G [K, block] at a time, from F^-1 = I / damp:

    F^-1 <- F^-1 - P' (m I + G P')^-1 P         P = G F^-1

With K = 1 that is the published recursion; K at a time gives the same matrix in fewer passes over memory, of which F^-1 takes
`block` numbers a weight.

Departures: gradients are those of single examples where the released code takes small batches. m is an option because the
recursion needs it in advance, as the released code does; fewer gradients than m act as more damping. The update is the
paper's joint one, where the released code sums the updates of single weights. Pruned weights may regrow, where the
released code never lets them. Without calibration theta^2 ranks and nothing is updated.

References: Kurtic et al., The Optimal BERT Surgeon, EMNLP 2022, https://arxiv.org/abs/2203.07259
            Singh & Alistarh, WoodFisher, NeurIPS 2020, https://arxiv.org/abs/2004.14340
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from criteria.base import Criterion, State
from criteria.options import require_at_least, require_positive

K = 16
"""Gradients that wait to be folded into F^-1 together."""
FLOOR = 1e-12
"""The least [F^-1]_ii that scores divide by."""
CHUNK = 1024
"""Blocks worked on at once, so that temporaries stay small and, on a processor, in its cache."""


@dataclass(frozen=True)
class Obert(Criterion):
    """1/2 theta^2 / [F^-1]_ii, with optional updates."""

    elementwise: ClassVar[bool] = False

    block: int = 50
    """Weights of a block of F."""
    damp: float = 1e-7
    """What is added to the diagonal of F."""
    gradients: int = 256
    """m, the number of examples that calibration shows (batches times batch size); published: 1024."""
    update: bool = True
    """Let the kept weights of each block make up for the pruned ones."""

    def __post_init__(self) -> None:
        """Refuse options outside their ranges."""
        require_at_least("block", self.block, 1)
        require_positive("damp", self.damp)
        require_at_least("gradients", self.gradients, 1)

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        """Nothing but the count of gradients: F^-1 takes room only once calibration begins."""
        empty = torch.zeros(0, device=weight.device)
        return {"inverse": empty, "waiting": empty.clone(), "seen": torch.zeros((), dtype=torch.int64)}

    def begin_calibration(self, state: State, weight: Tensor) -> None:
        """F^-1 [blocks, block, block] = I / damp, and no gradients waiting [blocks, K, block]."""
        count = -(-weight.numel() // self.block)
        identity = torch.eye(self.block, device=weight.device).div_(self.damp)
        state["inverse"] = identity.expand(count, -1, -1).clone()
        state["waiting"] = torch.zeros(count, K, self.block, device=weight.device)
        state["seen"].zero_()

    def observe_example(self, state: State, weight: Tensor, grad: Tensor) -> None:
        """Let the gradient wait, and fold all K in when they are complete."""
        position = int(state["seen"]) % K
        state["waiting"][:, position] = self._blocked(grad)
        state["seen"] += 1
        if position == K - 1:
            self._fold(state)

    def score(self, state: State, weight: Tensor) -> Tensor:
        """1/2 theta^2 / [F^-1]_ii; theta^2 without calibration."""
        if not state["seen"].item():
            return weight.square()
        self._fold(state)
        # Rounding can push an entry of an ill-conditioned block to zero or below
        diagonal = state["inverse"].diagonal(dim1=1, dim2=2).clamp(min=FLOOR)
        return weight.square() * 0.5 / self._unblocked(diagonal, weight)

    def compensate(self, state: State, weight: Tensor, mask: Tensor) -> None:
        """The joint update of every block, in place."""
        if not self.update or not state["seen"].item():
            return
        self._fold(state)
        theta, pruned = self._blocked(weight), self._blocked((~mask).to(weight.dtype))
        for inverse, thetas, gone in _chunks(state["inverse"], theta, pruned):
            thetas.copy_(_joint_update(inverse.double(), thetas.double(), gone.double()))
        weight.copy_(self._unblocked(theta, weight))

    def _fold(self, state: State) -> None:
        """Woodbury's identity with the gradients that wait; those not there yet are zero and change nothing."""
        if not state["waiting"].any():
            return
        for inverse, g in _chunks(state["inverse"], state["waiting"]):
            p = torch.bmm(g, inverse)
            small = torch.bmm(g, p.mT)
            small.diagonal(dim1=1, dim2=2).add_(self.gradients)
            inverse.baddbmm_(p.mT, torch.linalg.solve(small, p), alpha=-1)
        state["waiting"].zero_()

    def _blocked(self, tensor: Tensor) -> Tensor:
        """A copy of `tensor` as [blocks, block], padded with zeros."""
        flat = tensor.reshape(-1)
        return torch.nn.functional.pad(flat, (0, -len(flat) % self.block)).view(-1, self.block).clone()

    def _unblocked(self, tensor: Tensor, like: Tensor) -> Tensor:
        """The inverse of `_blocked`."""
        return tensor.reshape(-1)[: like.numel()].view(like.shape)


def _chunks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Matching views of CHUNK blocks of `tensors` [blocks, ...]."""
    return zip(*(tensor.split(CHUNK) for tensor in tensors), strict=True)


def _joint_update(inverse: Tensor, theta: Tensor, pruned: Tensor) -> Tensor:
    """theta - F^-1[:, Q] ([F^-1]_QQ)^-1 theta_Q for blocks [n, block]; `pruned` is 1 on Q.

    Rows and columns outside Q become those of the identity, so that one batched solve serves sets Q of any size.
    """
    restricted = inverse * pruned.unsqueeze(1) * pruned.unsqueeze(2) + torch.diag_embed(1 - pruned)
    multipliers = torch.linalg.solve(restricted, theta * pruned)
    answer = torch.bmm(inverse, multipliers.unsqueeze(2)).squeeze(2)
    return (theta - answer).mul_(1 - pruned)
