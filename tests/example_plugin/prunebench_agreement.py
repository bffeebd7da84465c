"""Keeps weights whose gradients agree in sign.

    S <- S + sign(g)          score = |S|

An example of a criterion in a package of its own: this file, an entry point in pyproject.toml, a test.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from criteria.base import Criterion, State, Step


@dataclass(frozen=True)
class Agreement(Criterion):
    """Options are the fields below: agreement[decay=0.5]."""

    decay: float = 1.0
    """What is kept of the sum at each step, in (0, 1]."""

    def __post_init__(self) -> None:
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay = {self.decay}: expected a number in (0, 1]")

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        """S = 0."""
        return {"S": torch.zeros_like(weight)}

    def observe(self, state: State, weight: Tensor, grad: Tensor, step: Step) -> None:
        """Add this step's signs."""
        state["S"].mul_(self.decay).add_(grad.sign())

    def score(self, state: State, weight: Tensor) -> Tensor:
        """|S|."""
        return state["S"].abs()
