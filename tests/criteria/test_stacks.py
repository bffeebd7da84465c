"""Criteria that take stacks of matrices, as on a GPU: each matrix of a stack fares as it does alone."""

import pytest
import torch
from torch import Tensor

from benchmark.plugins import registry
from criteria.base import Step
from criteria.l0 import B
from tests.criteria.helpers import generator

CRITERIA = (
    "soft_movement",
    "soft_movement[rule=matched]",
    "soft_movement[score_optimizer=sgd]",
    "soft_movement[final_threshold=0.9,score_lr=0.3]",
    "l0",
    "l0[score_optimizer=sgd,final_lambda=1000]",
)


def test_all_of_them_are_tested() -> None:
    named = {name for name in registry.names("criteria") if registry.configure("criteria", name).stacks}
    assert named == {name.partition("[")[0] for name in CRITERIA}


@pytest.mark.parametrize("shape", [(8, 16), (16, 8), (32, 1)], ids=str)
@pytest.mark.parametrize("name", CRITERIA)
def test_a_stack_is_its_matrices(name: str, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same number for every draw: what is drawn is another for a stack."""
    monkeypatch.setattr("criteria.l0._concrete", lambda state: torch.sigmoid((state["S"] - 0.4) / B))
    criterion, random, count = registry.configure("criteria", name), generator(), 3
    weights = torch.randn(count, *shape, generator=random)
    stack, alone = criterion.init(weights, generator()), [criterion.init(weight, generator()) for weight in weights]
    for index in range(8):
        step = Step(index, 8, 0.1 * (index + 1), 0.1 * index, 0.7, 0.8, matrices=5)
        grads = torch.randn(count, *shape, generator=random)
        criterion.observe(stack, weights, grads, step)
        for state, weight, grad in zip(alone, weights, grads, strict=True):
            criterion.observe(state, weight, grad, step)
        mask = torch.rand(count, *shape, generator=random) > 0.5
        for training in (True, False):
            each = [criterion.gate(*pair, training) for pair in zip(alone, weights, mask, strict=True)]
            same(criterion.gate(stack, weights, mask, training), each)
        same(criterion.score(stack, weights), [criterion.score(*pair) for pair in zip(alone, weights, strict=True)])
        same(
            criterion.keep(stack, weights, step),
            [criterion.keep(*pair, step) for pair in zip(alone, weights, strict=True)],
        )


def same(stack: Tensor, each: list[Tensor]) -> None:
    """Up to the last bit: vectorised and scalar code round differently."""
    torch.testing.assert_close(stack, torch.stack(each), rtol=1e-6, atol=1e-7)
