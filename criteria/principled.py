"""Keeps the weights whose loss would rise most if the coming update pruned them: a 0-1 integer linear program (PINS).

The next pruned iterate is (theta - eta g) m. To first order
    L((theta - eta g) m) = const + sum_i m_i (g_i theta_i - eta g_i^2)
and the minimum over m in {0,1}^n with sum_i m_i = K keeps the K largest
    S = -theta g + eta g^2 = -g (theta - eta g)       g the gradient at theta, eta the rate of the coming step
    I = |S|   (signed: S)
    score = A U     A, U: the moving average and uncertainty of I's window means (criteria/common/smoothing.py)

The published code ranks |S|, which this does by default; `signed=True` is the program as it is stated, and it keeps quite other
weights. `signed=True, smooth=False` is its exact solution for one step. The eta g^2 term is tiny beside |theta g| (their ratio is
eta |g| / |theta|, some 1e-7 in fine-tuning) except for weights that are exactly zero, where it alone decides: otherwise this
keeps the weights that `sensitivity` keeps.

Departures: none at the published call point (before the optimizer), which the tests hold against a trace. The text of the paper
beyond its abstract could not be read: the derivation above is ours, the formula is what the released code computes.

Reference: Ren & Zhu, Pruning Pre-trained Language Models with Principled Importance and Self-regularization, Findings of
           ACL 2023, https://arxiv.org/abs/2305.12394
"""

from dataclasses import dataclass

from criteria.base import Step
from criteria.common.smoothing import Importance, Smoothed


@dataclass(frozen=True)
class Principled(Smoothed):
    """|g (theta - eta g)|, averaged over windows, times its uncertainty."""

    signed: bool = False
    """Rank S, the literal integer linear program, in place of the published |S|."""
    lr_term: bool = True
    """Keep the eta g^2 term; without it S = -theta g."""

    def importance(self, step: Step) -> Importance:
        """|S|, or S itself."""
        return Importance(step.lr if self.lr_term else 0.0, self.signed)
