"""Churn: how much masks change when they are recomputed, and how many pruned weights come back.

flipped    share of mask entries that differ from the mask before
swapped    flipped minus what the change of sparsity alone needs: twice the weights that came back, where sparsity rises
regrown    share of the weights pruned before that are kept now
returned   share of the weights ever pruned that the final mask keeps
"""

import torch
from torch import Tensor

from benchmark.suite.spec import Strict


class Masking(Strict):
    """One new mask, compared with the one before."""

    step: int
    sparsity: float
    """Sparsity of the new mask."""
    flipped: float
    swapped: float
    regrown: float


class Churn(Strict):
    """Churn of a run's masks, from the first to the last."""

    maskings: list[Masking]
    returned: float


class Masks:
    """Is given every mask of a run in turn."""

    def __init__(self) -> None:
        self.last: Tensor | None = None
        self.ever = torch.zeros(0, dtype=torch.bool)
        self.maskings: list[Masking] = []

    def add(self, step: int, mask: Tensor) -> None:
        """Add the mask (bool [n], True = kept) made after `step` steps."""
        if self.last is None:
            self.ever = ~mask
        else:
            n, before, now = mask.numel(), _pruned(self.last), _pruned(mask)
            flipped, back = int((mask != self.last).sum()), int((mask & ~self.last).sum())
            self.maskings.append(
                Masking(
                    step=step,
                    sparsity=now / n,
                    flipped=flipped / n,
                    swapped=(flipped - abs(now - before)) / n,
                    regrown=back / before if before else 0.0,
                )
            )
            self.ever |= ~mask
        self.last = mask.clone()

    def result(self) -> Churn:
        """The churn of the masks so far."""
        assert self.last is not None, "a run always masks once"
        ever = int(self.ever.sum())
        return Churn(maskings=self.maskings, returned=int((self.ever & self.last).sum()) / ever if ever else 0.0)


def _pruned(mask: Tensor) -> int:
    return mask.numel() - int(mask.sum())
