"""Keeps large weights on strong inputs, without any training signal.

    score_ij = |W_ij| norm2(X_j)        X [tokens, in] what the layer was fed over the calibration batches

The published method ranks within each output row: that is the suite's `scope: row`. It needs no training, so `one_shot` is its
natural schedule.

Departures: the released code takes the mean of norm2(X_j)^2 over sequences where this takes the sum over tokens; the factor is
one constant for all layers and changes no rank. Without calibration |W| ranks.

Reference: Sun et al., A Simple and Effective Pruning Approach for Large Language Models, ICLR 2024 (2023),
           https://arxiv.org/abs/2306.11695
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from criteria.base import Criterion, State


@dataclass(frozen=True)
class Wanda(Criterion):
    """|W| times the norm of each input."""

    elementwise: ClassVar[bool] = False

    def init(self, weight: Tensor, generator: torch.Generator) -> State:
        """The squared norm of each input [in] at zero, and the tokens seen (on the CPU)."""
        return {
            "squares": torch.zeros(weight.shape[-1], device=weight.device),
            "tokens": torch.zeros((), dtype=torch.int64),
        }

    def begin_calibration(self, state: State, weight: Tensor) -> None:
        """Forget the last masking's inputs."""
        state["squares"].zero_()
        state["tokens"].zero_()

    def observe_inputs(self, state: State, weight: Tensor, inputs: Tensor) -> None:
        """Add the squares of `inputs` [tokens, in]."""
        state["tokens"] += len(inputs)
        state["squares"] += inputs.square().sum(0)

    def score(self, state: State, weight: Tensor) -> Tensor:
        """|W| norm2(X); |W| without calibration."""
        return weight.abs() * state["squares"].sqrt() if state["tokens"].item() else weight.abs()
