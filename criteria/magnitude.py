"""Keeps the largest weights.

    score = |theta|

The harness masks gradually, which makes it the iterative form of Zhu & Gupta; under `one_shot` it is that of Han et al.

References: Han et al., Learning both Weights and Connections, NeurIPS 2015, https://arxiv.org/abs/1506.02626
            Zhu & Gupta, To prune, or not to prune, 2018, https://arxiv.org/abs/1710.01878
"""

from dataclasses import dataclass

from torch import Tensor

from criteria.base import Criterion, State


@dataclass(frozen=True)
class Magnitude(Criterion):
    """The weight's absolute value."""

    def score(self, state: State, weight: Tensor) -> Tensor:
        """|theta|."""
        return weight.abs()
