"""Slips that a criterion's check must find: a method that is called otherwise, scores that depend on nothing."""

from dataclasses import make_dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from criteria.base import Criterion
from criteria.checks.criterion import hyperparameters, planted_example


def made(**methods: Any) -> Any:
    plain = {"score": lambda self, state, weight: weight.abs()} | methods  # noqa: ARG005
    return make_dataclass("Mine", [], bases=(Criterion,), namespace=plain, frozen=True)()


def nothing(*_: Any) -> None:
    """A method of any form."""


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("oberve", "observe"),
        ("observed", "observe"),
        ("observe_input", "observe_inputs"),
        ("scores", "score"),
        ("compensat", "compensate"),
    ],
)
def test_a_misspelt_method_is_no_helper(name: str, meant: str) -> None:
    with pytest.raises(AssertionError, match=f"Mine.{name} .*did you mean {meant}"):
        hyperparameters(made(**{name: nothing}))


@pytest.mark.parametrize("name", ["_observe_all", "weights_of", "observe"])
def test_helpers_and_overrides_pass(name: str) -> None:
    assert hyperparameters(made(**{name: nothing}))


@pytest.mark.parametrize(
    "score", [torch.zeros_like, torch.ones_like, lambda weight: torch.arange(float(weight.numel())).view(weight.shape)]
)
def test_scores_that_depend_on_nothing_fail(score: Any) -> None:
    def scored(_: Any, state: Any, weight: Tensor) -> Tensor:
        made_of: Tensor = score(weight)
        return made_of

    with pytest.raises(AssertionError, match="nothing is ranked"):
        planted_example(made(score=scored))
